from collections.abc import Iterator
from pathlib import Path

import pytest

from state.store import Store
from tests.services import sqlite

KINDS = ("sqlite", "postgresql")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of the test's own, of each kind."""
    if request.param == "sqlite":
        return sqlite.database(tmp_path / "vfo.db")
    given: str = request.getfixturevalue("postgres_url")
    return given


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store of the test's own, of each kind."""
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own, for what is so on SQLite alone."""
    opened = sqlite.store(tmp_path / "file.db")
    yield opened
    opened.close()
