"""What was answered to whom under which key, so that who asks again is told the same and nothing is done twice.

The key is taken, what was asked for is done and the answer is kept, all in one transaction: whatever crashes, there is either all of it or
nothing. Of two that ask at the same time the second waits for the first's transaction, and then finds its answer.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, delete, update
from sqlmodel import Field, Session

from state import upsert
from state.columns import Row, UtcDateTime, table

KEPT = timedelta(hours=24)


class Idempotency(Row, table=True):
    """One answer. *request*: SHA-256 of what was asked. *status*: of HTTP."""

    __tablename__ = "idempotency"

    who: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request: str
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    status: int
    answer: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


IDEMPOTENCY = table(Idempotency)


class OtherRequest(Exception):
    """Something else was asked under this key."""


def answered(session: Session, who: str, key: str, request: str, *, now: datetime) -> Idempotency | None:
    """What was answered to the same request under this key; None: nothing yet, or it is too long ago. Raises `OtherRequest`."""
    found = session.get(Idempotency, (who, key), populate_existing=True)
    if found is None or found.at <= now - KEPT:
        return None
    if found.request != request:
        raise OtherRequest
    return found


def take(session: Session, who: str, key: str, request: str, *, now: datetime) -> Idempotency | None:
    """Take the key for this transaction: None; or what was answered under it already. Raises `OtherRequest`."""
    session.connection().execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.at <= now - KEPT))
    row = {"who": who, "key": key, "request": request, "at": now, "status": 0, "answer": {}}
    taken = upsert.insert(session, IDEMPOTENCY).values(row).on_conflict_do_nothing().returning(IDEMPOTENCY.c.key)
    if session.connection().execute(taken).first() is not None:
        return None
    return answered(session, who, key, request, now=now)


def forget(session: Session, who: str) -> None:
    """Nobody is told any more what was answered under this name: it is another's from now on."""
    session.connection().execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.who == who))


def keep(session: Session, who: str, key: str, *, status: int, answer: dict[str, Any]) -> None:
    """The answer to what was asked under the key that this transaction has taken; *answer* is plain JSON."""
    mine = (IDEMPOTENCY.c.who == who, IDEMPOTENCY.c.key == key)
    session.connection().execute(update(IDEMPOTENCY).where(*mine).values(status=status, answer=answer))
