from collections.abc import Iterator
from pathlib import Path

import pytest

from state.store import Store
from tests.engine.machine import Machine


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own."""
    opened = Store(f"sqlite:///{tmp_path / 'vfo.db'}")
    yield opened
    opened.close()


@pytest.fixture
def machine(store: Store) -> Machine:
    """An engine whose time and worker the test turns by hand."""
    return Machine(store)
