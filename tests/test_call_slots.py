"""The limit of calls into a pool, shared by the rows among worker processes."""

import logging
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from orchestrator import call_slots
from orchestrator.call_slots import CallSlots, share
from orchestrator.xapi.turns import Turns
from state import standing
from state.clock import Clock
from state.store import Away, Store
from tests.engine.waiting import until
from tests.services.postgres import OwnPostgres

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STOP = threading.Event()


class Time:
    """A time that is set: that of the rows, and that which goes on while a process is stopped."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def elapsed(self) -> float:
        return self.seconds


class Process:
    """The shares of one worker process."""

    def __init__(self, store: Store, time: Time, most: dict[str, int]) -> None:
        self.turns = {pool: Turns(pool, 0, clock=time.elapsed) for pool in most}
        self.slots = CallSlots(store, self.turns, most, time.now, time.elapsed)

    @property
    def lab(self) -> Turns:
        return self.turns["lab"]

    def beat(self) -> None:
        self.slots.beat()


class Cluster:
    """Worker processes on one database, whose time passes in beats."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.time = Time()

    def process(self, **most: int) -> Process:
        return Process(self.store, self.time, most or {"lab": 4})

    def pass_time(self, seconds: float, *alive: Process) -> None:
        """Time goes on, and who lives looks every second."""
        for _ in range(int(seconds)):
            self.time.seconds += 1
            for one in alive:
                one.beat()

    def held(self, pool: str = "lab") -> int:
        with self.store.read() as session:
            found = standing.held(session, now=self.time.now())
        return sum(one.is_held for one in found if one.name.startswith(f"calls:{pool}:"))


