"""A PostgreSQL server that keeps what it says: with its defaults, where the tests' own server need not wait for a disk."""

import contextlib
import os
from collections.abc import Iterator

from sqlalchemy import make_url

from tests.services import postgres, programs


class Durable(postgres.OwnPostgres):
    """Of this process, with its settings as they come, but for the number of connections."""

    def start(self) -> None:
        """Start it, where it does not run, and wait until it answers."""
        if self._process is not None:
            return
        settings = {"listen_addresses": "127.0.0.1", "port": self._port, "unix_socket_directories": self._folder, "max_connections": 300}
        command = [self._server, "-D", str(self._data), *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))]
        self._process = programs.start(command, log=self._log, user=self._user)
        programs.until(self._answers, self._process, self._log)


@contextlib.contextmanager
def server() -> Iterator[postgres.Postgres]:
    """The one that VFO_TEST_POSTGRES gives, else our own; one that waits for no disk is an AssertionError."""
    given = os.environ.get(postgres.VARIABLE)
    found = postgres.binaries()
    made: postgres.Postgres
    if given:
        made = postgres.Postgres(make_url(given).set(drivername="postgresql+psycopg"))
    else:
        assert found, f"PostgreSQL is not installed and {postgres.VARIABLE} is not set"
        made = Durable(found)
    try:
        with made.admin() as connection:
            for setting in ("fsync", "synchronous_commit"):
                assert connection.execute(f"SHOW {setting}").fetchone() == ("on",), f"{setting} is off: nothing of it would count"
        yield made
    finally:
        made.close()
