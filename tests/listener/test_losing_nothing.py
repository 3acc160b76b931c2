"""What the pool, the network and we ourselves may do to a listener: no deletion is ever missed, and none is followed twice."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from tests.listener import watched
from tests.listener.conftest import Start, Watch
from tests.listener.watched import QUICK, Watched, until
from tests.listener.wire import Wire

HOSTS = ("host1", "host2", "host3")


def delete(pool: SimulatedPool, count: int) -> set[str]:
    """Delete so many halted VMs as another client does; what runs about them would be about."""
    some = dict(list(watched.vms(pool, running=False).items())[:count])
    assert len(some) == count
    client = watched.client_of(pool)
    watched.destroy(client, list(some.values()))
    client.close()
    return {f"vm:{uuid}" for uuid in some}


def followed(watching: Watched, subjects: set[str]) -> bool:
    """Whether each of them has become a run, once."""
    counted = Counter(watching.subjects())
    assert set(counted) <= subjects
    assert set(counted.values()) <= {1}
    return set(counted) == subjects


def complete(watching: Watched) -> bool:
    """Whether the mirror has as many VMs as the pool."""
    return watching.meters.objects.get("vm") == len(watching.pool.database.refs("VM"))


def test_six_hundred_deletions_while_the_network_was_silent(start: Start, watch: Watch) -> None:
    """More than the pool remembers, and no error: only the counts tell, and the class is loaded anew (story 47)."""
    pool = start(vms=1300)
    with Wire(pool.url) as wire:
        watching = watch(pool, wire.url, settings=replace(QUICK, watchdog=timedelta(hours=1))).settle()
        wire.hold()
        subjects = delete(pool, 600)
        wire.mend()
        until(lambda: followed(watching, subjects))
        assert watching.meters.class_reloads > 0
        assert watching.meters.loads == 1
        assert complete(watching)
        watching.stop()


def test_six_hundred_deletions_while_we_were_cut_off(start: Start, watch: Watch) -> None:
    """The connections died; everything is loaded when the pool is there again."""
    pool = start(vms=1300)
    with Wire(pool.url) as wire:
        watching = watch(pool, wire.url).settle()
        wire.cut()
        subjects = delete(pool, 600)
        wire.mend()
        until(lambda: followed(watching, subjects))
        assert complete(watching)
        watching.stop()


def test_a_deletion_during_a_deaf_stream_is_found_by_the_watchdog(pool: SimulatedPool, watch: Watch) -> None:
    """event.from answers nobody for an hour, other calls do: the touch does not come back, and all is loaded without it (story 50)."""
    watching = watch(pool).settle()
    pool.control.deaf(3600)
    subjects = delete(pool, 2)
    until(lambda: followed(watching, subjects))
    assert watching.meters.restarts > 0


def test_a_deaf_stream_that_hears_again_is_followed_again(pool: SimulatedPool, watch: Watch) -> None:
    """After the pool has recovered, deletions come by event."""
    watching = watch(pool).settle()
    pool.control.deaf(3600)
    until(lambda: watching.meters.restarts)
    pool.control.deaf(0)
    restarts = watching.meters.restarts
    lag = watching.meters.lag_seconds
    until(lambda: watching.meters.lag_seconds != lag)
    subjects = delete(pool, 2)
    until(lambda: followed(watching, subjects))
    assert watching.meters.restarts - restarts <= 1


def test_a_pool_that_is_deaf_from_the_beginning_is_listened_to(pool: SimulatedPool, watch: Watch) -> None:
    """What was deleted while nobody looked is found although event.from answers nobody."""
    watch(pool).settle().stop()
    subjects = delete(pool, 2)
    pool.control.deaf(3600)
    assert followed(watch(pool).settle(), subjects)


def test_a_stream_that_waits_for_an_old_session_is_not_waited_for(pool: SimulatedPool, watch: Watch) -> None:
    """Another thread found the session dead, or another coordinator; the stream's own connection says nothing and would wait on."""
    watching = watch(pool, settings=replace(QUICK, ask=timedelta(minutes=10), watchdog=timedelta(hours=1))).settle()
    login = watching.client._login
    login.leave(login.session())
    watching.client.call("pool.get_all")
    until(lambda: watching.meters.loads > 1)


@pytest.mark.parametrize("old_answers", [True, False], ids=["the old one refers to the new one", "the old one is dead"])
def test_a_deletion_during_a_failover_is_found(pool: SimulatedPool, watch: Watch, *, old_answers: bool) -> None:
    """Another coordinator: a new session, and everything is loaded from there."""
    watching = watch(pool).settle()
    pool.control.failover("host2", old_answers=old_answers)
    subjects = delete(pool, 2)
    until(lambda: followed(watching, subjects))
    assert complete(watching)


def test_a_coordinator_whose_database_is_older_is_not_waited_for_in_silence(pool: SimulatedPool, watch: Watch) -> None:
    """Our token is of its future, which it accepts and never answers: a new coordinator is loaded from, whatever the token."""
    watching = watch(pool).settle()
    pool.control.failover("host2", old_answers=True, behind=1000)
    subjects = delete(pool, 2)
    until(lambda: followed(watching, subjects))


def test_a_deletion_during_a_toolstack_restart_is_found(pool: SimulatedPool, other: Client, watch: Watch) -> None:
    """Connections die, nobody answers for a second, and then everything is as before but for what was deleted."""
    watching = watch(pool).settle()
    loads = watching.meters.loads
    pool.control.toolstack_restart(1.0)
    subjects = delete(pool, 2)
    until(lambda: followed(watching, subjects))
    assert watching.meters.loads > loads


@pytest.mark.parametrize("error", [["SESSION_INVALID", "OpaqueRef:x"], ["EVENT_FROM_TOKEN_PARSE_FAILURE", "x"], ["INTERNAL_ERROR", "x"]])
def test_an_error_of_the_stream_leads_to_a_full_load(pool: SimulatedPool, watch: Watch, error: list[str]) -> None:
    """Whatever event.from says: what happened meanwhile is found by comparing (story 49)."""
    watching = watch(pool).settle()
    pool.control.fail("event.from", error, times=4)
    subjects = delete(pool, 2)
    until(lambda: followed(watching, subjects))
    until(lambda: watching.meters.loads > 1)


def test_two_thousand_deletions_in_a_week_away(start: Start, watch: Watch) -> None:
    """Nobody listened; the next start finds every one of them from what the store knows, and the start after that finds nothing."""
    pool = start(vms=5000)
    watch(pool).settle().stop()
    before = set(watched.vms(pool))
    some = list(watched.vms(pool).values())[:2000]
    for ref in some:
        pool.destroy_vm(ref)
    subjects = {f"vm:{uuid}" for uuid in before - set(watched.vms(pool))}
    back = watch(pool).settle()
    assert len(subjects) == 2000
    assert followed(back, subjects)
    assert len(set(back.published)) == 2000
    back.stop()
    assert watch(pool).settle().published == []


def test_the_slow_reconcile_finds_what_no_event_told(pool: SimulatedPool, watch: Watch) -> None:
    """Everything is loaded again and again, whatever the events say."""
    watching = watch(pool, settings=replace(QUICK, reconcile=timedelta(seconds=0.5))).settle()
    until(lambda: watching.meters.loads > 2)
    assert watching.meters.failures == 0
