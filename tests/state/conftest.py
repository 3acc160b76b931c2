from collections.abc import Iterator
from pathlib import Path

import pytest

from state.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own."""
    opened = Store(f"sqlite:///{tmp_path / 'vfo.db'}")
    yield opened
    opened.close()
