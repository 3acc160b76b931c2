"""Moments and runs for the tests of the tables."""

from datetime import UTC, datetime, timedelta

from state import claims, runs
from state.claims import Change
from state.run import Phase, Run, Status
from state.store import Store
from workflows.outcome import Request

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=10)


def later(seconds: float) -> datetime:
    """The moment that many seconds after the tests begin."""
    return START + timedelta(seconds=seconds)


def wanted(subject: str = "vm:1") -> Request:
    """A run that is wanted on the subject."""
    return Request("work", "pool", subject, f"title of {subject}", {"note": 1})


def create(store: Store, subject: str = "vm:1", at: datetime = START) -> Run:
    """A new run on the subject."""
    with store.write() as session:
        return runs.create(session, wanted(subject), now=at)[0]


def claim(store: Store, run: Run, at: datetime = START) -> Run | None:
    """Take the run."""
    with store.write() as session:
        return claims.claim(session, run.id, now=at, lease=LEASE)


def claimed(store: Store, subject: str = "vm:1") -> Run:
    """A new run that was taken."""
    run = claim(store, create(store, subject))
    assert run is not None
    return run


LATER = later(60)


def parked(on: str | None = None, until: datetime = LATER, phase: Phase = Phase.FORWARD) -> Change:
    """The change of a run that waits."""
    return Change(Status.WAITING, phase, "first", START, until, {"note": 2}, waits_on=on, reason="waits")


def ended(status: Status = Status.DONE, phase: Phase = Phase.FORWARD) -> Change:
    """The change of a run that ends."""
    return Change(status, phase, "first", START, None, {}, reason="why", next_command="type this", evidence={"seen": 1})


def record(store: Store, run: Run, change: Change, at: datetime = START) -> bool:
    """Record the change under the claim that *run* holds."""
    with store.write() as session:
        return claims.record(session, run, change, None, now=at)


def read(store: Store, run: Run) -> Run:
    """The run as its row says."""
    with store.read() as session:
        found = runs.get(session, run.id)
    assert found is not None
    return found
