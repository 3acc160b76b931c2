"""Any order of takings, deaths, beats, records and time: only the newest holder's word counts."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import floats, integers, sampled_from

from state import claims, history
from state.run import ACTIVE, Run, Status
from tests.services import sqlite
from tests.state import moments
from tests.state.moments import LEASE, later

WORKERS = integers(0, 2)


class Claims(RuleBasedStateMachine):
    """Three workers and one run, against a model that knows who holds it and until when."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.store = sqlite.store(Path(self.folder) / "vfo.db")
        self.now = 0.0
        self.hands: dict[int, Run] = {}
        self.holder: int | None = None
        self.due = 0.0
        self.records = 0

    @initialize()
    def begin(self) -> None:
        self.run = moments.create(self.store)

    @rule(seconds=floats(0.5, 15))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds

    @rule(worker=WORKERS)
    def take(self, worker: int) -> None:
        over = moments.read(self.store, self.run).status not in ACTIVE
        taken = moments.claim(self.store, self.run, later(self.now))
        assert (taken is not None) == (not over and later(self.due) <= later(self.now))
        if taken is not None:
            self.hands[worker], self.holder, self.due = taken, worker, self.now + LEASE.total_seconds()

    @rule(worker=WORKERS)
    def beat(self, worker: int) -> None:
        if (run := self.hands.get(worker)) is None:
            return
        with self.store.write() as session:
            kept = claims.extend(session, [(run.id, run.claim)], until=later(self.now) + LEASE)
        assert bool(kept) == (self.holder == worker)
        if kept:
            self.due = self.now + LEASE.total_seconds()

    @rule(worker=WORKERS, end=sampled_from([None, None, None, Status.DONE, Status.STUCK]))
    def record(self, worker: int, end: Status | None) -> None:
        if (run := self.hands.pop(worker, None)) is None:
            return
        self.due = self.now + 1 if self.holder == worker else self.due
        change = moments.ended(end) if end else moments.parked(until=later(self.now + 1))
        with self.store.write() as session:
            counted = claims.record(session, run, change, history.Entry("first", "x"), now=later(self.now))
        assert counted == (self.holder == worker)
        if counted:
            self.holder, self.records = None, self.records + 1

    @rule(worker=WORKERS)
    def die(self, worker: int) -> None:
        self.hands.pop(worker, None)

    @invariant()
    def every_entry_is_a_record_that_counted(self) -> None:
        with self.store.read() as session:
            assert len(history.of(session, self.run.id)) == self.records

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


TestClaims = Claims.TestCase
TestClaims.settings = settings(max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
