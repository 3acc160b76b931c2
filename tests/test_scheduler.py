"""Openings of windows under clocks that jump, processes that sleep and start again, and two schedulers at once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from orchestrator.scheduler import Scheduler
from state import openings, runs
from state.run import Phase, Run, Status
from state.store import Store
from tests.services import sqlite
from workflows.policies import BackupPlan, Backups, BackupWindow, Selection
from workflows.windows import Window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LEASE = timedelta(seconds=15)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TEN = NOON.replace(hour=22)
NIGHTLY = "0 22 * * *"


class Clock:
    """Stands still until it is told."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOON
        self.published: list[UUID] = []

    def scheduler(self, one: BackupWindow | None = None, *plans: BackupPlan, pools: tuple[str, ...] = ("lab",)) -> Scheduler:
        """A process that starts now; without plans the window has a policy for every pool."""
        one = one or window()
        backups = Backups({plan.name: plan for plan in plans or (plan("nightly"),)}, {one.name: one})
        return Scheduler(self.store, lambda: backups, pools, self.published.extend, lease=LEASE, clock=lambda: self.now)

    def at(self, scheduler: Scheduler, moment: datetime) -> list[Run]:
        """The runs that it makes at that moment; it looked before."""
        self.now = moment
        made = scheduler.look()
        with self.store.read() as session:
            return [run for run_id in made if (run := runs.get(session, run_id)) is not None]

    def noted(self) -> list[tuple[datetime, str]]:
        """How each opening was dealt with."""
        with self.store.read() as session:
            return [(one.opens_at, one.status) for one in openings.since(session, LONG_AGO)]

    def end(self, run_id: UUID, status: Status = Status.DONE) -> None:
        """Somebody has seen to it that the run has ended."""
        with self.store.write() as session:
            run = runs.get(session, run_id)
            assert run is not None
            run.status, run.due_at, run.phase = status, None, Phase.FORWARD
            session.add(run)


def window(
    name: str = "night", schedule: str = NIGHTLY, hours: float = 8, zone: str = "UTC", catch_up: str = "if-time-left"
) -> BackupWindow:
    return BackupWindow(name, Window(schedule, timedelta(hours=hours), zone), catch_up)


def plan(name: str, *pools: str) -> BackupPlan:
    return BackupPlan(name, "fake", vms=Selection(pools=frozenset(pools)), window="night")


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    store = sqlite.store(tmp_path / "vfo.db")
    yield Clock(store)
    store.close()


def closes(run: Run) -> datetime:
    return datetime.fromisoformat(run.data["closes"])


def test_an_opening_is_kept_once_by_a_run_for_its_window(clock: Clock) -> None:
    """At its moment, for its duration, with the policies of the window; and never again while it is open."""
    scheduler = clock.scheduler()
    assert clock.at(scheduler, NOON) == []
    assert clock.at(scheduler, TEN - timedelta(seconds=1)) == []
    (run,) = clock.at(scheduler, TEN)
    assert (run.workflow, run.subject, run.data["policies"], closes(run)) == ("keep-window", "window:night", ["nightly"], TEN + 8 * HOUR)
    assert clock.at(scheduler, TEN + timedelta(seconds=5)) == []
    assert clock.published == [run.id]
    assert clock.noted() == [(TEN, "run")]


def test_a_first_start_inside_an_open_window_keeps_it(clock: Clock) -> None:
    """Until its end; what opened before is nobody's, and makes no line."""
    (run,) = clock.at(clock.scheduler(window(catch_up="skip")), TEN + 2 * HOUR)
    assert closes(run) == TEN + 8 * HOUR
    assert clock.noted() == [(TEN, "run")]


@pytest.mark.parametrize("catch_up", ["skip", "run-once", "if-time-left"])
def test_a_start_some_seconds_late_is_no_sleep(clock: Clock, catch_up: str) -> None:
    """A restart at the moment of the opening changes nothing, whatever catch_up says."""
    clock.at(clock.scheduler(window(catch_up=catch_up)), NOON)
    (run,) = clock.at(clock.scheduler(window(catch_up=catch_up)), TEN + timedelta(seconds=90))
    assert closes(run) == TEN + 8 * HOUR


