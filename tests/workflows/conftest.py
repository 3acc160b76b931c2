from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.stage import Stage


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes stages (see tests/workflows/stage.py): `stages(hosts=3, vms=6, driver="modprobe", policy=...)`; they go with the test."""
    made: list[Stage] = []
    numbers = count(1)

    def make(**fields: Any) -> Stage:
        folder = tmp_path / f"stage-{next(numbers)}"
        folder.mkdir()
        made.append(Stage(folder, **fields))
        return made[-1]

    yield make
    for stage in made:
        stage.close()
