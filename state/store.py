"""The database as the rest of the product holds it: one place to read, one place to write, both with a session of their own."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson
import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from state import schema, together

__all__ = ["Session", "Store", "Unusable"]

T = TypeVar("T")
BUSY_SECONDS = 30  # how long a writer waits for another process's transaction; ours last milliseconds


class Unusable(Exception):
    """The database cannot be used; the text says why and what to do, for the person who runs the program."""


class Store:
    """The rows at *url* (an SQLAlchemy URL), brought to this version's schema unless *migrate* is said to be False.

    SQLite: WAL, every commit on disk before it counts, writers of one process queue at a lock (the database's own waiting is a spin).
    Raises `Unusable`.
    """

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        self._engine = _engine(url)
        self._reader = self._engine.execution_options(vfo_reads_only=True)
        self._writing = threading.Lock() if self._engine.dialect.name == "sqlite" else None
        self._together = together.Together(self.write)
        self._writer: int | None = None
        try:
            if migrate:
                schema.upgrade(self._engine)
            self.check()
        except SQLAlchemyError as error:
            self._engine.dispose()
            raise Unusable(f"the database {self.name} cannot be opened: {_plain(error)}") from error
        except Unusable:
            self._engine.dispose()
            raise

    @property
    def name(self) -> str:
        """The database's URL without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in a transaction that may write: committed at the end, rolled back when an exception leaves it."""
        if self._writing is None:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
            return
        self._refuse_nesting()
        with self._writing, Session(self._engine, expire_on_commit=False) as session, session.begin():
            self._writer = threading.get_ident()
            try:
                yield session
            finally:
                self._writer = None

    def together(self, work: Callable[[Session], T]) -> T:
        """`write` for what many threads do at once: *work* may share its transaction with the others' (see `state.together`)."""
        if self._writing is None:
            with self.write() as session:
                return work(session)
        self._refuse_nesting()
        return self._together.do(work)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that reads one consistent state and waits for no writer. What it would write is not kept."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    def check(self) -> None:
        """The database answers and has this version's schema; raises `Unusable` else."""
        try:
            with self._reader.connect() as connection:
                found = schema.revision(connection)
        except SQLAlchemyError as error:
            raise Unusable(f"the database {self.name} does not answer: {_plain(error)}") from error
        if found != schema.HEAD:
            raise Unusable(f"the database {self.name} has schema {found or 'none'}, this version needs {schema.HEAD}")

    def _refuse_nesting(self) -> None:
        """A thread that writes within its own write would wait for itself for ever: better an error where it happens."""
        if self._writer == threading.get_ident():
            raise RuntimeError("a write within a write: the session at hand is the one to use")

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()


def _plain(error: SQLAlchemyError) -> str:
    """What the driver said, without the statement and its parameters."""
    return str(error.orig) if isinstance(error, DatabaseError) else type(error).__name__


def _engine(url: str) -> Engine:
    try:
        parsed = sqlalchemy.make_url(url)
    except SQLAlchemyError as error:
        raise Unusable("the database's URL is not one: it looks like sqlite:////var/lib/vfo/vfo.db") from error
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and parsed.database in (None, "", ":memory:"):
        raise Unusable("the database must be a file: what is in memory is lost when it matters")
    try:
        # Connections are as many as threads that use them at once: the product bounds its threads, not its pool.
        engine = sqlalchemy.create_engine(
            parsed,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            pool_size=16,
            max_overflow=-1,
        )
    except (ImportError, SQLAlchemyError) as error:
        raise Unusable(f"there is no driver for {parsed.drivername} databases") from error
    if sqlite:
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver begins no transaction behind our back: `_begin` does
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {BUSY_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    """Writers take the lock at once: a transaction that reads first and then writes fails when another wrote in between."""
    reads: Any = connection.get_execution_options().get("vfo_reads_only")
    connection.exec_driver_sql("BEGIN DEFERRED" if reads else "BEGIN IMMEDIATE")
