"""How many VFs there are, counted and written down over time, and what is made of that."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.bootstrap import PoolAccess
from orchestrator.capacity import Capacity
from orchestrator.ledger import PoolLedger
from orchestrator.reconcile import Accounts
from orchestrator.retention import Retention
from orchestrator.simulator import SimulatedPool
from orchestrator.views import capacity as view
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from orchestrator.xapi.settings import PoolSettings
from state import capacity
from state.capacity import Asked
from state.store import Store
from tests.services import sqlite
from workflows.accounts import PortAccount
from workflows.ports import PortLook, User

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Place:
    """A store, and one who counts a pool, or what a test says was counted; *now* is its time."""

    def __init__(self, store: Store, access: Any = None) -> None:
        self.store = store
        self.now = NOON
        self.told: list[str] = []
        self.access = access or PoolAccess("lab", None, None, None)  # type: ignore[arg-type]
        self.counts = Capacity(self.access, store, lambda: True, lambda pool, _: self.told.append(pool), lambda: self.now, least=0.01)

    def noted(self, *accounts: tuple[PortLook, PortAccount], after: timedelta = timedelta()) -> None:
        self.now += after
        self.counts._accounts = list(accounts)
        self.counts._write()

    def rows(self) -> list[dict[str, Any]]:
        with self.store.read() as session:
            return capacity.listed(session, Asked(NOON - HOUR, NOON + 1000 * HOUR), limit=1000)

    def figures(self) -> list[tuple[int, ...]]:
        return [tuple(row[name] for name in view.NUMBERS) for row in self.rows()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    store = sqlite.store(tmp_path / "vfo.db")
    yield Place(store)
    store.close()


def counted(used: int, promised: int = 0, leaked: int = 0, **more: Any) -> tuple[PortLook, PortAccount]:
    """A port of 8 VFs."""
    users = tuple(User(f"vm{number}", "web", "vif", "0") for number in range(used))
    look = PortLook("p1", "host1/eth1", "h", "n", NOON, True, "sysfs", 8 - used - leaked, users, (), 8, "1", network_name="fast")
    return replace(look, **more), PortAccount(8, leaked, promised)


def test_only_what_changes_is_written_down_and_every_hour(place: Place) -> None:
    """The same numbers are no news until the hour is another one."""
    place.noted(counted(2))
    place.noted(counted(2), after=MINUTE)
    place.noted(counted(3, 1), after=MINUTE)
    place.noted(counted(3, 1), after=HOUR)
    place.noted(counted(3, 1), after=MINUTE)
    assert place.figures() == [(8, 2, 6, 0, 0, 0), (8, 3, 5, 1, 0, 0), (8, 3, 5, 1, 0, 0)]
    assert [row["at"] for row in place.rows()] == [NOON, NOON + 2 * MINUTE, NOON + HOUR + 2 * MINUTE]


def test_ports_of_a_network_are_counted_together(place: Place) -> None:
    """A VF that is reserved for a VM that starts is in use; of a port that is not attached what nobody has is broken."""
    starts = (User("vm9", "late", "vif", "0"),)
    place.noted(counted(2, leaked=1), counted(1, port="p2", starting=starts, remaining=6), counted(1, port="p3", attached=False))
    assert place.figures() == [(24, 5, 11, 0, 1, 7)]
    assert (place.rows()[0]["ports"], place.rows()[0]["name"]) == (3, "fast")


def test_a_network_without_ports_counts_no_more(place: Place) -> None:
    """It is said once that there is nothing; another process that takes over goes on from the rows."""
    place.noted(counted(2))
    other = Place(place.store)
    other.noted(after=MINUTE)
    other.noted(after=2 * HOUR)
    assert place.figures() == [(8, 2, 6, 0, 0, 0), (0, 0, 0, 0, 0, 0)]
    place.counts._last = None
    place.noted(counted(1), after=3 * HOUR)
    assert len(place.rows()) == 3


def test_what_is_heard_of_a_pool_is_counted(make_simulated_pool: Callable[..., SimulatedPool], tmp_path: Path) -> None:
    """A VIF that changes is a reason to look; so the sample is there before the reconciler's next turn. A VM's change is none."""
    pool, store = make_simulated_pool(hosts=1, vms=2), sqlite.store(tmp_path / "vfo.db")
    client = Client(PoolSettings("lab", pool.url, pool.user, SecretStr(pool.password)))
    place = Place(store, PoolAccess("lab", client, PoolPort(client), PoolLedger(store, "lab")))
    stop, seen = threading.Event(), threading.Event()
    place.counts._told = lambda pool, accounts: seen.set()
    thread = threading.Thread(target=place.counts.run, args=(stop,))
    thread.start()
    try:
        place.counts.heard(["vm:lab:1", "vif:other:1"])
        assert not place.counts._changed.is_set()
        place.counts.heard(["vif:lab:1"])
        assert seen.wait(30)
        while not place.rows():
            assert not stop.wait(0.02)
    finally:
        stop.set()
        thread.join()
        client.close()
        store.close()


def test_one_who_does_not_listen_writes_nothing(place: Place) -> None:
    """The process that took over does."""
    place.counts._is_ours = lambda: False
    place.noted(counted(2))
    assert place.rows() == []


def test_samples_are_thinned_after_two_days_and_go_with_the_history(place: Place) -> None:
    """The first of each hour is kept for as long as runs are; for ever, where those are."""
    for number in range(8):
        place.noted(counted(number), after=20 * MINUTE)
    accounts: Accounts = [counted(0)]
    place.noted(*accounts, after=timedelta(days=10))
    now = place.now
    assert Retention(place.store, None, lambda: now, at_once=2).thin(threading.Event()) == 5
    assert [row["used"] for row in place.rows()] == [0, 2, 5, 0]
    assert Retention(place.store, timedelta(days=5), lambda: now).thin(threading.Event()) == 3


def sample(at: timedelta, used: int, network: str = "n", total: int = 8) -> dict[str, Any]:
    row = {"at": NOON + at, "pool": "lab", "network": network, "name": network, "ports": 1, "total": total}
    return {**row, "used": used, "free": total - used, "promised": 0, "leaked": 0, "broken": 0}


def test_each_time_has_its_fullest_moment() -> None:
    """What was before counts at its beginning; networks are summed moment by moment, never their peaks."""
    rows = [sample(-MINUTE, 1), sample(-MINUTE, 0, "o"), sample(5 * MINUTE, 6), sample(6 * MINUTE, 2), sample(7 * MINUTE, 5, "o")]
    found = view.slots(rows, NOON, NOON + HOUR, 3)
    assert [slot.figures and (slot.figures["used"], slot.figures["total"]) for slot in found] == [(7, 16), (7, 16), (7, 16)]
    assert [slot.figures and slot.figures["used"] for slot in view.slots(rows[:1], NOON, NOON + HOUR, 2)] == [1, 1]


def test_where_nobody_counted_there_is_nothing() -> None:
    """A sample says what is for a while only: a process that was away leaves a gap, no line."""
    rows = [sample(timedelta(), 1), sample(10 * HOUR, 2)]
    found = view.slots(rows, NOON, NOON + 12 * HOUR, 12)
    assert [slot.figures and slot.figures["used"] for slot in found] == [1, 1, 1, *[None] * 7, 2, 2]
    assert [row["used"] for row in view.tabled(rows, NOON, NOON + 12 * HOUR, 4)] == [1, 2]


def test_lengths_are_said_in_words() -> None:
    """In the largest unit that leaves no rest."""
    assert [view.span(one) for one in (HOUR, 90 * MINUTE, timedelta(days=7), timedelta(days=1))] == [
        "1 hour",
        "90 minutes",
        "7 days",
        "1 day",
    ]
