"""When the clock was set back: what was to be due soon by the old time must not wait until the new time gets there."""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlmodel import Session

from state.columns import table
from state.run import Run, Status

RUN = table(Run)


def bring_forward(session: Session, *, now: datetime, lease: timedelta) -> None:
    """Make every parked run due now, and let no taken one be held for longer than a lease from now.

    A run that looks too early looks once more than it would have: that harms nothing, and how long it was to wait nobody can tell any more.
    """
    parked = RUN.c.status.in_((Status.WAITING, Status.READY))
    session.connection().execute(update(RUN).where(RUN.c.due_at > now, parked).values(due_at=now, waits_on=None, updated_at=now))
    held = update(RUN).where(RUN.c.due_at > now + lease, RUN.c.status == Status.RUNNING)
    session.connection().execute(held.values(due_at=now + lease, updated_at=now))
