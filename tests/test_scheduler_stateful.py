"""Any order of looks, sleeps, restarts and clocks that jump: each opening is fired at most once, and none is lost without a line."""

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import booleans, integers, sampled_from

from orchestrator.scheduler import ON_TIME, Scheduler
from state import openings, runs
from state.run import Status
from tests.services import sqlite
from workflows.policies import BackupPlan, Backups, BackupWindow
from workflows.windows import Window

NOON = datetime(2026, 10, 23, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=15)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
WINDOWS = [("30 2 * * *", 8.0), ("0 22 * * 1-5", 30.0), ("0 */6 * * *", 1.0), ("RRULE:FREQ=DAILY;BYHOUR=22;BYMINUTE=0", 4.0)]


class Schedulers(RuleBasedStateMachine):
    """Two processes over one database, and the true list of openings of the window.

    *looked*: when somebody looked last, by the clock of that moment; None: the clock was set since.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.store = sqlite.store(Path(self.folder) / "vfo.db")
        self.now = NOON
        self.looked: datetime | None = None
        self.fired: list[UUID] = []

    @initialize(shape=sampled_from(WINDOWS), catch_up=sampled_from(["skip", "run-once", "if-time-left"]))
    def begin(self, shape: tuple[str, float], catch_up: str) -> None:
        schedule, hours = shape
        self.window = BackupWindow("night", Window(schedule, timedelta(hours=hours), "Europe/Berlin"), catch_up)
        self.processes = [self._process(), self._process()]

    def _process(self) -> Scheduler:
        backups = Backups({"nightly": BackupPlan("nightly", "fake", window="night")}, {"night": self.window})
        return Scheduler(self.store, lambda: backups, ("lab",), lambda _: None, lease=LEASE, clock=lambda: self.now)

    @rule(which=integers(0, 1), minutes=sampled_from([0, 1, 1, 30, 300, 2000, 20_000]))
    def look(self, which: int, minutes: int) -> None:
        self.now += timedelta(minutes=minutes, seconds=LEASE.total_seconds() + 1)
        active = self._active()
        made = self.processes[which].look()
        self.fired += made
        if self.looked is not None:
            self._none_was_lost(self.looked, active=active, made=made)
        self.looked = self.now

    def _none_was_lost(self, since: datetime, *, active: bool, made: list[UUID]) -> None:
        """What opened between two looks has a line; one that opened just now is at work, unless an earlier one is."""
        opened = list(reversed(list(self.window.window.openings_before(self.now, since))))
        lines = self._lines()
        assert [moment for moment in opened if moment not in lines] == []
        if opened and self.now - opened[-1] <= ON_TIME and lines[opened[-1]] != openings.RUN:
            assert active, f"{opened[-1]}: {lines[opened[-1]]}"
            assert not made

    @rule(which=integers(0, 1))
    def restart(self, which: int) -> None:
        self.processes[which] = self._process()

    @rule(
        step=sampled_from([-90 * 24 * 60, -36 * 60, -60, -10, 600, 90 * 24 * 60, 4 * 365 * 24 * 60]), back=booleans(), which=integers(0, 1)
    )
    def set_clock(self, step: int, back: bool, which: int) -> None:
        """Somebody sets the clock, perhaps for a moment only in which somebody looks."""
        self.now += timedelta(minutes=step)
        if back:
            self.fired += self.processes[which].look()
            self.now -= timedelta(minutes=step)
        self.looked = None

    @rule()
    def end_runs(self) -> None:
        with self.store.write() as session:
            for run in runs.listed(session):
                run.status, run.due_at = Status.DONE, None
                session.add(run)

    def _active(self) -> bool:
        with self.store.read() as session:
            return bool(runs.listed(session))

    def _lines(self) -> dict[datetime, str]:
        with self.store.read() as session:
            return {one.opens_at: one.status for one in openings.since(session, LONG_AGO)}

    @invariant()
    def each_is_fired_once(self) -> None:
        assert len(set(self.fired)) == len(self.fired)
        with self.store.read() as session:
            made = runs.listed(session, statuses=tuple(Status))
            noted = {one.run_id for one in openings.since(session, LONG_AGO) if one.status == openings.RUN}
        assert {run.id for run in made} == set(self.fired) == noted
        assert len({run.data["opens"] for run in made}) == len(made)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


Schedulers.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
TestSchedulers = Schedulers.TestCase
