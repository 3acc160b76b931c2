"""A PostgreSQL server for tests: our own in a directory of its own, or one that is given."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy import URL, make_url

from orchestrator.simulator import certificates
from state.store import Store
from tests.services import programs

VARIABLE = "VFO_TEST_POSTGRES"
WALLED, WALLED_PASSWORD = "walled", "p@ss/word:1"
"""A role of our own server that must show its password."""


def binaries() -> Path | None:
    """Where the newest server's programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    there = shutil.which("postgres")
    return Path(there).resolve().parent if there else None


class Postgres:
    """A server: databases are made on it and dropped again. What stops, kills or pauses it works on our own only."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self._template = ""

    def admin(self) -> "psycopg.Connection[Any]":
        """A connection that is in no transaction."""
        return psycopg.connect(
            self.url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True, connect_timeout=5
        )

    @contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """The URL of a new database, dropped at the end; *migrated*: with this version's schema, copied from one that has it."""
        if migrated and not self._template:
            self._template = self._create("")
            Store(self._of(self._template)).close()
        name = self._create(self._template if migrated else "")
        try:
            yield self._of(name)
        finally:
            self.drop(name)

    def drop(self, name: str) -> None:
        """Drop the database, whoever is connected."""
        with self.admin() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def close(self) -> None:
        """Nothing of ours is left."""
        if self._template:
            self.drop(self._template)

    def _create(self, template: str) -> str:
        name = f"vfo_test_{uuid4().hex[:12]}"
        with self.admin() as connection:
            connection.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return name

    def _of(self, name: str) -> str:
        return self.url.set(database=name).render_as_string(hide_password=False)


class OwnPostgres(Postgres, programs.Pausable):
    """A server of this process, as root too: it runs as another user then. It may *follow* another of ours, as its standby."""

    def __init__(self, programs_at: Path, *, follows: "OwnPostgres | None" = None) -> None:
        self._user = programs.other_user("postgres", "nobody")
        self._folder = programs.folder("postgres", self._user)
        self._data, self._log = self._folder / "data", self._folder / "log"
        self._server = str(programs_at / "postgres")
        self._port = programs.free_port()
        self.certificate = self._folder / "certificate.pem"
        self._show(certificates.make("localhost"))
        self._make(programs_at, follows)
        super().__init__(make_url(f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres"))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        if follows is None:
            with self.admin() as connection:
                connection.execute(f"CREATE ROLE {WALLED} LOGIN SUPERUSER PASSWORD '{WALLED_PASSWORD}'")

    def start(self) -> None:
        """Start it, where it does not run, and wait until it answers."""
        if self._process is not None:
            return
        settings = {"listen_addresses": "127.0.0.1", "port": self._port, "unix_socket_directories": self._folder, "fsync": "off",
                    "full_page_writes": "off", "max_connections": 300, "shared_buffers": "64MB",
                    "ssl_cert_file": self.certificate, "ssl_key_file": self._folder / "key.pem"}  # fmt: skip
        command = [self._server, "-D", str(self._data), *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))]
        self._process = programs.start(command, log=self._log, user=self._user)
        programs.until(self._answers, self._process, self._log)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT cuts all connections and shuts it down, SIGQUIT and SIGKILL leave it as a crash does."""
        if self._process is not None:
            everybody = programs.family(self._process.pid)
            self._process.send_signal(number)
            self._process.wait(programs.SECONDS)
            programs.gone(everybody)  # who was killed itself leaves its children behind for a moment, and they keep another out
            self._process = None

    def restart(self, number: int = signal.SIGINT) -> None:
        """Stop it and start it again."""
        self.stop(number)
        self.start()

    def promote(self) -> None:
        """Make a standby the one that writes."""
        with self.admin() as connection:
            connection.execute("SELECT pg_promote()")

    def offer_tls(self, *, offered: bool = True) -> None:
        """Encrypt for who asks for it, from the next connection on."""
        with self.admin() as connection:
            connection.execute(f"ALTER SYSTEM SET ssl = {'on' if offered else 'off'}")
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute("SHOW ssl").fetchone() != ("on" if offered else "off",):
                pass

    def close(self) -> None:
        """Stop it and remove its directory."""
        if self._process is not None:
            self.resume()
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self, programs_at: Path, follows: "OwnPostgres | None") -> None:
        made = [str(programs_at / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
        copied = [str(programs_at / "pg_basebackup"), "-D", str(self._data), "-R", "-c", "fast", "-N"]
        command = made if follows is None else [*copied, "-d", follows.url.set(drivername="postgresql").render_as_string()]
        making = programs.start(command, log=self._log, user=self._user, environment={"HOME": str(self._folder)})
        assert making.wait(programs.SECONDS) == 0, self._log.read_text()
        if follows is None:
            access = self._data / "pg_hba.conf"
            access.write_text(f"host all {WALLED} 127.0.0.1/32 scram-sha-256\n" + access.read_text())

    def _show(self, shown: certificates.Certificate) -> None:
        key = self._folder / "key.pem"
        self.certificate.write_text(shown.pem)
        key.write_text(shown.key)
        key.chmod(0o600)
        if self._user is not None:
            shutil.chown(key, self._user)

    def _answers(self) -> bool:
        try:
            self.admin().close()
        except psycopg.OperationalError:
            return False
        return True


def server() -> Postgres:
    """The one that is given, else our own; without its programs the test is left out."""
    if given := os.environ.get(VARIABLE):
        return Postgres(make_url(given).set(drivername="postgresql+psycopg"))
    found = binaries()
    if found is None:
        programs.absent("PostgreSQL", VARIABLE)
    return OwnPostgres(found)