@pytest.mark.parametrize(
    ("catch_up", "late", "ends"),
    [
        ("skip", 3 * HOUR, None),
        ("skip", 10 * HOUR, None),
        ("if-time-left", 3 * HOUR, TEN + 8 * HOUR),
        ("if-time-left", 10 * HOUR, None),
        ("run-once", 3 * HOUR, TEN + 11 * HOUR),
        ("run-once", 10 * HOUR, TEN + 18 * HOUR),
    ],
)
def test_what_was_slept_through_is_caught_up_as_the_window_says(
    clock: Clock, catch_up: str, late: timedelta, ends: datetime | None
) -> None:
    """A process that was down at the opening: a run, or a line that says why there is none (story 55)."""
    clock.at(clock.scheduler(window(catch_up=catch_up)), NOON)
    made = clock.at(clock.scheduler(window(catch_up=catch_up)), TEN + late)
    assert [closes(run) for run in made] == ([ends] if ends else [])
    ((opened, said),) = clock.noted()
    assert opened == TEN
    assert said == "run" if ends else said.startswith("skipped: nobody was there")


def test_of_several_that_were_slept_through_the_last_counts(clock: Clock) -> None:
    """The others have a line each; nothing piles up (story 56)."""
    clock.at(clock.scheduler(window(catch_up="run-once")), NOON)
    made = clock.at(clock.scheduler(window(catch_up="run-once")), TEN + 4 * DAY + 9 * HOUR)
    assert [closes(run) for run in made] == [TEN + 4 * DAY + 17 * HOUR]
    said = [status for _, status in clock.noted()]
    assert said == ["skipped: nobody was there before a later one opened"] * 4 + ["run"]


def test_an_opening_waits_for_the_run_of_an_earlier_one_and_is_not_late_for_it(clock: Clock) -> None:
    """Limits hold for both together; it is kept until its own end as soon as that one is over, by a process that started meanwhile too."""
    window_ = window(schedule="0 22,23 * * *", catch_up="skip")
    scheduler = clock.scheduler(window_)
    clock.at(scheduler, NOON)
    (first,) = clock.at(scheduler, TEN)
    assert clock.at(scheduler, TEN + HOUR) == []
    assert clock.noted()[-1] == (TEN + HOUR, "waits")
    assert clock.at(clock.scheduler(window_), TEN + 2 * HOUR) == []
    clock.end(first.id)
    (second,) = clock.at(clock.scheduler(window_), TEN + 3 * HOUR)
    assert closes(second) == TEN + 9 * HOUR
    assert clock.noted() == [(TEN, "run"), (TEN + HOUR, "run")]


def test_an_opening_that_waited_until_it_closed_says_for_what(clock: Clock) -> None:
    """Nobody takes it for one that was slept through (story 56)."""
    scheduler = clock.scheduler(window(schedule="0 22,23 * * *", hours=2))
    clock.at(scheduler, NOON)
    (first,) = clock.at(scheduler, TEN)
    clock.at(scheduler, TEN + HOUR)
    assert clock.at(scheduler, TEN + 4 * HOUR) == []
    assert clock.noted()[-1][1] == f"skipped: run {first.id} of an earlier opening was at work until it closed"


@pytest.mark.parametrize("end", [Status.REFUSED, Status.UNDONE, Status.STUCK])
def test_the_run_of_an_opening_is_not_made_again_however_it_ended(clock: Clock, end: Status) -> None:
    """One that was refused or cancelled stays so while the window is open, after a restart too."""
    (run,) = clock.at(clock.scheduler(), TEN)
    clock.end(run.id, end)
    assert clock.at(clock.scheduler(), TEN + HOUR) == []
    with clock.store.read() as session:
        assert [one.id for one in runs.listed(session, statuses=tuple(Status))] == [run.id]


def test_a_clock_that_jumps_years_ahead_and_back_costs_no_night(clock: Clock) -> None:
    """What was noted as missed while the clock was wrong is void when it is right: the next openings come at their moments."""
    scheduler = clock.scheduler(window(catch_up="skip"))
    clock.at(scheduler, NOON)
    assert clock.at(scheduler, NOON + 5 * 365 * DAY) == []
    assert len(clock.noted()) == 1000
    assert clock.at(scheduler, NOON + timedelta(minutes=1)) == []
    for day in range(3):
        (run,) = clock.at(scheduler, TEN + day * DAY)
        clock.end(run.id)


