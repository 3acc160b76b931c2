"""Runs as who tells people of them looks for them: those that wait for a word, and those about certain subjects."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, col, select

from state.run import Run, Status


def on_approval(session: Session) -> list[Run]:
    """The runs that an approval would wake, oldest first."""
    mine = select(Run).where(col(Run.waits_on).startswith("approval:"), Run.status == Status.WAITING)
    return list(session.exec(mine.order_by(col(Run.created_at))))


def of_subjects(session: Session, pool: str, workflow: str, subjects: Collection[str], *, since: datetime) -> list[Run]:
    """The runs of the workflow on these subjects of the pool that were created since then, oldest first."""
    mine = (Run.pool == pool, col(Run.subject).in_(subjects), Run.workflow == workflow, col(Run.created_at) >= since)
    return list(session.exec(select(Run).where(*mine).order_by(col(Run.created_at))))
