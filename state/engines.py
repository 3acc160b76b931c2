"""The connections to a database: how each kind is opened, and what is wrong with a URL."""

import sqlite3
from typing import Any

import orjson
import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from state import postgres

BUSY_SECONDS = 30  # how long a writer waits for another process's transaction; ours last milliseconds
SECRET = ("password", "passfile", "sslpassword")


class Unusable(Exception):
    """The database cannot be used; the text says why and what to do, for the person who runs the program."""


def make(url: str) -> Engine:
    """The engine for a URL. Connects to nothing; raises `Unusable`."""
    try:
        parsed = sqlalchemy.make_url(url)
    except SQLAlchemyError as error:
        raise Unusable("the database's URL is not one: it looks like sqlite:////var/lib/vfo/vfo.db") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise Unusable("the database must be a file: what is in memory is lost when it matters")
    if kind == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        # Connections are as many as threads that use them at once: the product bounds its threads, not its pool.
        engine = sqlalchemy.create_engine(
            parsed,
            json_serializer=_as_json,
            json_deserializer=orjson.loads,
            pool_size=16,
            max_overflow=-1,
            **_of_kind(parsed),
        )
    except (ImportError, SQLAlchemyError) as error:
        raise Unusable(_without_driver(parsed)) from error
    if kind == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    elif kind == "postgresql":
        postgres.listen(engine)
    return engine


def name(url: URL) -> str:
    """The URL without what is secret in it."""
    return url.difference_update_query(SECRET).render_as_string(hide_password=True)


def _of_kind(url: URL) -> dict[str, Any]:
    if url.get_backend_name() != "postgresql":
        return {}
    said = {key: value for key, value in {**postgres.CONNECTING, **postgres.trust(url)}.items() if key not in url.query}
    return {"connect_args": {**said, "autocommit": True, "application_name": url.query.get("application_name", "vfo")}}


def _as_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _without_driver(url: URL) -> str:
    if url.get_backend_name() == "postgresql":
        return "there is no driver for PostgreSQL: pip install 'vf-orchestrator[postgresql]'"
    return f"there is no driver for {url.drivername} databases"


def _prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver begins no transaction behind our back: `_begin` does
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {BUSY_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    """Writers take the lock at once: a transaction that reads first and then writes fails when another wrote in between."""
    reads: Any = connection.get_execution_options().get("vfo_reads_only")
    connection.exec_driver_sql("BEGIN DEFERRED" if reads else "BEGIN IMMEDIATE")
