"""The keys that were woken in the last minutes, by any process: so that a change between a step's look and its parking is not lost.

Notes are judged by the order of transactions, not by a clock. A step's mark is the snapshot of the transaction before its look: a note that
it does not see was committed after that. And nobody parks on a key while somebody notes it: who notes has the key's lock until the commit
and waits for those who park; who parks does not wait, and takes a lock that is not free for a wake. So of the two transactions one sees the
other: who parks the note, or who notes (and looks for who waits after that) the parked row.
"""

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import BigInteger, Index, bindparam, delete, func, insert, select, text
from sqlmodel import Field, Session

from state import postgres
from state.columns import SEQ, Row, UtcDateTime, table

KEPT = timedelta(minutes=10)
"""No step looks at the pool for longer before it parks; one that does looks again."""

LASTS = timedelta(days=30)  # of a witness; a process that lives longer has another one made
LOCKS = 256  # of all keys: a load of a pool notes ten thousands, and the server has room for some thousand locks
SPACE = 0x76666F  # of our locks among those of two numbers


class Woken(Row, table=True):
    """One key, when it was woken, and by which transaction."""

    __tablename__ = "woken"
    __table_args__ = (Index("ix_woken_key_tx", "key", "tx"),)

    seq: int | None = Field(default=None, primary_key=True, sa_type=SEQ)
    key: str
    at: datetime = Field(sa_type=UtcDateTime)
    tx: int | None = Field(default=None, sa_type=BigInteger)


WOKEN = table(Woken)
SERVER_NOW = func.clock_timestamp()
NOTE = insert(WOKEN).values(key=bindparam("key"), tx=bindparam("tx"), at=SERVER_NOW)
LOCK = text("SELECT pg_advisory_xact_lock(:space, number) FROM unnest(CAST(:numbers AS integer[])) AS number")
IS_FREE = text("SELECT pg_try_advisory_xact_lock_shared(:space, :number)")
CAME = text("""
SELECT EXISTS (SELECT 1 FROM woken WHERE key = :key AND tx >= CAST(CAST(pg_snapshot_xmin(CAST(:mark AS pg_snapshot)) AS text) AS bigint)
               AND NOT pg_visible_in_snapshot(CAST(CAST(tx AS text) AS xid8), CAST(:mark AS pg_snapshot))) AS noted,
       EXISTS (SELECT 1 FROM woken WHERE key = :witness) AS vouched
""")


def mark(session: Session) -> str:
    """What is committed when the session's transaction begins: a look after that sees it, and whatever else is noted came later."""
    return postgres.snapshot(session.connection())


def note(session: Session, keys: Iterable[str]) -> None:
    """These keys are woken by what this transaction does. Whoever is just parking on one is waited for: its row is seen from now on."""
    _note(session, list(dict.fromkeys(keys)))


def note_alone(session: Session, keys: Iterable[str]) -> None:
    """As `note`, in a transaction that does nothing else: worth no wait for a disk, as a server that crashes has everybody look anew."""
    session.connection().execute(text("SET LOCAL synchronous_commit = 'off'"))
    _note(session, list(dict.fromkeys(keys)))


def came(session: Session, key: str, *, since: str, witness: str) -> tuple[bool, bool]:
    """Whether the key was woken since that mark, or is at this moment; and whether the witness of then is there: else nothing is known.

    Until the end of the transaction nobody notes the key.
    """
    if not session.connection().execute(IS_FREE, {"space": SPACE, "number": _lock(key)}).scalar_one():
        return True, True
    # a statement of its own: what was committed before the lock was had is seen by it
    found = session.connection().execute(CAME, {"key": key, "mark": since, "witness": witness}).one()
    return found.noted, found.vouched


def vouch(session: Session) -> str:
    """A witness that the server has not crashed since: as every note it does not outlive that, nor a server that took over."""
    witness = f"witness:{uuid4()}"
    session.connection().execute(insert(WOKEN).values(key=witness, at=SERVER_NOW + LASTS))
    return witness


def still_there(session: Session, witness: str) -> bool:
    """Whether the witness is there yet."""
    return session.connection().execute(select(WOKEN.c.seq).where(WOKEN.c.key == witness)).first() is not None


def dismiss(session: Session, witness: str) -> None:
    """The witness is needed no more."""
    session.connection().execute(delete(WOKEN).where(WOKEN.c.key == witness))


def forget(session: Session) -> None:
    """Remove the notes that nobody asks for any more."""
    session.connection().execute(delete(WOKEN).where(WOKEN.c.at < SERVER_NOW - KEPT))


def _note(session: Session, keys: Sequence[str]) -> None:
    if not keys:
        return
    connection = session.connection()
    connection.execute(LOCK, {"space": SPACE, "numbers": sorted({_lock(key) for key in keys})})
    number = int(postgres.transaction(connection))
    connection.execute(NOTE, [{"key": key, "tx": number} for key in keys])


def _lock(key: str) -> int:
    return zlib.crc32(key.encode()) % LOCKS
