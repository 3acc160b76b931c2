from datetime import UTC, datetime, timedelta
from uuid import uuid4

from state import claims, leases, runs, standing
from state.claims import Change
from state.run import Phase, Status
from state.store import Store
from workflows.outcome import Request

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=15)


def begin(store: Store, workflow: str, subject: str, at: datetime = NOON) -> None:
    with store.write() as session:
        runs.create(session, Request(workflow, "lab", subject, subject), now=at)


def test_leases_are_listed_with_whoever_took_them_last(store: Store) -> None:
    """One that is held, one whose time is over, and one that was given back; each with how often it was taken."""
    with store.write() as session:
        leases.acquire(session, "scheduler", "one", now=NOON - LEASE, duration=LEASE)
        leases.acquire(session, "scheduler", "two", now=NOON, duration=LEASE)
        leases.acquire(session, "listener:lab", "two", now=NOON - 2 * LEASE, duration=LEASE)
        taken = leases.acquire(session, "listener:attic", "one", now=NOON, duration=LEASE)
        assert taken is not None
        leases.release(session, taken, now=NOON)
    with store.read() as session:
        found = {held.name: held for held in standing.held(session, now=NOON)}
    assert [*found] == ["listener:attic", "listener:lab", "scheduler"]
    assert [held.is_held for held in found.values()] == [False, False, True]
    assert (found["scheduler"].holder, found["scheduler"].epoch, found["scheduler"].until) == ("two", 2, NOON + LEASE)


def test_a_lease_of_a_clock_that_was_ahead_is_held_by_nobody(store: Store) -> None:
    """Its end is too far away to be true, and whoever asks would get it."""
    with store.write() as session:
        leases.acquire(session, "scheduler", "one", now=NOON + timedelta(days=1), duration=LEASE)
    with store.read() as session:
        (held,) = standing.held(session, now=NOON)
    assert not held.is_held


def test_what_is_due_is_counted_with_the_oldest(store: Store) -> None:
    """Runs that will be due later do not count; with none due there is no lag."""
    with store.read() as session:
        assert standing.due(session, now=NOON) == standing.Due(0, None)
    begin(store, "reclaim-vfs", "vm:1", NOON - timedelta(seconds=9))
    begin(store, "reclaim-vfs", "vm:2", NOON)
    begin(store, "reclaim-vfs", "vm:3", NOON + timedelta(seconds=1))
    with store.read() as session:
        found = standing.due(session, now=NOON)
    assert found.count == 2
    assert found.lag(NOON) == timedelta(seconds=9)
    assert standing.Due(0, None).lag(NOON) == timedelta()


def test_of_a_workflow_the_active_runs_alone(store: Store) -> None:
    """Neither another workflow's nor one that has ended."""
    begin(store, "keep-window", "window:night")
    begin(store, "keep-window", "window:day")
    begin(store, "back-up-vm", "vm:1")
    with store.write() as session:
        (over,) = [run for run in standing.active(session, "keep-window") if run.subject == "window:day"]
        taken = claims.claim(session, over.id, now=NOON, lease=LEASE)
        assert taken is not None
        assert claims.record(session, taken, Change(Status.DONE, Phase.FORWARD, "close", None, None, {}), None, now=NOON)
    with store.read() as session:
        assert [run.subject for run in standing.active(session, "keep-window")] == ["window:night"]
        assert standing.active(session, str(uuid4())) == []
