"""Runs as people and other programs see them: wanted, found, listed, cancelled, tried again."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from sqlalchemy import Select, bindparam, case, func, union_all, update
from sqlalchemy import select as columns
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from state import history, upsert
from state.columns import table
from state.run import ACTIVE, Phase, Run, Status, of_row

RUN = table(Run)
RETRIABLE = frozenset({Status.STUCK, Status.REFUSED, Status.UNDONE})
FRESH = {"status": Status.READY, "phase": Phase.FORWARD, "claim": 0, "takes": 0, "attempt": 0, "cancel_requested": False,
         "reason": "", "next_command": ""}  # fmt: skip
GIVEN = ("id", "workflow", "pool", "subject", "title", "due_at", "data", "created_at", "updated_at")
CREATE = {
    dialect: insert(RUN)
    .values(FRESH | {name: bindparam(name, type_=RUN.c[name].type) for name in GIVEN})
    .on_conflict_do_nothing()
    .returning(RUN.c.id)
    for dialect, insert in upsert.DIALECTS.items()
}  # built once, as it is carried out for thousands of deletions at a time


class Impossible(Exception):
    """What was asked of the run cannot be done as it stands; the text says why, for the person who asked."""


class Wanted(Protocol):
    """A run that is wanted; `workflows.outcome.Request` is one."""

    @property
    def workflow(self) -> str:
        """The workflow's name."""

    @property
    def pool(self) -> str:
        """The pool's name in the configuration."""

    @property
    def subject(self) -> str:
        """What the run is about, as "kind:uuid"."""

    @property
    def title(self) -> str:
        """What a person calls it."""

    @property
    def data(self) -> dict[str, Any]:
        """What the steps begin with: plain JSON."""

    @property
    def id(self) -> UUID | None:
        """The run's id, where it was chosen before; None: any."""


def create(session: Session, wanted: Wanted, *, now: datetime) -> tuple[Run, bool]:
    """A run for what is wanted, and whether it is new: of one workflow, a subject has one active run at most.

    The caller publishes the run's id when the transaction is committed (or leaves that to the sweeper, which finds it due). With an id
    that was chosen before, the run of that id is the answer, ended or not: it is never created twice.
    """
    fresh = row(wanted, now=now)
    created = session.connection().execute(CREATE[session.get_bind().dialect.name], fresh).first() is not None
    if created:
        return of_row(fresh), True
    there = (wanted.id and get(session, wanted.id)) or active_on(session, wanted)
    if there is None:  # only where writers run beside each other: it ended between the two statements
        return create(session, wanted, now=now)
    return there, False


def row(wanted: Wanted, *, now: datetime) -> dict[str, Any]:
    """The row of a new run, by column; what is not in it has the model's defaults, in memory as in the database."""
    return {
        "id": wanted.id or uuid4(), "workflow": wanted.workflow, "pool": wanted.pool, "subject": wanted.subject, "title": wanted.title,
        "due_at": now, "data": dict(wanted.data), "created_at": now, "updated_at": now,
    }  # fmt: skip


def active_on(session: Session, wanted: Wanted) -> Run | None:
    """The active run of the workflow on the subject, if there is one."""
    same = (Run.workflow == wanted.workflow, Run.pool == wanted.pool, Run.subject == wanted.subject)
    return session.exec(select(Run).where(*same, col(Run.due_at).is_not(None))).first()


def active_of(session: Session, workflow: str, pool: str) -> list[Run]:
    """All active runs of the workflow in the pool."""
    return list(session.exec(select(Run).where(Run.workflow == workflow, Run.pool == pool, col(Run.due_at).is_not(None))))


def had(session: Session, pool: str, workflow: str, subjects: Collection[str]) -> set[str]:
    """Which of the subjects ever had a run of the workflow, whatever became of it."""
    query = select(Run.subject).where(Run.pool == pool, Run.workflow == workflow, col(Run.subject).in_(subjects))
    return set(session.exec(query.distinct()))


def get(session: Session, run_id: UUID) -> Run | None:
    """The run as it stands now."""
    return session.get(Run, run_id, populate_existing=True)


def is_over(session: Session, run_id: UUID) -> bool | None:
    """Whether the run has ended for good: neither active nor stuck; None when there is no such run."""
    run = get(session, run_id)
    return None if run is None else run.status not in ACTIVE | {Status.STUCK}


def failed_on(session: Session, wanted: Wanted) -> bool:
    """Whether a run of the workflow on the subject ended otherwise than done, and none has done it since."""
    same = (Run.workflow == wanted.workflow, Run.pool == wanted.pool, Run.subject == wanted.subject)
    last = session.exec(select(Run).where(*same, col(Run.due_at).is_(None)).order_by(col(Run.created_at).desc()).limit(1)).first()
    return last is not None and last.status is not Status.DONE


def with_prefix(session: Session, prefix: str) -> list[Run]:
    """The runs whose id begins so (dashes or not, at least four digits), newest first, at most ten: enough to say "which one?"."""
    digits = "".join(digit for digit in prefix.lower() if digit in "0123456789abcdef")
    if not 4 <= len(digits) <= 32 or len(digits) != len(prefix.replace("-", "")):
        return []
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))  # ids are in the order of their digits, in both databases
    return list(session.exec(select(Run).where(col(Run.id).between(first, last)).order_by(col(Run.created_at).desc()).limit(10)))


