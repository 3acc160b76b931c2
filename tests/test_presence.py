from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from orchestrator import presence, readings
from orchestrator.listener import meters
from orchestrator.listener.meters import Meters
from orchestrator.presence import BEAT, LASTS, Presence
from orchestrator.roles import ALL, Role
from plugins.values import WindowOpening
from state import leases, runs, standing
from state.store import Store
from tests.services import sqlite
from workflows import keep_window
from workflows.policies import Limits

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own."""
    opened = sqlite.store(tmp_path / "vfo.db")
    yield opened
    opened.close()


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """It is noon."""
    return Clock()


def present(store: Store, at: datetime) -> dict[str, dict[str, object]]:
    """What processes say of themselves, by the row."""
    with store.read() as session:
        return {
            held.name: presence.read(held.holder) for held in standing.held(session, now=at) if held.is_held and "process:" in held.name
        }


def test_a_process_says_what_it_is(store: Store, clock: Clock) -> None:
    """Its name, roles, version, since when it lives, and what it is told to say."""
    one = Presence(store, ALL, lambda: {"lag": {"lab": 0.5}}, clock)
    one.beat()
    said = present(store, NOON)["process:1"]
    assert said["process"] == presence.named()
    assert said["roles"] == ["console", "listener", "scheduler", "worker"]
    assert said["since"] == NOON.isoformat()
    assert said["lag"] == {"lab": 0.5}


def test_each_beat_writes_the_row(store: Store, clock: Clock) -> None:
    """It is kept in time, with what the process says by then."""
    words = [{"broker": "away"}, {"broker": ""}]
    one = Presence(store, ALL, lambda: words.pop(0), clock)
    one.beat()
    clock.now += BEAT
    one.beat()
    with store.read() as session:
        (row,) = standing.held(session, now=clock.now)
    assert (row.until, presence.read(row.holder)["broker"]) == (clock.now + LASTS, "")


def test_each_process_has_a_row_and_a_row_that_is_free_is_taken_again(store: Store, clock: Clock) -> None:
    """Two that live have two; the next one has the row of one that left, or that died without a word."""
    first, second = (Presence(store, [role], dict, clock) for role in (Role.LISTENER, Role.WORKER))
    first.beat()
    second.beat()
    assert [said["roles"] for said in present(store, clock.now).values()] == [["listener"], ["worker"]]
    first.leave()
    assert [*present(store, clock.now)] == ["process:2"]
    third = Presence(store, [Role.SCHEDULER], dict, clock)
    third.beat()
    assert present(store, clock.now)["process:1"]["roles"] == ["scheduler"]
    clock.now += LASTS
    assert present(store, clock.now) == {}
    fourth = Presence(store, ALL, dict, clock)
    fourth.beat()
    assert [*present(store, clock.now)] == ["process:1"]


def test_a_process_that_slept_too_long_takes_another_row(store: Store, clock: Clock) -> None:
    """Its row is somebody else's by then, and stays so."""
    sleeper, other = Presence(store, [Role.WORKER], dict, clock), Presence(store, [Role.LISTENER], dict, clock)
    sleeper.beat()
    clock.now += LASTS
    other.beat()
    clock.now += timedelta(seconds=11)
    sleeper.beat()
    assert {name: said["roles"] for name, said in present(store, clock.now).items()} == {"process:1": ["listener"], "process:2": ["worker"]}
    sleeper.leave()
    assert [*present(store, clock.now)] == ["process:1"]


def test_what_is_no_row_of_a_process_says_nothing() -> None:
    """Another version may write otherwise."""
    assert presence.read("host:1:ab") == {}
    assert presence.read("[1]") == {}


def test_the_reading_has_leases_windows_and_what_is_due(store: Store) -> None:
    """The rows of processes are left out; a window's run is shown with how far it is, a policy's by a person is not."""
    opening = WindowOpening(UUID(int=1), "night", "lab", NOON, NOON + timedelta(hours=8))
    by_hand = WindowOpening(UUID(int=2), "web", "lab", NOON, None)
    with store.write() as session:
        leases.acquire(session, "scheduler", "here:1:ab", now=NOON, duration=LASTS)
        leases.acquire(session, "process:1", "{}", now=NOON, duration=LASTS)
        leases.acquire(session, "calls:lab:1", "here:1:ab", now=NOON, duration=LASTS)
        for one in (opening, by_hand):
            runs.create(session, keep_window.request(one, ["web"], limits=Limits()), now=NOON)
    found = readings.of(store, NOON + timedelta(seconds=3))
    assert [lease.name for lease in found.leases] == ["scheduler"]
    (night,) = found.windows
    assert (night.pool, night.name, night.closes) == ("lab", "night", NOON + timedelta(hours=8))
    assert night.vms == dict.fromkeys(("saved", "skipped", "refused", "failed", "missed", "waiting", "at_work"), 0)
    assert (found.due, found.lag) == (2, 3.0)
    assert readings.counts(store) == {"ready": 2, "running": 0, "waiting": 0, "stuck": 0}
    assert readings.ended(store) == {"done": 0, "refused": 0, "undone": 0}


def test_a_process_says_of_the_pools_that_it_listens_to_when_it_heard_them() -> None:
    """One that stands by says nothing of them."""
    of_pools = {"lab": Meters(active=True, lag_seconds=0.5, last_answer_at=NOON), "new": Meters(active=True), "other": Meters()}
    assert meters.said(of_pools) == {"lag": {"lab": 0.5, "new": 0.0}, "heard": {"lab": NOON.isoformat()}}
