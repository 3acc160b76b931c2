"""The openings of windows that were dealt with: a window opens once, whatever the clock does and however often the process starts.

What was noted under a clock that was ahead, and that no run came of, is void once the clock is right: it was no opening then.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, or_, tuple_
from sqlmodel import Field, Session, col, func, select

from state import upsert
from state.columns import Row, UtcDateTime, table

RUN, WAITS = "run", "waits"
WATCHED = "watched: "


class Opening(Row, table=True):
    """One opening of a window in a pool.

    *status*: "run" (by *run_id*), "waits" (for *run_id*, of an earlier opening; not dealt with yet), "skipped: why", or "watched: SCHEDULE"
    (no opening: from this moment on somebody looks, for this schedule).
    """

    __tablename__ = "opening"

    window: str = Field(primary_key=True)
    pool: str = Field(primary_key=True)
    opens_at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    closes_at: datetime = Field(sa_type=UtcDateTime)
    status: str
    run_id: UUID | None = None
    noted_at: datetime = Field(sa_type=UtcDateTime)


OPENING = table(Opening)


def note(session: Session, opening: Opening) -> bool:
    """Write it down; False when it was there already: somebody has dealt with it, or has said that it waits."""
    statement = _noting(session, opening.noted_at).returning(OPENING.c.window)
    return session.connection().execute(statement, _row(opening)).first() is not None


def watch(session: Session, window: str, pool: str, schedule: str, *, since: datetime, now: datetime) -> None:
    """From *since* on somebody looks, for this schedule: what opened before is nobody's."""
    since -= timedelta(microseconds=1)
    note(session, Opening(window=window, pool=pool, opens_at=since, closes_at=since, status=f"{WATCHED}{schedule}", noted_at=now))


def note_all(session: Session, noted: Sequence[Opening]) -> None:
    """Write down several of the same moment, where nobody has dealt with them."""
    if noted:
        session.connection().execute(_noting(session, noted[0].noted_at), [_row(opening) for opening in noted])


def _noting(session: Session, now: datetime) -> upsert.Insert:
    statement = upsert.insert(session, OPENING)
    keys = [column.name for column in OPENING.primary_key]
    fresh = {column.name: statement.excluded[column.name] for column in OPENING.columns if column.name not in keys}
    waited = and_(OPENING.c.status == WAITS, statement.excluded.status != WAITS)
    return statement.on_conflict_do_update(index_elements=keys, set_=fresh, where=or_(waited, _void(now)))


def _row(opening: Opening) -> dict[str, Any]:
    return {column.name: getattr(opening, column.name) for column in OPENING.columns}


def last(session: Session, window: str, pool: str, *, now: datetime) -> datetime | None:
    """The newest opening up to *now* that was dealt with, or the moment since which somebody looks; None: nobody ever did."""
    mine = (OPENING.c.window == window, OPENING.c.pool == pool, OPENING.c.opens_at <= now)
    query = select(func.max(OPENING.c.opens_at)).where(*mine, OPENING.c.status != WAITS, ~_void(now))
    found: datetime | None = session.connection().execute(query).scalar_one()
    return found


def schedule(session: Session, window: str, pool: str) -> str | None:
    """The schedule for which somebody began to look last; None: nobody ever did."""
    mine = (Opening.window == window, Opening.pool == pool, col(Opening.status).startswith(WATCHED))
    found = session.exec(select(Opening.status).where(*mine).order_by(col(Opening.noted_at).desc()).limit(1)).first()
    return None if found is None else found.removeprefix(WATCHED)


def watches(session: Session) -> dict[tuple[str, str], tuple[str, datetime]]:
    """Of each window and pool at which somebody looks: for which schedule, and which openings count by it: those after this moment."""
    mine = select(Opening).where(col(Opening.status).startswith(WATCHED)).order_by(col(Opening.noted_at))
    return {(one.window, one.pool): (one.status.removeprefix(WATCHED), one.opens_at) for one in session.exec(mine)}


def waiting(session: Session, window: str, pool: str) -> dict[datetime, UUID | None]:
    """The openings that wait, each with the run for which it does."""
    query = select(Opening.opens_at, Opening.run_id).where(Opening.window == window, Opening.pool == pool, Opening.status == WAITS)
    return dict(session.exec(query).all())


def since(session: Session, moment: datetime) -> list[Opening]:
    """What opened at *moment* or later, oldest first, and how it was dealt with."""
    mine = (col(Opening.opens_at) >= moment, ~col(Opening.status).startswith(WATCHED))
    return list(session.exec(select(Opening).where(*mine).order_by(col(Opening.opens_at))))


def forget(session: Session, *, before: datetime, limit: int) -> int:
    """Remove what opened that long ago, but for what still says since when somebody looks: the newest of a window in a pool; how many."""
    later = OPENING.alias()
    same = and_(later.c.window == OPENING.c.window, later.c.pool == OPENING.c.pool, later.c.opens_at > OPENING.c.opens_at)
    dealt = select(later.c.window).where(same, later.c.status != WAITS, later.c.opens_at < before).correlate(OPENING)
    looks = select(later.c.window).where(same, later.c.status.startswith(WATCHED), later.c.opens_at < before).correlate(OPENING)
    over = and_(OPENING.c.opens_at < before, OPENING.c.status != WAITS, dealt.exists())
    keys = [OPENING.c[column.name] for column in OPENING.primary_key]
    old = select(*keys).where(over, or_(~OPENING.c.status.startswith(WATCHED), looks.exists())).limit(limit)
    return len(session.connection().execute(delete(OPENING).where(tuple_(*keys).in_(old)).returning(OPENING.c.window)).all())


def _void(now: datetime) -> ColumnElement[Any]:
    """Noted by a clock that was ahead of *now*, and no run came of it."""
    return and_(OPENING.c.status != RUN, OPENING.c.noted_at > now)
