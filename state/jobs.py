"""Jobs of products that run in some process: a row that its process keeps alive, so that every other one sees whether it is lost."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ColumnElement, and_, delete, or_, update
from sqlmodel import Field, Session, col, select

from state import upsert
from state.columns import Row, UtcDateTime, table
from state.leases import FAR


class JobRow(Row, table=True):
    """One job. *holder*: one life of a process. *state*: "running", "done", "failed", "cancelled". *expires_at*: then it is lost."""

    __tablename__ = "job"

    id: str = Field(primary_key=True)
    run_id: UUID = Field(index=True)
    name: str
    holder: str
    epoch: int = 1
    state: str = "running"
    cancel_requested: bool = False
    expires_at: datetime = Field(sa_type=UtcDateTime)
    fraction: float | None = None
    read: int = Field(default=0, sa_type=BigInteger)
    stored: int = Field(default=0, sa_type=BigInteger)
    point: str = ""
    message: str = ""
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


JOB = table(JobRow)


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this life of a process is at: show it to write."""

    id: str
    holder: str
    epoch: int


def get(session: Session, job_id: str) -> JobRow | None:
    """The job as it stands."""
    return session.get(JobRow, job_id, populate_existing=True)


def of_runs(session: Session, run_ids: Collection[UUID]) -> dict[UUID, JobRow]:
    """The job of each of these runs, where there is one."""
    return {row.run_id: row for row in session.exec(select(JobRow).where(col(JobRow.run_id).in_(run_ids)))}


def claim(session: Session, job_id: str, run_id: UUID, name: str, *, holder: str, now: datetime, lease: timedelta) -> Claim | None:  # noqa: PLR0913 - a row's worth
    """Take the job, new or lost or failed; None when somebody is at it, or it is done.

    One whose end is in the far future is lost too: its process died before the clock was set back, or will find that it has lost it.
    """
    fresh = {"run_id": run_id, "name": name, "holder": holder, "state": "running", "cancel_requested": False, "expires_at": now + lease,
             "fraction": None, "read": 0, "stored": 0, "point": "", "message": "", "details": {}}  # fmt: skip
    statement = upsert.insert(session, JOB).values(id=job_id, epoch=1, **fresh)
    free = or_(JOB.c.state.in_(("failed", "cancelled")), and_(JOB.c.state == "running", _lost(now, lease)))
    changed = statement.on_conflict_do_update(index_elements=["id"], set_={**fresh, "epoch": JOB.c.epoch + 1}, where=free)
    taken = session.connection().execute(changed.returning(JOB.c.epoch)).first()
    return None if taken is None else Claim(job_id, holder, taken.epoch)


def is_lost(row: JobRow, *, now: datetime, lease: timedelta) -> bool:
    """Whether nobody is at work on it though it has not come to its end."""
    return row.state == "running" and (row.expires_at <= now or row.expires_at > now + FAR + lease)


def _lost(now: datetime, lease: timedelta) -> ColumnElement[bool]:
    return or_(JOB.c.expires_at <= now, JOB.c.expires_at > now + FAR + lease)


def write(session: Session, held: Claim, **values: Any) -> bool:
    """Write what the job says of itself; False when somebody else has taken it meanwhile."""
    mine = (JOB.c.id == held.id, JOB.c.holder == held.holder, JOB.c.epoch == held.epoch)
    return bool(session.connection().execute(update(JOB).where(*mine).values(values).returning(JOB.c.id)).first())


def ask_to_end(session: Session, job_id: str, *, now: datetime, lease: timedelta) -> None:
    """It is to be cancelled; its process sees that. One that is lost is cancelled at once."""
    running = update(JOB).where(JOB.c.id == job_id, JOB.c.state == "running")
    session.connection().execute(running.where(_lost(now, lease)).values(state="cancelled", message="it was cancelled"))
    session.connection().execute(running.values(cancel_requested=True))


def cancelled(session: Session, holder: str) -> list[str]:
    """The jobs of this life of a process that are to be cancelled."""
    query = select(JobRow.id).where(JobRow.holder == holder, JobRow.state == "running", col(JobRow.cancel_requested).is_(True))
    return list(session.exec(query))


def ended_before(session: Session, moment: datetime) -> list[tuple[str, UUID]]:
    """The jobs (and their runs) that nobody was at after that moment."""
    return [(row.id, row.run_id) for row in session.exec(select(JobRow).where(col(JobRow.expires_at) < moment))]


def remove(session: Session, job_ids: Collection[str], *, ended_before: datetime) -> None:
    """Remove these jobs, but for one that somebody was at after that moment."""
    session.connection().execute(delete(JOB).where(JOB.c.id.in_(list(job_ids)), JOB.c.expires_at < ended_before))