@pytest.fixture(params=["sqlite", "postgresql"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """One, on each kind of database."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    store = Store(url)
    yield Cluster(store)
    store.close()


@pytest.mark.parametrize("most", range(1, 20))
@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 17, 40])
def test_the_shares_of_all_together_are_the_limit(most: int, count: int) -> None:
    """At every moment; none differs from another by more than one call, and within some rounds everybody has one."""
    members = [f"calls#{number}" for number in range(count)]
    had: set[str] = set()
    for round_ in range(count):
        now = NOON + timedelta(seconds=call_slots.ROUND * round_)
        shares = {name: share(most, members, name, "lab", now) for name in members}
        assert sum(shares.values()) == most
        assert max(shares.values()) - min(shares.values()) <= 1
        had |= {name for name, calls in shares.items() if calls}
    assert had == set(members)


def test_nobody_calls_before_the_rows_were_seen(cluster: Cluster) -> None:
    """Then a process that is alone has the whole limit, of each pool its own."""
    one = cluster.process(lab=4, attic=2)
    assert [turns.most for turns in one.turns.values()] == [0, 0]
    one.beat()
    assert [turns.most for turns in one.turns.values()] == [4, 2]


def test_a_process_that_comes_gets_its_share_and_who_leaves_gives_it_back(cluster: Cluster) -> None:
    """Within a second or two; there are never more than the limit."""
    one, two, three = (cluster.process() for _ in range(3))
    one.beat()
    for others in ((two,), (two, three)):
        cluster.pass_time(3, one, *others)
        found = sorted(process.lab.most for process in (one, *others))
        assert found == ([2, 2] if len(others) == 1 else [1, 1, 2])
        assert cluster.held() == 4
    two.slots.leave()
    two.slots.run(STOP)
    assert two.lab.most == 0
    cluster.pass_time(2, one, three)
    assert [one.lab.most, three.lab.most] == [2, 2]


def test_a_share_is_given_back_when_no_call_uses_it(cluster: Cluster) -> None:
    """Calls in flight keep what they use; no call begins above the share meanwhile."""
    one, two = cluster.process(), cluster.process()
    one.beat()
    for _ in range(4):
        one.lab.take(0, STOP)
    cluster.pass_time(5, one, two)
    assert (one.lab.most, two.lab.most, cluster.held()) == (2, 0, 4)
    one.lab.give_back()
    cluster.pass_time(1, one, two)
    assert (one.lab.most, two.lab.most, cluster.held()) == (2, 1, 4)
    one.lab.give_back()
    cluster.pass_time(1, one, two)
    assert (one.lab.most, one.lab.in_flight, two.lab.most) == (2, 2, 2)


def test_the_share_of_a_process_that_died_goes_to_the_others(cluster: Cluster) -> None:
    """When its leases have ended, and not before: its calls may be in flight yet."""
    one, two = cluster.process(), cluster.process()
    cluster.pass_time(3, one, two)
    cluster.pass_time(6, one)
    assert one.lab.most == 2
    cluster.pass_time(5, one)
    assert one.lab.most == 4


def test_a_process_that_was_paused_calls_nobody_before_it_has_looked(cluster: Cluster) -> None:
    """Its share is others' by then; when it looks it gets one anew, and has not a call more than that."""
    one, two = cluster.process(), cluster.process()
    cluster.pass_time(3, one, two)
    cluster.pass_time(15, one)
    assert (one.lab.most, two.lab.most) == (4, 0)
    two.beat()
    assert two.lab.most == 0
    cluster.pass_time(call_slots.GRACE + 2, one, two)
    assert (one.lab.most, two.lab.most, cluster.held()) == (2, 2, 4)


def test_more_processes_than_calls_have_them_in_turn(cluster: Cluster) -> None:
    """Nobody waits for ever, and there is never one call too many."""
    processes = [cluster.process(lab=2) for _ in range(5)]
    had = [0] * 5
    for _ in range(60):
        cluster.pass_time(1, *processes)
        now = [process.lab.most for process in processes]
        assert sum(now) <= 2
        had = [seconds + most for seconds, most in zip(had, now, strict=True)]
    assert min(had) >= 60 * 2 / 5 / 2, had


def test_while_the_database_is_away_everybody_keeps_what_they_have(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can take it; when it is back all renew before any takes, whoever comes first. It is said once."""
    one, two = cluster.process(), cluster.process()
    cluster.pass_time(3, one, two)
    with monkeypatch.context() as patch:
        patch.setattr(cluster.store, "do", _away)
        with caplog.at_level(logging.WARNING):
            cluster.pass_time(60, one, two)
        assert (one.lab.most, two.lab.most) == (2, 2)
        assert len(caplog.messages) == 2
    for first, second in ((one, two), (two, one)):
        cluster.time.seconds += 1
        first.beat()
        assert (first.lab.most, second.lab.most) == (2, 2)
        second.beat()
    cluster.pass_time(10, one, two)
    assert (one.lab.most, two.lab.most, cluster.held()) == (2, 2, 4)


def test_who_was_paused_while_the_database_went_away_does_not_call(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a look that failed in time says that nothing was lost."""
    one = cluster.process()
    cluster.pass_time(3, one)
    monkeypatch.setattr(cluster.store, "do", _away)
    cluster.time.seconds += 12
    cluster.pass_time(3, one)
    assert one.lab.most == 0


def _away(*_: Any, **__: Any) -> None:
    raise Away("the database is away")


def test_processes_that_look_at_the_same_time_never_have_too_many(postgres_url: str) -> None:
    """Six, each with a connection of its own, that come, go and die as they like: every call is one process's."""
    time, stores = Time(), [Store(postgres_url) for _ in range(6)]
    processes = [Process(store, time, {"lab": 5}) for store in stores]
    with ThreadPoolExecutor(6) as several:
        for round_ in range(40):
            time.seconds += 1
            alive = [one for number, one in enumerate(processes) if (round_ // 12 + number) % 4]
            list(several.map(Process.beat, alive))
            assert sum(one.lab.most for one in processes) <= 5
    time.seconds += 1
    for _ in range(6):
        time.seconds += 1
        for one in processes:
            one.beat()
    assert sum(one.lab.most for one in processes) == 5
    for store in stores:
        store.close()


def test_a_part_keeps_the_share_until_nobody_calls_any_more(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is asked to stop finishes its steps: what it has is given back after them, not before."""
    monkeypatch.setattr(call_slots, "BEAT", 0.01)
    one, stop = cluster.process(), threading.Event()
    thread = threading.Thread(target=one.slots.run, args=(stop,))
    thread.start()
    until(lambda: one.lab.most == 4)
    stop.set()
    thread.join(0.2)
    assert (thread.is_alive(), one.lab.most, cluster.held()) == (True, 4, 4)
    one.slots.leave()
    thread.join(60)
    assert (one.lab.most, cluster.held()) == (0, 0)


def test_shares_outlast_a_database_that_restarts(own_postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """With real processes' timing: whoever had calls has them throughout, and the two never have too many."""
    monkeypatch.setattr(call_slots, "BEAT", 0.1)
    with own_postgres.database() as url:
        stores = [Store(url) for _ in range(2)]
        turns = [{"lab": Turns("lab", 0)} for _ in stores]
        clocks = [Clock(store) for store in stores]
        both = [CallSlots(store, mine, {"lab": 4}, clock) for store, mine, clock in zip(stores, turns, clocks, strict=True)]
        threads = [threading.Thread(target=one.run, args=(STOP,)) for one in both]
        for thread in threads:
            thread.start()
        until(lambda: [one["lab"].most for one in turns] == [2, 2])
        seen: set[tuple[int, ...]] = set()

        def watched(began: float) -> bool:
            seen.add(tuple(one["lab"].most for one in turns))
            return monotonic() - began > call_slots.GRACE + 1

        own_postgres.stop(signal.SIGQUIT)
        stopped = monotonic()
        until(lambda: watched(stopped))
        own_postgres.start()
        started = monotonic()
        until(lambda: watched(started))
        assert seen == {(2, 2)}
        for one, thread in zip(both, threads, strict=True):
            one.leave()
            thread.join(60)
        for store in stores:
            store.close()
