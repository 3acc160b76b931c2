"""Any order of takings, waits and ends: nothing is ever held twice, and nobody waits for a run that has ended."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import booleans, integers, sets

from state import claims, history, holds
from state.run import Run, Status
from tests.services import sqlite
from tests.state import moments
from tests.state.moments import LEASE, START

RUNS = integers(0, 3)
THINGS = sets(integers(0, 4).map(str), min_size=1, max_size=3)


class Holds(RuleBasedStateMachine):
    """Four runs and five things, against a model of who has what and who waits for whom."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.store = sqlite.store(Path(self.folder) / "vfo.db")
        self.owner: dict[str, int] = {}
        self.waits: dict[int, int] = {}
        self.over: set[int] = set()

    @initialize()
    def begin(self) -> None:
        self.runs = [moments.create(self.store, f"vm:{number}") for number in range(4)]

    @rule(number=RUNS, things=THINGS)
    def ask(self, number: int, things: set[str]) -> None:
        if number in self.over or number in self.waits:
            return
        run = self._claimed(number)
        with self.store.write() as session:
            holder = holds.take(session, run, things, now=START)
            on = None if holder is None else holds.wake_key(holder.run_id)
            assert claims.record(session, run, moments.parked(on, START), None, now=START)
        others = {thing: self.owner[thing] for thing in things if self.owner.get(thing, number) != number}
        assert (holder is None) == (not others)
        if holder is None:
            self.owner |= dict.fromkeys(things, number)
            return
        assert self.runs[others[holder.thing]].id == holder.run_id
        assert holder.circular == (number in self._chain(others[holder.thing]))
        self.waits[number] = others[holder.thing]

    @rule(number=RUNS, stuck=booleans())
    def end(self, number: int, stuck: bool) -> None:
        if number in self.over or number in self.waits:
            return
        run = self._claimed(number)
        with self.store.write() as session:
            change = moments.ended(Status.STUCK if stuck else Status.DONE)
            assert claims.record(session, run, change, history.Entry("first", "x"), now=START)
            woken: list[object] = []
            if not stuck:
                holds.release(session, run)
                woken += claims.wake(session, [holds.wake_key(run.id)], now=START)
        self.over.add(number)
        if not stuck:
            self.owner = {thing: owner for thing, owner in self.owner.items() if owner != number}
            assert set(woken) == {self.runs[one].id for one, other in self.waits.items() if other == number}
            self.waits = {one: other for one, other in self.waits.items() if other != number}

    def _claimed(self, number: int) -> Run:
        with self.store.write() as session:
            claims.hurry(session, [self.runs[number].id], now=START)
            run = claims.claim(session, self.runs[number].id, now=START, lease=LEASE)
        assert run is not None
        return run

    def _chain(self, number: int) -> list[int]:
        """Who is waited for, from one to the next."""
        found = [number]
        while (number := self.waits.get(number, -1)) not in (-1, *found):
            found.append(number)
        return found

    @invariant()
    def rows_say_what_the_model_says(self) -> None:
        with self.store.read() as session:
            rows = holds.of_pool(session, "pool")
        assert rows == {thing: self.runs[number].id for thing, number in self.owner.items()}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


TestHolds = Holds.TestCase
TestHolds.settings = settings(max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
