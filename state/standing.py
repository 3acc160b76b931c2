"""How everything stands, for those who watch: who holds which lease, what is due, what windows are kept. Nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from state import leases
from state.leases import LeaseRow
from state.run import Run


@dataclass(frozen=True, slots=True)
class Held:
    """A lease: by whom it was taken last, how often it was taken, and until when it is held. *is_held*: somebody has it now, *since*."""

    name: str
    holder: str
    epoch: int
    until: datetime
    is_held: bool
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """How many runs somebody could take now and has not (*count*, at most *most*), and since when the first of them."""

    count: int
    since: datetime | None

    def lag(self, now: datetime) -> timedelta:
        """How late the first of them is."""
        return max(timedelta(), now - self.since) if self.since else timedelta()


def held(session: Session, *, now: datetime) -> list[Held]:
    """Every lease that was ever taken, by name."""
    found = session.exec(select(LeaseRow).order_by(col(LeaseRow.name)))
    far = now + leases.FAR * 2  # written by a clock that was ahead: see `leases.acquire`
    return [Held(row.name, row.holder, row.epoch, row.expires_at, now < row.expires_at <= far, row.since) for row in found]


def due(session: Session, *, now: datetime, most: int = 100_000) -> Due:
    """The runs that are due. Costs what they are, however many have ended."""
    waiting = select(Run.due_at).where(col(Run.due_at) <= now).limit(most).subquery()
    count, since = session.exec(select(func.count(), func.min(waiting.c.due_at)).select_from(waiting)).one()
    return Due(count, since)


def active(session: Session, workflow: str) -> Sequence[Run]:
    """The active runs of one workflow, by pool and subject."""
    mine = select(Run).where(Run.workflow == workflow, col(Run.due_at).is_not(None))
    return session.exec(mine.order_by(col(Run.pool), col(Run.subject))).all()
