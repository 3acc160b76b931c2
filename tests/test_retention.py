import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from orchestrator.config.model import History as Settings
from orchestrator.retention import EVERY, LASTS, LEASE, Removed, Retention
from state import audit, backups, claims, history, holds, jobs, leases, openings, ports, promises, runs
from state.backups import Backup
from state.claims import Change
from state.openings import Opening
from state.run import ACTIVE, Run, Status
from state.store import Store
from tests.services import sqlite
from tests.state import moments
from tests.state.moments import START
from workflows.outcome import Request

DAYS = timedelta(days=1)
NOW = START + 100 * DAYS
KEEP = 90 * DAYS


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own, of each kind."""
    opened = Store(sqlite.database(tmp_path / "vfo.db") if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()


def prune(store: Store, *, at_once: int = 3, keep: timedelta | None = KEEP) -> Removed | None:
    return Retention(store, keep, lambda: NOW, at_once=at_once).prune(threading.Event())


def a_run(
    store: Store, subject: str = "", *, at: datetime = START, status: Status = Status.DONE, workflow: str = "work", **data: Any
) -> Run:
    """A run that was created and ended (or not) at that moment, with an entry in its history."""
    with store.write() as session:
        run, _ = runs.create(session, Request(workflow, "pool", subject or f"vm:{uuid4()}", "title", data), now=at)
        history.add(session, run.id, history.Entry("first", "done"), now=at)
    if status not in ACTIVE:
        taken = moments.claim(store, run, at)
        assert taken is not None
        change = moments.ended(status)
        with store.write() as session:
            claims.record(session, taken, Change(**{**change.values(), "data": data}), None, now=at)
    return run


def left(store: Store) -> set[UUID]:
    with store.read() as session:
        return {run.id for run in runs.listed(session, statuses=tuple(Status))}


def test_what_ended_long_ago_goes_with_its_history(store: Store) -> None:
    """However it ended; what ended later stays, and a run that ended just now though it began long ago."""
    for number in range(10):
        a_run(store, status=(Status.DONE, Status.REFUSED, Status.UNDONE)[number % 3])
    young = a_run(store, at=NOW - KEEP)
    long = a_run(store, status=Status.READY)
    taken = moments.claim(store, long, NOW)
    assert taken is not None
    moments.record(store, taken, moments.ended(), at=NOW)
    assert Retention(store, KEEP, lambda: NOW).would_remove() == Removed(10, 0)
    assert len(left(store)) == 12
    assert prune(store) == Removed(10, 0)
    assert left(store) == {young.id, long.id}
    with store.read() as session:
        assert {entry.run_id for entry in history.after(session, 0)} == {young.id, long.id}
    assert prune(store) == Removed()


def test_active_and_stuck_runs_stay_however_old(store: Store) -> None:
    """And whatever their data name, with what that names in its turn, and what names one of them: parents and children, both ways."""
    grandparent = a_run(store)
    parent = a_run(store, parent=str(grandparent.id))
    stuck = a_run(store, status=Status.STUCK, parent=str(parent.id), vms=[{"vm": str(uuid4())}])
    child, stranger = a_run(store, parent=str(stuck.id)), a_run(store, parent=str(uuid4()))
    active = a_run(store, status=Status.WAITING)
    follower = a_run(store, blocked_by=str(parent.id))
    assert prune(store) == Removed(1, 4)
    assert left(store) == {grandparent.id, parent.id, stuck.id, child.id, active.id, follower.id}
    assert stranger.id not in left(store)


def test_what_a_run_has_for_itself_keeps_it(store: Store) -> None:
    """A thing, a leak, a promise, or a job, though it is over: whoever finds that can be told whose it is."""
    holder, leaker, promiser, worker, nobody = (a_run(store) for _ in range(5))
    with store.write() as session:
        holds.take(session, holder, ["vm:1"], now=START)
        ports.hold(session, ports.LeakHold(pool="pool", port="p", run_id=leaker.id, count=1, since=START))
        promises.put(session, promises.Promise(pool="pool", port="p", vm="1", run_id=promiser.id, count=1, since=START))
        jobs.claim(session, "job:1", worker.id, "borg", holder="h", now=START, lease=timedelta(hours=1))
    assert prune(store) == Removed(1, 4)
    assert left(store) == {holder.id, leaker.id, promiser.id, worker.id}
    assert nobody.id not in left(store)


@pytest.mark.parametrize("workflow", ["assign-vf", "release-vf", "enable-sriov", "disable-sriov"])
def test_the_newest_word_on_a_thing_stays(store: Store, workflow: str) -> None:
    """Rules give a VM a VF once, and SR-IOV is kept as it was wanted last: what says so is not forgotten; what it followed is."""
    a_run(store, "thing", workflow=workflow)
    newest = a_run(store, "thing", workflow=workflow, at=START + DAYS, status=Status.REFUSED)
    other = a_run(store, "other", workflow=workflow)
    a_run(store, "thing", workflow="reclaim-vfs")
    assert prune(store) == Removed(2, 2)
    assert left(store) == {newest.id, other.id}
    with store.read() as session:
        assert runs.had(session, "pool", workflow, {"thing", "other"}) == {"thing", "other"}


def line(run_id: UUID, day: int, status: str = "saved", vm: str = "1") -> Backup:
    at = START + day * timedelta(hours=1)
    return Backup(id=run_id, pool="pool", vm=vm, vm_name="web", policy="nightly", product="borg", window="", status=status, began_at=at,
                  ended_at=at + timedelta(minutes=9))  # fmt: skip


def test_the_latest_backups_of_a_vm_stay_with_their_runs(store: Store) -> None:
    """By them it is known when it was saved and how long that takes; older lines go, and those for which nothing was begun."""
    saved = [a_run(store, at=START + number * timedelta(hours=1)) for number in range(8)]
    failed = a_run(store)
    with store.write() as session:
        for number, run in enumerate(saved):
            backups.put(session, line(run.id, number))
        backups.put(session, line(failed.id, 99, "failed"))
        backups.put_new(session, [line(uuid4(), number, "missed") for number in range(7)])
        backups.put_new(session, [line(uuid4(), 24 * 50, "missed")])
        known = backups.latest_saved(session, "pool", "nightly")
    assert prune(store) == Removed(4, 5, 7)
    assert left(store) == {run.id for run in saved[3:]}
    with store.read() as session:
        assert backups.latest_saved(session, "pool", "nightly") == known
        assert [one.status for one in backups.since(session, START)] == ["saved"] * 5 + ["missed"]


def test_one_process_at_a_time(store: Store) -> None:
    """The others leave it alone; a lease that was lost in the middle ends it at the next portion."""
    for _ in range(7):
        a_run(store)
    with store.write() as session:
        other = leases.acquire(session, LEASE, "other:1:a", now=NOW, duration=LASTS)
    assert other is not None
    assert prune(store) is None
    assert len(left(store)) == 7
    with store.write() as session:
        leases.release(session, other, now=NOW)
    clock = Time()
    assert Retention(store, KEEP, clock, at_once=3).prune(Overtaken(store, clock)) is None
    assert len(left(store)) == 4
    clock.now += 2 * LASTS
    assert Retention(store, KEEP, clock, at_once=3).prune(threading.Event()) == Removed(4, 0)


class Time:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Overtaken(threading.Event):
    """Between two portions the process sleeps for longer than its lease, and another one takes that."""

    def __init__(self, store: Store, clock: Time) -> None:
        super().__init__()
        self._store = store
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.now += 2 * LASTS
        with self._store.write() as session:
            assert leases.acquire(session, LEASE, "other:1:b", now=self._clock.now, duration=LASTS)
        return False


def test_nothing_is_removed_where_all_is_kept(store: Store) -> None:
    """Neither by hand nor by itself."""
    run = a_run(store)
    assert prune(store, keep=None) is None
    assert Retention(store, None, lambda: NOW).would_remove() == Removed()
    assert left(store) == {run.id}
    assert timedelta() < EVERY


def test_it_stops_when_the_process_does(store: Store) -> None:
    """Between two portions; the lease is given back, so that the next one need not wait."""
    for _ in range(5):
        a_run(store)
    stop = threading.Event()
    stop.set()
    assert Retention(store, KEEP, lambda: NOW).prune(stop) == Removed()
    assert len(left(store)) == 5
    assert prune(store) == Removed(5, 0)


@pytest.mark.parametrize(
    ("written", "kept"), [("90d", 90 * DAYS), ("24h", DAYS), ("forever", None), (0, None), ("0", None), (timedelta(days=3), 3 * DAYS)]
)
def test_how_long_is_written(written: object, kept: timedelta | None) -> None:
    """As every duration, or for ever."""
    assert Settings.model_validate({"keep": written}).keep == kept
    assert Settings().keep == 90 * DAYS


@pytest.mark.parametrize("written", ["23h", 5, "soon", False, -1])
def test_less_than_a_day_is_refused(written: object) -> None:
    """What a run left in a pool is cleaned up by what is known of the run."""
    with pytest.raises(ValueError, match=r"write a (day|duration)"):
        Settings.model_validate({"keep": written})


def test_it_is_known_for_long_who_did_what(store: Store) -> None:
    """Longer than of runs, a few lines at a time; where runs are kept for ever the audit still grows old."""
    with store.write() as session:
        for day in range(10):
            audit.add(session, audit.Act("ann", "cli", "assign-vf", str(day)), now=START + day * DAYS)
    retention = Retention(store, None, lambda: NOW, audit=NOW - START - 7 * DAYS, at_once=3)
    assert retention.would_remove() == retention.prune(threading.Event()) == Removed(audit=7)
    with store.read() as session:
        assert [one.thing for one in audit.listed(session)] == ["9", "8", "7"]
    assert (Settings().audit, Settings.model_validate({"audit": "forever"}).audit) == (400 * DAYS, None)


def test_openings_of_long_ago_go(store: Store) -> None:
    """But for the newest of each window in a pool, those that wait, and what says for which schedule somebody looks."""
    with store.write() as session:
        for pool in ("a", "b"):
            openings.watch(session, "night", pool, "0 21 * * *", since=START - DAYS, now=START)
            openings.watch(session, "night", pool, "0 22 * * *", since=START, now=START)
        for day, status in enumerate(("run", "skipped: late", "waits", "run", "run")):
            at = START + day * DAYS
            openings.note(session, Opening(window="night", pool="a", opens_at=at, closes_at=at + DAYS, status=status, noted_at=at))
        known = openings.watches(session), openings.last(session, "night", "a", now=NOW), openings.last(session, "night", "b", now=NOW)
    assert prune(store, at_once=2) == Removed()
    with store.read() as session:
        assert [one.opens_at for one in openings.since(session, START - 9 * DAYS)] == [START + 2 * DAYS, START + 4 * DAYS]
        assert openings.schedule(session, "night", "a") == openings.schedule(session, "night", "b") == "0 22 * * *"
        assert known == (
            openings.watches(session), openings.last(session, "night", "a", now=NOW), openings.last(session, "night", "b", now=NOW)
        )  # fmt: skip
