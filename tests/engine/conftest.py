from collections.abc import Iterator
from pathlib import Path

import pytest

from state.store import Store
from tests.engine.machine import Machine
from tests.services import sqlite


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own."""
    opened = sqlite.store(tmp_path / "vfo.db")
    yield opened
    opened.close()


@pytest.fixture
def machine(store: Store) -> Machine:
    """An engine whose time and worker the test turns by hand."""
    return Machine(store)


@pytest.fixture(params=["sqlite", "postgresql"])
def either_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own, of each kind."""
    opened = Store(sqlite.database(tmp_path / "vfo.db") if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()
