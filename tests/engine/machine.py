"""An engine turned by hand: no threads, and time goes on only when the test says so. Everything else is the product's own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from orchestrator.broker import Broker
from orchestrator.engine.engine import Engine
from orchestrator.engine.timing import Timing
from orchestrator.engine.worker import Worker
from plugins.values import Happening
from state import history, runs
from state.run import ACTIVE, Run
from state.store import Store
from workflows.outcome import Outcome, Request
from workflows.policy import Policy
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Act = Callable[[World, Data], Outcome]


def step(name: str, action: Act, undo: Act | None = None, timeout: timedelta | None = timedelta(hours=1)) -> Step:
    """A step of that name."""

    def named(world: World, data: Data) -> Outcome:
        """As told."""
        return action(world, data)

    named.__name__ = name
    return Step(named, undo=undo, timeout=timeout)


def workflow(*steps: Step) -> Workflow:
    """A workflow "work" of these steps."""
    return Workflow("work", "For a test", steps)


def world_of(run: Run, now: datetime) -> World:
    """A world without a pool: for steps that touch none."""
    nothing: Any = None
    return World(run_id=run.id, title=run.title, now=now, pool=nothing, ledger=nothing, policy=Policy(), announce=lambda _: None)


class Machine:
    """One engine over the test's store; `turn` lets its worker take a run once, `finish` until the run has ended."""

    def __init__(self, store: Store, worlds: Callable[[Run, datetime], World] = world_of, timing: Timing | None = None) -> None:
        self.store = store
        self.now = START
        self.timing = timing or Timing()
        self.workflows: dict[str, Workflow] = {}
        self.announced: list[Happening] = []
        self.broker = Broker()
        self.engine = Engine(store, self.broker, self.workflows, worlds, self.announced.append, lambda: self.now, timing=self.timing)
        self.worker = Worker(self.engine._shop)

    def pass_time(self, seconds: float) -> None:
        """Time goes on."""
        self.now += timedelta(seconds=seconds)

    def submit(self, *steps: Step, subject: str = "vm:1", data: dict[str, Any] | None = None) -> UUID:
        """A run of a workflow of these steps (without any: of the workflow that is there)."""
        if steps:
            self.workflows["work"] = workflow(*steps)
        return self.engine.submit(Request("work", "pool", subject, "VM 1", data or {}))[0].id

    def turn(self, run_id: UUID) -> Run:
        """The worker gets a message for the run; how the run stands after it."""
        self.worker.work(run_id, lambda: None)
        return self.run(run_id)

    def finish(self, run_id: UUID, turns: int = 100) -> Run:
        """Turn, with time going on to whenever the run is due, until it has ended."""
        for _ in range(turns):
            run = self.turn(run_id)
            if run.status not in ACTIVE:
                return run
            assert run.due_at is not None
            self.now = max(self.now, run.due_at)
        raise AssertionError(f"the run does not end: {run}")

    def run(self, run_id: UUID) -> Run:
        """The run as its row says."""
        with self.store.read() as session:
            found = runs.get(session, run_id)
        assert found is not None
        return found

    def story(self, run_id: UUID) -> list[tuple[str, str]]:
        """(step, outcome) of all that was recorded of the run."""
        with self.store.read() as session:
            return [(entry.step, entry.outcome) for entry in history.of(session, run_id)]
