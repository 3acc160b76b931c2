"""Runs as workers see them: due, taken, kept, recorded, woken. Who works on a run is decided by one UPDATE."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, and_, bindparam, case, func, literal, null, select, tuple_, update
from sqlmodel import Session

from state import history
from state.columns import UtcDateTime, table
from state.run import Phase, Run, Status, of_row

RUN = table(Run)
KEYS_AT_ONCE = 500  # below every limit of bound parameters


def _checked(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The condition, for rows that are found by their id alone.

    PostgreSQL would find them by an index of the active runs where few or none were active when it counted last: reading all of them.
    """
    return case((condition, 1), else_=0) == 1


# What every step and every look for due runs needs is built once: building it anew costs as much as carrying it out.
NOW = bindparam("now", type_=UtcDateTime())
WAITED = and_(RUN.c.status == Status.WAITING, RUN.c.due_at > RUN.c.updated_at).label("waited")
FRESH = and_(RUN.c.status == Status.READY, RUN.c.due_at == RUN.c.created_at).label("fresh")
DUE = (
    select(RUN.c.id, RUN.c.due_at, WAITED, FRESH)
    .where(RUN.c.due_at <= NOW)
    .order_by(RUN.c.due_at)
    .limit(bindparam("most", type_=Integer()))
)
TAKEN = select(RUN.c.id).where(RUN.c.id == bindparam("run"), _checked(RUN.c.status == Status.RUNNING))
TAKE = (
    update(RUN)
    .where(RUN.c.id == bindparam("run"), _checked(RUN.c.due_at <= NOW))
    .values(
        status=Status.RUNNING, due_at=bindparam("until"), claim=RUN.c.claim + 1, takes=RUN.c.takes + 1, waits_on=None,
        step_began_at=func.coalesce(RUN.c.step_began_at, NOW), updated_at=NOW,
    )
    .returning(RUN)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """How a run stands after a step: the columns that a record writes; see `state.run.Run` for what each means."""

    status: Status
    phase: Phase
    step: str | None
    step_began_at: datetime | None
    due_at: datetime | None
    data: dict[str, Any]
    attempt: int = 0
    waits_on: str | None = None
    reason: str = ""
    next_command: str = ""
    evidence: dict[str, Any] | None = None
    calls: dict[str, Any] | None = None

    def values(self) -> dict[str, Any]:
        """By column."""
        return {name: getattr(self, name) for name in self.__slots__} | {"reason": history.plain(self.reason)}


RECORD = (
    update(RUN)
    .where(RUN.c.id == bindparam("run"), RUN.c.claim == bindparam("held"), _checked(RUN.c.status == Status.RUNNING))
    .values({name: bindparam(name, type_=RUN.c[name].type) for name in (*Change.__slots__, "takes", "updated_at", "finished_at")})
    .values(unknown_since=null())
    .returning(RUN.c.cancel_requested, RUN.c.approved_by)
)


class Due(NamedTuple):
    """A run that somebody may take, and since when.

    *waited*: since a wait is over, which who parked it knows. *fresh*: since it was created, which who did that knows.
    """

    id: UUID
    at: datetime
    waited: bool
    fresh: bool


def due(session: Session, *, now: datetime, limit: int) -> list[Due]:
    """The runs that somebody may take now, longest due first."""
    return [Due(*row) for row in session.connection().execute(DUE, {"now": now, "most": limit})]


@dataclass(frozen=True, slots=True)
class Stray:
    """A run that is due, and whose workflow or step those who took it did not know."""

    id: UUID
    workflow: str
    step: str | None
    phase: Phase
    due_at: datetime


STRAYS = (
    select(*(RUN.c[name] for name in Stray.__slots__))
    .where(RUN.c.unknown_since.is_not(None), RUN.c.due_at <= NOW)
    .order_by(RUN.c.due_at)
    .limit(bindparam("most", type_=Integer()))
)


def strays(session: Session, *, now: datetime, limit: int) -> list[Stray]:
    """Those of the runs that are due which only some of the processes know."""
    return [Stray(*row) for row in session.connection().execute(STRAYS, {"now": now, "most": limit})]


def next_due(session: Session) -> datetime | None:
    """When the next run becomes due (it may be so already); None when no run is active."""
    found: datetime | None = session.connection().execute(select(func.min(RUN.c.due_at)).where(RUN.c.due_at.is_not(None))).scalar()
    return found


def claim(session: Session, run_id: UUID, *, now: datetime, lease: timedelta) -> Run | None:
    """Take the run for *lease*; None when it is over, not due, or held by a live worker."""
    taken = session.connection().execute(TAKE, {"run": run_id, "now": now, "until": now + lease}).first()
    return None if taken is None else of_row(taken._asdict())


def is_taken(session: Session, run_id: UUID) -> bool:
    """Whether somebody took the run and has not recorded what came of it, be the lease over or not."""
    return session.connection().execute(TAKEN, {"run": run_id}).first() is not None


def extend(session: Session, held: Sequence[tuple[UUID, int]], *, until: datetime) -> set[UUID]:
    """Keep the runs held under these claims until then; says which of them are still held."""
    if not held:
        return set()
    kept = session.connection().execute(
        update(RUN).where(RUN.c.status == Status.RUNNING, tuple_(RUN.c.id, RUN.c.claim).in_(held)).values(due_at=until).returning(RUN.c.id)
    )
    return set(kept.scalars())


def record(
    session: Session, run: Run, change: Change, entry: history.Entry | None, *, now: datetime, earlier: Sequence[history.Entry] = ()
) -> bool:
    """Write what a step came to, with its entry and those of *earlier* steps; False (nothing written) when the claim was lost meanwhile.

    *run* then says what was recorded; its cancel_requested and approved_by are the row's. A parked run that somebody cancelled or approved
    meanwhile is due at once.
    """
    values = written(change, now=now)
    row = session.connection().execute(RECORD, {"run": run.id, "held": run.claim, **values}).first()
    if row is None:
        return False
    approved = row.approved_by != run.approved_by
    # past the ORM's tracking: *run* is of no session, and nobody flushes it
    vars(run).update(values, cancel_requested=row.cancel_requested, approved_by=row.approved_by)
    for one in (*earlier, *((entry,) if entry is not None else ())):
        history.add(session, run.id, one, now=now)
    if (run.cancel_requested or approved) and run.phase is Phase.FORWARD and run.status in (Status.WAITING, Status.READY):
        hurry(session, [run.id], now=now)
        run.due_at = now
    return True


def written(change: Change, *, now: datetime) -> dict[str, Any]:
    """What a record writes into the run's row, by column."""
    return change.values() | {"takes": 0, "updated_at": now, "finished_at": now if change.due_at is None else None}


def leave(session: Session, run: Run, entry: history.Entry, *, now: datetime, until: datetime) -> bool:
    """Put the run back as it was taken, for somebody who knows its step; False when the claim was lost. It counts as no taking.

    The first time the *entry* goes into its history. Whoever parks it by a `record` ends that it is unknown.
    """
    mine = (RUN.c.id == run.id, RUN.c.claim == run.claim, RUN.c.status == Status.RUNNING)
    values = {
        "status": Status.WAITING,
        "due_at": until,
        "takes": RUN.c.takes - 1,
        "reason": history.plain(entry.message),
        "updated_at": now,
        "unknown_since": func.coalesce(RUN.c.unknown_since, literal(now, UtcDateTime())),
    }
    left = session.connection().execute(update(RUN).where(*mine).values(values).returning(RUN.c.cancel_requested)).first()
    if left is not None and run.unknown_since is None:
        history.add(session, run.id, entry, now=now)
    return left is not None


def hurry(session: Session, run_ids: Sequence[UUID], *, now: datetime) -> None:
    """Make parked runs due at once; those at work or ended are left alone."""
    parked = RUN.c.status.in_((Status.WAITING, Status.READY))
    session.connection().execute(update(RUN).where(RUN.c.id.in_(run_ids), parked).values(due_at=now, waits_on=None, updated_at=now))


def waiting(session: Session, keys: Iterable[str]) -> list[UUID]:
    """The runs that wait for one of these keys. Only reads: most changes of a pool wake nobody."""
    found: list[UUID] = []
    for some in _portions(keys):
        found += session.connection().execute(select(RUN.c.id).where(RUN.c.waits_on.in_(some))).scalars()
    return found


def wake(session: Session, keys: Iterable[str], *, now: datetime) -> list[UUID]:
    """Make the runs that wait for one of these keys due at once; says which."""
    woken: list[UUID] = []
    for some in _portions(keys):
        ready = update(RUN).where(RUN.c.waits_on.in_(some), RUN.c.status == Status.WAITING)
        woken += session.connection().execute(ready.values(due_at=now, waits_on=None, updated_at=now).returning(RUN.c.id)).scalars()
    return woken


def _portions(keys: Iterable[str]) -> Iterator[list[str]]:
    """The keys, without doubles, in portions that fit a statement."""
    rest = iter(dict.fromkeys(keys))
    while some := list(islice(rest, KEYS_AT_ONCE)):
        yield some
