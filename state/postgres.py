"""What PostgreSQL needs: how a transaction begins there, what its errors mean, and whether one whose connection was lost counts.

Writers run beside each other at READ COMMITTED: an UPDATE that waited for another's looks at the row anew, so that the row decides. Where
something is read first and written then, `state.alone` has the writers follow one another.
"""

import ipaddress
import os
import ssl
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

OLDEST = 130000  # pg_xact_status and pg_current_xact_id by these names
CONNECTING = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20000}
WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_current_xact_id(), pg_current_snapshot()"
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# A process that is stopped in the middle of a transaction (SIGSTOP, a machine that sleeps) must not keep others from its rows.
# A statement that is a transaction of its own is read committed too, whatever the server's default is.
PREPARE = """
SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '30s'; SET timezone = 'UTC';
SET default_transaction_isolation = 'read committed';
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
WHO = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
IS_THERE = text("SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = :pid AND backend_start = :since)")
PASSING = frozenset({
    "40001",  # two transactions were in each other's way
    "40P01",  # each waited for the other
    "55P03",  # a lock was not had in time
    "25P03",  # it was idle for too long within a transaction
})  # fmt: skip
PASSING_CLASSES = ("08", "53", "57")  # connections, resources (too many clients, a full disk), and what an operator does to a server
TRANSACTION, SNAPSHOT, PEER = "vfo_transaction", "vfo_snapshot", "vfo_peer"
ADVICE = {
    "does not support SSL": "set up TLS there, or write ?sslmode=disable in database.url where the network is one to trust",
    "certificate verify failed": "name the authority of its certificate by ?sslrootcert=FILE in database.url",
}


class Peer(NamedTuple):
    """The server's process at the other end of a connection: its number, and since when it is that."""

    pid: int
    since: datetime


def listen(engine: Engine) -> None:
    """Have the engine's connections begin as said above. They are made with autocommit, so that no driver begins behind our back."""
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)


def trust(url: URL) -> dict[str, str]:
    """What libpq is told of TLS where neither the URL nor PGSSLMODE does: another machine must prove that it is the one that is named."""
    if "PGSSLMODE" in os.environ or "sslmode" in url.query or all(_is_here(host) for host in _hosts(url)):
        return {}
    return {"sslmode": "verify-full", "sslrootcert": os.environ.get("PGSSLROOTCERT") or ssl.get_default_verify_paths().cafile or "system"}


def _hosts(url: URL) -> list[str]:
    """Names, addresses and directories of sockets, one of which it will be; none where libpq's own is meant."""
    _, given = url.get_dialect()().create_connect_args(url)
    return [host for key in ("host", "hostaddr") if given.get(key) for host in str(given[key]).split(",")]


def _is_here(host: str) -> bool:
    if host == "localhost" or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _prepare(connection: Any, entry: ConnectionPoolEntry) -> None:
    connection.execute(PREPARE, prepare=False)
    entry.info[PEER] = Peer(*connection.execute(WHO, prepare=False).fetchone())


def _begin(connection: Connection) -> None:
    """One way to the server and back; a writer learns its transaction's number by the way, see `was_committed`, and `snapshot`."""
    reads = connection.get_execution_options().get("vfo_reads_only")
    driver: Any = connection.connection.driver_connection
    try:
        cursor = driver.execute(READ if reads else WRITE, prepare=False)
        if not reads:
            cursor.nextset()
            connection.info[TRANSACTION], connection.info[SNAPSHOT] = cursor.fetchone()
    except Exception as error:
        connection.invalidate(error)
        raise


def transaction(connection: Connection) -> str:
    """The number of the transaction that may write and that was begun on the connection."""
    return str(connection.info[TRANSACTION])


def snapshot(connection: Connection) -> str:
    """Which transactions count when the one on the connection, that may write, begins; as `pg_snapshot` has it."""
    return str(connection.info[SNAPSHOT])


def was_committed(connection: Connection, number: str) -> bool | None:
    """Whether the transaction of this number counts; None while the server is not sure. One that it never heard of does not."""
    try:
        status = connection.execute(text("SELECT pg_xact_status(CAST(:number AS xid8))"), {"number": number}).scalar()
    except DBAPIError as error:
        if _state(error.orig) == "22023":  # in the future: the server that took over never got it
            return False
        raise
    return None if status == "in progress" else status == "committed"


def peer(connection: PoolProxiedConnection) -> Peer:
    """Who carries out what is sent on the connection."""
    found: Peer = connection.info[PEER]
    return found


def is_there(connection: Connection, peer: Peer) -> bool:
    """Whether the server's process is there yet: what it was told last it may still do. Else that counts by now or never will."""
    return bool(connection.execute(IS_THERE, {"pid": peer.pid, "since": peer.since}).scalar_one())


def driver_error(error: BaseException) -> BaseException | None:
    """What the driver said, wrapped or not; None when it is no error of a database."""
    found = error.orig if isinstance(error, DBAPIError) else error
    return found if found is not None and type(found).__module__.partition(".")[0] == "psycopg" else None


def passes(error: BaseException) -> bool:
    """Whether the same may work in a moment: the connection is lost, the server is away, or two transactions were in each other's way."""
    said = driver_error(error)
    if said is None:
        return False
    state = _state(said)
    if state is None:  # nothing came from the server: it was not reached, or the connection broke
        return _is_operational(said)
    return state in PASSING or state.startswith(PASSING_CLASSES)


def only_reads(error: BaseException) -> bool:
    """Whether the server has become a standby, or was one from the beginning."""
    return _state(driver_error(error)) == "25006"


def is_lost(error: BaseException) -> bool:
    """Whether the server's answer is missing rather than no: what was under way may have been done."""
    said = driver_error(error)
    return said is not None and ((state := _state(said)) is None or state.startswith(("08", "57"))) and _is_operational(said)


def in_words(error: BaseException) -> str:
    """What the driver said, in a line and without the statement and its parameters, and what to do where that is known."""
    said = driver_error(error) or error
    words = " ".join(str(said).split()) or type(said).__name__
    return "; ".join([words, *(advice for sign, advice in ADVICE.items() if sign in words)])


def problem_with(connection: Connection) -> str | None:
    """Why this server cannot be used; None when it can."""
    version = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    if version < OLDEST:
        return f"it is PostgreSQL {version // 10000}: at least 13 is needed"
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    return None if encoding == "UTF8" else f"its encoding is {encoding}: create it with ENCODING 'UTF8'"


def _state(error: BaseException | None) -> str | None:
    state: str | None = getattr(error, "sqlstate", None)
    return state


def _is_operational(error: BaseException) -> bool:
    return any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)