def listed(session: Session, *, statuses: Collection[Status] = ACTIVE, pool: str | None = None, limit: int = 1000) -> list[Run]:
    """The runs in these statuses, newest first, at most *limit*: an index has those of each status in this order."""
    newest = union_all(*(_newest(status, pool, limit) for status in sorted(statuses))).subquery()
    query = select(Run).join(newest, newest.c.id == RUN.c.id).order_by(newest.c.created_at.desc()).limit(limit)
    return list(session.exec(query))


def _newest(status: Status, pool: str | None, limit: int) -> Select[Any]:
    of_status = columns(RUN.c.id, RUN.c.created_at).where(RUN.c.status == status)
    if pool is not None:
        of_status = of_status.where(RUN.c.pool == pool)
    return columns(of_status.order_by(RUN.c.created_at.desc()).limit(limit).subquery())


def counts(session: Session, statuses: Collection[Status] = tuple(Status)) -> dict[Status, int]:
    """How many runs stand in each of these statuses, those with none included. All are counted: a million that ended take a while."""
    found = {row.status: row.many for row in session.connection().execute(_counted(statuses))}
    return {status: found.get(status, 0) for status in Status if status in statuses}


def _counted(statuses: Collection[Status]) -> Select[Any]:
    mine = columns(RUN.c.status, func.count().label("many")).where(RUN.c.status.in_(sorted(statuses)))
    return mine.group_by(RUN.c.status)


def cancel(session: Session, run_id: UUID, *, now: datetime, by: str) -> Run:
    """Ask that the run be given up: after the step at hand, or from where it is stuck, what was done is undone.

    Raises `Impossible` when it is over or undoing, or when another active run has the subject of a stuck one.
    """
    run = _known(session, run_id)
    if run.status not in ACTIVE | {Status.STUCK}:
        raise Impossible(f"the run is over: {run.status}")
    if run.phase is Phase.UNDO:
        raise Impossible("the run is being undone already" + (": try it again" if run.status is Status.STUCK else ""))
    if run.status is Status.STUCK:
        _take_up(session, run, now=now, cancel_requested=True, reason=f"cancelled by {by}")
    else:
        session.connection().execute(
            update(RUN)
            .where(RUN.c.id == run_id, RUN.c.due_at.is_not(None))
            .values(cancel_requested=True, updated_at=now, due_at=case((RUN.c.status == Status.RUNNING, RUN.c.due_at), else_=now))
        )
    history.add(session, run_id, history.Entry(run.step or "", "cancel", f"cancelled by {by}"), now=now)
    return _known(session, run_id)


def retry(session: Session, run_id: UUID, *, now: datetime, by: str) -> Run:
    """Take an ended run up again: a stuck one where it stuck, a refused or undone one from its first step.

    Raises `Impossible` when it is active or done, or when another active run has its subject.
    """
    run = _known(session, run_id)
    if run.status not in RETRIABLE:
        raise Impossible(f"the run is {run.status}: only stuck, refused and undone runs can be tried again")
    anew: dict[str, Any] = {} if run.status is Status.STUCK else {"step": None, "phase": Phase.FORWARD, "approved_by": None}
    _take_up(session, run, now=now, cancel_requested=False, reason=f"tried again by {by}", **anew)
    history.add(session, run_id, history.Entry(run.step or "", "retry", f"tried again by {by}"), now=now)
    return _known(session, run_id)


def approve(session: Session, run_id: UUID, *, now: datetime, by: str) -> Run:
    """Note that *by* approves of what the run is about to do, asked for yet or not; one that waits looks at once.

    The first approval counts. Raises `Impossible` when the run has ended or is being undone: there is nothing to approve of.
    """
    run = _known(session, run_id)
    if run.status not in ACTIVE:
        raise Impossible(f"the run is {run.status}" + (": try it again, then approve it" if run.status in RETRIABLE else ""))
    if run.phase is Phase.UNDO:
        raise Impossible("the run is being undone")
    values = {"approved_by": by, "updated_at": now, "due_at": case((RUN.c.status == Status.RUNNING, RUN.c.due_at), else_=now)}
    approved = session.connection().execute(
        update(RUN).where(RUN.c.id == run_id, RUN.c.due_at.is_not(None), RUN.c.approved_by.is_(None)).values(values)
    )
    if approved.rowcount:
        history.add(session, run_id, history.Entry(run.step or "", "approve", f"approved by {by}"), now=now)
    return _known(session, run_id)


def _take_up(session: Session, run: Run, *, now: datetime, **values: Any) -> None:
    """Make an ended run due, with these columns besides; raises `Impossible` when another active run has its subject."""
    if (other := active_on(session, run)) is not None:
        raise Impossible(f"run {other.id} is at work on the same subject")
    if run.phase is Phase.FORWARD:
        values["evidence"] = None  # that of an undo says why the run was given up, and goes on
    taken_up = update(RUN).where(RUN.c.id == run.id, RUN.c.due_at.is_(None)).values(
        status=Status.READY, due_at=now, takes=0, attempt=0, step_began_at=None, finished_at=None, next_command="", updated_at=now, **values
    )  # fmt: skip
    try:
        session.connection().execute(taken_up)
    except IntegrityError as error:  # only where writers run beside each other: it was created between the two statements
        raise Impossible("another run is at work on the same subject") from error


def _known(session: Session, run_id: UUID) -> Run:
    """The run, which nobody else changes until the transaction ends: what is said of it below holds when it is written."""
    run = session.get(Run, run_id, populate_existing=True, with_for_update={"key_share": True})
    if run is None:
        raise Impossible(f"there is no run {run_id}")
    return run
