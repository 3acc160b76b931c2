"""New databases of SQLite: the schema is made once in a process and copied, as making it takes longer than most tests do with it."""

import functools
import tempfile
from pathlib import Path

from state.store import Store


def database(file: Path) -> str:
    """The URL of a database at *file*, which is not there yet: with this version's schema, and without rows."""
    file.write_bytes(_empty())
    return f"sqlite:///{file}"


def store(file: Path) -> Store:
    """A store on such a database."""
    return Store(database(file))


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        Store(f"sqlite:///{file}").close()
        return file.read_bytes()
