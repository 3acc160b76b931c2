import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from state import leases
from state.leases import Lease
from state.store import Store
from tests.listener import watched
from tests.listener.conftest import Watch
from tests.listener.watched import QUICK, until

LONG = replace(QUICK, lease=timedelta(minutes=10), ask=timedelta(minutes=10))
KEPT = replace(QUICK, lease=timedelta(minutes=2))  # however long a busy machine keeps its thread waiting


def take(store: Store, duration: timedelta, *, after: timedelta = timedelta(0)) -> Lease:
    """Somebody else takes the lease, when it is free *after* so long."""
    with store.write() as session:
        lease = leases.acquire(session, "listener:lab", "somebody else", now=datetime.now(UTC) + after, duration=duration)
    assert lease
    return lease


@pytest.fixture
def two(pool: SimulatedPool, watch: Watch) -> tuple[watched.Watched, watched.Watched]:
    """Two listeners of one pool: the first is active, the second stands by."""
    first = watch(pool, settings=KEPT).settle()
    return first, watch(pool)


def test_one_of_two_listeners_is_active(two: tuple[watched.Watched, watched.Watched], pool: SimulatedPool, other: Client) -> None:
    """The other does not even log in; a deletion becomes one run."""
    first, second = two
    watched.destroy(other, [next(iter(watched.vms(pool).values()))])
    until(lambda: first.published)
    assert (first.meters.active, second.meters.active, second.client.epoch) == (True, False, 0)
    assert (len(first.published), len(second.published)) == (1, 0)


def test_a_listener_that_stops_hands_over(two: tuple[watched.Watched, watched.Watched], pool: SimulatedPool, other: Client) -> None:
    """It gives the lease back; the other finds what was deleted in between, and not again what was followed already."""
    first, second = two
    refs = list(watched.vms(pool).values())
    watched.destroy(other, refs[:1])
    until(first.runs)
    first.stop()
    watched.destroy(other, refs[1:2])
    until(lambda: len(second.runs()) == 2 and second.meters.active and second.published)
    assert len(second.published) == 1


def test_a_listener_that_died_is_followed_when_its_lease_ends(pool: SimulatedPool, store: Store, watch: Watch) -> None:
    """Nobody gives it back then, so it is waited for."""
    take(store, timedelta(seconds=1))
    watching = watch(pool)
    until(lambda: watching.meters.active)


def test_a_listener_whose_lease_was_taken_stands_by(pool: SimulatedPool, store: Store, other: Client, watch: Watch) -> None:
    """As after a long pause of its process: it writes nothing more, and comes back when the lease is free again."""
    watching = watch(pool).settle()
    theirs = take(store, timedelta(minutes=10), after=timedelta(minutes=1))
    watched.destroy(other, [next(iter(watched.vms(pool).values()))])
    until(lambda: not watching.meters.active)
    assert watching.runs() == []
    with store.write() as session:
        leases.release(session, theirs, now=datetime.now(UTC))
    until(lambda: watching.runs() and watching.meters.active)


def test_a_listener_stops_while_its_calls_wait(pool: SimulatedPool, watch: Watch) -> None:
    """Its calls would wait for ten minutes; they are cut, and the lease is free at once."""
    watching = watch(pool, settings=LONG).settle()
    watching.halt()
    assert [thread.name for thread in threading.enumerate() if thread.name.endswith(" of lab")] == []
    with watching.store.write() as session:
        assert leases.acquire(session, "listener:lab", "the next", now=datetime.now(UTC), duration=timedelta(seconds=1))


def test_a_listener_starts_before_its_pool_can_be_reached(pool: SimulatedPool, watch: Watch) -> None:
    """It keeps trying, and is there when the pool is."""
    pool.control.fail("session.login_with_password", ["HOST_STILL_BOOTING"], times=5)
    assert watch(pool).settle().known() == set(watched.vms(pool))
