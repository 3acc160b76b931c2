"""Many runs in one transaction: created in an order that is everybody's, so that of two who create the same ones neither waits for both."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from state import runs
from state.run import Run
from state.runs import Wanted


def create(session: Session, wanted: Sequence[Wanted], *, now: datetime) -> list[tuple[Run, bool]]:
    """As `runs.create` for each of them; what came of it, in the order in which they were given."""
    order = sorted(range(len(wanted)), key=lambda number: _subject(wanted[number]))
    made = {number: runs.create(session, wanted[number], now=now) for number in order}
    return [made[number] for number in range(len(wanted))]


def _subject(wanted: Wanted) -> tuple[str, str, str]:
    return wanted.workflow, wanted.pool, wanted.subject
