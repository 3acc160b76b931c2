"""Runs that ended long ago are removed with all that was recorded of them, a few at a time; those stay that something still goes by."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, cast, delete, exists, literal, or_, select, tuple_
from sqlmodel import Session

from state.backups import LATEST, Backup
from state.columns import UtcDateTime, table
from state.history import History
from state.holds import Hold
from state.jobs import JobRow
from state.ports import LeakHold
from state.promises import Promise
from state.run import Run, Status

UUIDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
OVER = (Status.DONE, Status.REFUSED, Status.UNDONE)  # a stuck run waits for a person, however long
AT_ONCE = 500  # below every limit of bound parameters
DEEPEST = 20

RUN, HISTORY, BACKUP = table(Run), table(History), table(Backup)
DATA = cast(RUN.c.data, String).label("data")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far was looked: up to this run of those in this status, in the order in which they were created."""

    status: Status
    created_at: datetime
    run_id: UUID


@dataclass(frozen=True, slots=True)
class Batch:
    """*runs*: those that may go, *kept*: how many of the same age stay. *mark*: where to go on; None: all were looked at."""

    runs: tuple[UUID, ...]
    kept: int
    mark: Mark | None


def needed(session: Session) -> frozenset[UUID]:
    """The runs that are active or stuck, and those that these name in their data, with what those name in their turn."""
    active, stuck = select(RUN.c.id, DATA).where(RUN.c.due_at.is_not(None)), select(RUN.c.id, DATA).where(RUN.c.status == Status.STUCK)
    unfinished = [*session.connection().execute(active), *session.connection().execute(stuck)]
    found = {row.id for row in unfinished}
    asked: set[UUID] = set(found)
    rows: Sequence[Any] = unfinished
    for _ in range(DEEPEST):
        named = [one for one in {UUID(text) for row in rows for text in UUIDS.findall(row.data)} if one not in asked]
        if not named:
            break
        asked.update(named)
        rows = [row for start in range(0, len(named), AT_ONCE) for row in _of(session, named[start : start + AT_ONCE])]
        found.update(row.id for row in rows)
    return frozenset(found)


def _of(session: Session, ids: Sequence[UUID]) -> Sequence[Any]:
    return session.connection().execute(select(RUN.c.id, DATA).where(RUN.c.id.in_(ids))).all()


def look(
    session: Session, *, before: datetime, after: Mark | None, limit: int, needed: Collection[UUID], remembered: Collection[str]
) -> Batch:
    """Which of the next runs that ended before that moment may go. In a transaction that writes nobody else changes them until its end.

    *remembered*: workflows whose newest run on a subject is what is known of that, and stays.
    """
    query = _next(after, before, limit, remembered)
    rows = session.connection().execute(_locked(session, query)).all()
    lines = select(BACKUP.c.id).where(BACKUP.c.id.in_([row.id for row in rows]), _among_the_latest())
    stay = set(session.connection().execute(lines).scalars())
    stay.update(row.id for row in rows if row.kept or row.id in needed or _names(row.data, needed))
    ids = tuple(row.id for row in rows if row.id not in stay)
    status = after.status if after is not None else OVER[0]
    return Batch(ids, len(rows) - len(ids), _further(status, rows, limit, before))


def _next(after: Mark | None, before: datetime, limit: int, remembered: Collection[str]) -> Select[Any]:
    status = after.status if after is not None else OVER[0]
    query = select(RUN.c.id, RUN.c.created_at, DATA, _is_kept(remembered).label("kept"))
    query = query.where(RUN.c.status == status, RUN.c.created_at < before, RUN.c.finished_at < before)
    if after is not None:
        at, last = literal(after.created_at, UtcDateTime()), literal(after.run_id, RUN.c.id.type)
        query = query.where(RUN.c.created_at >= at, tuple_(RUN.c.created_at, RUN.c.id) > tuple_(at, last))
    return query.order_by(RUN.c.created_at, RUN.c.id).limit(limit)


def _further(status: Status, rows: Sequence[Any], limit: int, before: datetime) -> Mark | None:
    """After the last one; where there was no more, the first of the next status."""
    if len(rows) == limit:
        return Mark(status, rows[-1].created_at, rows[-1].id)
    rest = OVER[OVER.index(status) + 1 :]
    return Mark(rest[0], datetime(1970, 1, 1, tzinfo=before.tzinfo), UUID(int=0)) if rest else None


def remove(session: Session, ids: Sequence[UUID]) -> int:
    """Remove these runs with their history and their lines of the catalogue; how many runs."""
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        session.connection().execute(delete(HISTORY).where(HISTORY.c.run_id.in_(some)))
        session.connection().execute(delete(BACKUP).where(BACKUP.c.id.in_(some)))
        session.connection().execute(delete(RUN).where(RUN.c.id.in_(some), RUN.c.due_at.is_(None)))
    return len(ids)


def remove_lines(session: Session, *, before: datetime, limit: int) -> int:
    """Remove lines of the catalogue of that age that no run belongs to (nothing was begun for them); how many."""
    of_none = ~exists(select(RUN.c.id).where(RUN.c.id == BACKUP.c.id))
    old = select(BACKUP.c.id).where(BACKUP.c.began_at < before, of_none, ~_among_the_latest()).limit(limit)
    return len(session.connection().execute(delete(BACKUP).where(BACKUP.c.id.in_(old)).returning(BACKUP.c.id)).all())


def _is_kept(remembered: Collection[str]) -> ColumnElement[bool]:
    """Whether something goes by the run: what it has for itself, a job, or that it is the newest of its kind."""
    others = (table(Hold), table(LeakHold), table(Promise), table(JobRow))
    has = [exists(select(other.c.run_id).where(other.c.run_id == RUN.c.id)) for other in others]
    later = RUN.alias()
    followed = select(later.c.id).where(
        later.c.pool == RUN.c.pool, later.c.subject == RUN.c.subject, later.c.workflow == RUN.c.workflow,
        later.c.created_at > RUN.c.created_at,
    )  # fmt: skip
    newest = RUN.c.workflow.in_(sorted(remembered)) & ~exists(followed)
    return or_(newest, *has)


def _among_the_latest() -> ColumnElement[bool]:
    """Whether a line is of one of the backups by which the next one is planned."""
    later = BACKUP.alias()
    newer = select(later.c.id).where(
        later.c.pool == BACKUP.c.pool, later.c.vm == BACKUP.c.vm, later.c.policy == BACKUP.c.policy, later.c.status == "saved",
        later.c.began_at > BACKUP.c.began_at,
    )  # fmt: skip
    return (BACKUP.c.status == "saved") & ~exists(newer.correlate(BACKUP).limit(1).offset(LATEST - 1))


def _names(data: str, needed: Collection[UUID]) -> bool:
    """Whether it is the child of one that is needed, or follows it."""
    return any(UUID(text) in needed for text in UUIDS.findall(data))


def _locked(session: Session, query: Select[Any]) -> Select[Any]:
    """One that a person takes up again this moment is left out."""
    reads = session.connection().get_execution_options().get("vfo_reads_only")
    return query if reads else query.with_for_update(of=RUN, skip_locked=True)
