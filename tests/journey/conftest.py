from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journey.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Makes labs, and takes them away after the test."""
    made: list[Lab] = []

    def make(*options: str, **more: str) -> Lab:
        made.append(Lab(tmp_path, *options, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