def test_a_clock_that_is_set_back_fires_nothing_twice(clock: Clock) -> None:
    """By an hour over an opening, or by years: the moment comes again, its run does not."""
    scheduler = clock.scheduler()
    clock.at(scheduler, NOON)
    (run,) = clock.at(scheduler, TEN + timedelta(minutes=5))
    clock.end(run.id)
    clock.at(scheduler, NOON - 3 * 365 * DAY)
    for minutes in (-55, 0, 1, 30):
        assert clock.at(scheduler, TEN + timedelta(minutes=minutes)) == []
    assert len(clock.at(scheduler, TEN + DAY)) == 1


@pytest.mark.parametrize(
    ("noon", "moments"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=UTC), 1),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), 1),
        (datetime(2028, 2, 28, 12, tzinfo=UTC), 1),
    ],
)
def test_a_night_in_which_the_clocks_change_has_one_opening(clock: Clock, noon: datetime, moments: int) -> None:
    """At 02:30, which one night lacks and another has twice, looked at each ten minutes (story 60)."""
    scheduler = clock.scheduler(window(schedule="30 2 * * *", zone="Europe/Berlin", hours=1))
    made = []
    for step in range(24 * 6):
        for run in clock.at(scheduler, noon + step * timedelta(minutes=10)):
            made.append(run)
            clock.end(run.id)
    assert len(made) == moments


def test_of_two_schedulers_one_is_active_and_the_other_takes_over(clock: Clock) -> None:
    """The one that was away finds that it lost its lease, and does nothing."""
    first, second = clock.scheduler(), clock.scheduler()
    clock.at(first, NOON)
    assert clock.at(second, NOON + timedelta(seconds=1)) == []
    clock.at(first, TEN - 2 * LEASE)
    assert len(clock.at(second, TEN)) == 1
    assert clock.at(first, TEN + timedelta(seconds=1)) == []
    assert clock.noted() == [(TEN, "run")]


def test_two_that_both_believe_to_be_active_make_one_run(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of the opening decides, in the transaction of the run: a lease is only there to spare the work."""
    schedulers = [clock.scheduler(), clock.scheduler()]
    for one in schedulers:
        monkeypatch.setattr(one, "_has_lease", lambda *_: True)
        clock.at(one, NOON)
    assert [len(clock.at(one, TEN)) for one in schedulers] == [1, 0]


def test_a_window_opens_in_the_pools_that_its_policies_mean(clock: Clock) -> None:
    """Each pool has a run of its own, with the policies that mean it; a pool that none means has none."""
    scheduler = clock.scheduler(window(), plan("web", "lab", "site"), plan("db", "site"), pools=("lab", "attic", "site"))
    assert {run.pool: run.data["policies"] for run in clock.at(scheduler, TEN)} == {"lab": ["web"], "site": ["web", "db"]}


def test_a_window_that_no_policy_uses_is_not_looked_at(clock: Clock) -> None:
    """It opens for nobody."""
    scheduler = clock.scheduler(window(), replace(plan("web"), window="other"))
    assert clock.at(scheduler, TEN) == []
    assert clock.noted() == []


def test_a_schedule_that_was_changed_has_missed_nothing(clock: Clock) -> None:
    """By the new one it would have opened this morning: that is no opening that was slept through."""
    clock.at(clock.scheduler(window(catch_up="run-once")), NOON)
    changed = clock.scheduler(window(schedule="0 3 * * *", catch_up="run-once"))
    assert clock.at(changed, NOON + DAY) == []
    assert len(clock.at(changed, NOON + DAY + 15 * HOUR)) == 1


def test_a_look_that_follows_years_of_sleep_writes_a_bounded_number_of_lines(clock: Clock) -> None:
    """Also for a schedule of every minute."""
    each_minute = window(schedule="* * * * *", hours=0.01)
    clock.end(clock.at(clock.scheduler(each_minute), NOON)[0].id)
    assert len(clock.at(clock.scheduler(each_minute), NOON + 3 * 365 * DAY)) == 1
    assert len(clock.noted()) <= 1001


def test_the_line_of_an_opening_and_its_run_are_one_transaction(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies between the two has made neither: the next look makes both."""
    scheduler = clock.scheduler()
    clock.at(scheduler, NOON)

    def dies(*_: object, **__: object) -> Any:
        raise RuntimeError("died")

    with monkeypatch.context() as patch:
        patch.setattr(runs, "create", dies)
        with pytest.raises(RuntimeError):
            clock.at(scheduler, TEN)
    assert len(clock.at(clock.scheduler(), TEN + timedelta(minutes=1))) == 1
