"""A stage for workflows: a simulated pool behind its real wire, and the product's own client, ledger, rows and engine, turned by hand.

The simulator works in real time; the engine's clock stands still until the stage moves it over a wait. A wait for a task of the pool is
waited for in earnest, as the listener would wake it.

    def test_a_backup(stages):
        stage = stages(hosts=2, vms=4)
        run = stage.run(prepare.request(stage.pool.name, stage.vm("web-01")))
        assert run.status is Status.DONE
        assert stage.complaints() == []

    @pytest.mark.parametrize("crash", crashes.of(PREPARE), ids=str)
    def test_a_crash_at_every_step(stages, crash):
        stage = stages()
        run = stage.survive(request(stage), crash)
"""

import dataclasses
import threading
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from orchestrator.broker import Broker
from orchestrator.engine.engine import Engine
from orchestrator.engine.timing import Timing
from orchestrator.engine.worker import Worker
from orchestrator.ledger import PoolLedger
from orchestrator.services import Lines, RunRows
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from orchestrator.xapi.settings import PoolSettings
from plugins.errors import GiveUp
from plugins.values import Happening
from state import history, runs
from state.run import ACTIVE, Run, Status
from tests.engine.crashes import Crash, Death
from tests.services import sqlite
from tests.workflows import checker
from tests.workflows.products import FakePlugins
from tests.workflows.transfers import FakeTransfers
from workflows.catalogue import WORKFLOWS
from workflows.objects import VM
from workflows.outcome import Outcome, Request
from workflows.policy import Policy, of_run
from workflows.ports import Gone, Pool
from workflows.services import Services
from workflows.workflow import Data, Workflow
from workflows.world import World

POOL = "lab"
TASK = f"task:{POOL}:"
TASK_SECONDS = 20.0
DEAF_GUEST_SECONDS = 0.3
TURNS = 400


class Stage:
    """One pool and one engine. *folder* takes the database; *fields* are the simulator's (hosts=, vfs=, vms=, driver=, speed=)."""

    def __init__(self, folder: Path, policy: Policy | None = None, **fields: Any) -> None:
        self.simulated = SimulatedPool(**{"hosts": 2, "vfs": 4, "vms": 4, **fields}).start()
        self.store = sqlite.store(folder / "vfo.db")
        self.client = Client(_settings(self.simulated))
        self.now = datetime.now(UTC)
        self.port = PoolPort(self.client, lambda: self.now)
        self.pool: Pool = self.port
        self.ledger = PoolLedger(self.store, POOL, lambda: self.now)
        self.policy = policy or Policy()
        self.workflows: dict[str, Workflow] = dict(WORKFLOWS)
        self.told: list[Happening] = []
        self.plugins = FakePlugins()
        self.transfers = FakeTransfers()
        self.task_seconds = TASK_SECONDS
        self.engine = Engine(self.store, Broker(), self.workflows, self._world, self.told.append, lambda: self.now, timing=Timing())
        self._worker = Worker(self.engine._shop)
        self.services = Services(
            RunRows(self.store, self.engine, POOL), self.plugins, Lines(self.store, POOL), self.transfers
        )  # fmt: skip
        self.began = self.look()

    def close(self) -> None:
        """Take it down."""
        self.client.close()
        self.simulated.stop()
        self.store.close()

    def _world(self, run: Run, at: datetime) -> World:
        policy = of_run(self.policy, run.data)
        return World(run.id, run.title, at, self.pool, self.ledger, policy, self.told.append, services=self.services)

    # -- runs --------------------------------------------------------------------------------------------------

    def run(self, request: Request) -> Run:
        """The run of the request, at its end."""
        return self.finish(self.submit(request))

    def submit(self, request: Request) -> UUID:
        """A run of the request that nobody has begun."""
        return self.engine.submit(request)[0].id

    def turn(self, run_id: UUID) -> Run:
        """The worker takes the run once, if it is due; how it stands then."""
        self._worker.work(run_id, lambda: None)
        return self.at(run_id)

    def settle(self, run_id: UUID, turns: int = TURNS) -> Run:
        """Let the run go on without the clock: until it has ended, or waits for anything but a task of the pool or a next try."""
        for _ in range(turns):
            run = self._turned(run_id)
            if run.status not in ACTIVE:
                return run
            if run.waits_on is not None and run.waits_on.startswith(TASK):
                self._await_task(run)
            elif run.attempt:
                self._move_to(run)
            elif run.status is Status.WAITING and (run.due_at or self.now) > self.now:
                return run
        raise AssertionError(f"the run does not settle: {run.step}: {run.status}: {run.reason}")

    def finish(self, *run_ids: UUID, turns: int = TURNS) -> Run:
        """Let these runs go on, the clock moving over their waits, until all have ended; how the first one did."""
        self._go_on(lambda: [run for run in map(self.at, run_ids) if run.status in ACTIVE], turns)
        return self.at(run_ids[0])

    def finish_all(self, turns: int = TURNS) -> list[Run]:
        """Finish every active run, those that follow included; all runs there are, newest first."""
        self._go_on(lambda: self.runs(ACTIVE), turns)
        return self.runs()

    def _go_on(self, active_runs: Callable[[], list[Run]], turns: int) -> None:
        for _ in range(turns):
            active = active_runs()
            if not active:
                return
            due = [run for run in active if run.due_at is not None and run.due_at <= self.now]
            for run in due:
                self._turned(run.id)
            if not due and not self._await_tasks(active):
                self._move_to(min(active, key=lambda run: run.due_at or self.now))
        raise AssertionError(f"the runs do not end: {[(run.step, run.status, run.reason) for run in active]}")

    def survive(self, request: Request, crash: Crash, *, give_up_after: str | None = None) -> Run:
        """The run of the request at its end, with a death of the process at this place; fails when nobody died.

        With *give_up_after* the run is given up after that step has acted, so that a crash of an undo (`crashes.of_undo`) is met.
        """
        crash = dataclasses.replace(crash)
        flow = self.workflows[request.workflow]
        if give_up_after is not None:
            flow = giving_up(flow, give_up_after)
        self.workflows[request.workflow] = crash.into(flow)
        run = self.run(request)
        assert crash.deaths == crash.times, f"nobody died {crash}: {self.story(run.id)}"
        return run

    def wake(self, *keys: str) -> int:
        """What the listener does when it sees a change."""
        return self.engine.wake(keys)

    def pass_time(self, time: timedelta) -> None:
        """The clock goes on."""
        self.now += time

    def at(self, run_id: UUID) -> Run:
        """The run as its row says."""
        with self.store.read() as session:
            found = runs.get(session, run_id)
        assert found is not None
        return found

    def runs(self, statuses: Collection[Status] = tuple(Status)) -> list[Run]:
        """All runs in these statuses, newest first."""
        with self.store.read() as session:
            return [run for run in checker.all_runs(session) if run.status in statuses]

    def story(self, run_id: UUID) -> list[str]:
        """What was recorded of the run, each entry as "step: outcome: message"."""
        with self.store.read() as session:
            return [f"{entry.step}: {entry.outcome}: {entry.message}" for entry in history.of(session, run_id)]

    # -- the pool ----------------------------------------------------------------------------------------------

    def vm(self, name: str) -> VM:
        """The VM of that name, as steps see it."""
        return next(vm for vm in self.port.vms() if vm.name == name)

    def with_vf(self) -> VM:
        """The first VM that runs and holds a VF."""
        return next(vm for vm in self.port.vms() if vm.power_state == "Running" and vm.held)

    def network(self, name: str = "SR-IOV") -> str:
        """The uuid of the network of that name."""
        return next(network.uuid for network in self.port.networks() if network.name == name)

    def look(self) -> checker.Seen:
        """What the judge sees now."""
        return checker.look(self.simulated.url, self.simulated.user, self.simulated.password, self.simulated.state)

    def complaints(self, **more: Any) -> list[str]:
        """What is not as it was when the stage was built, and what of ours is left in the pool or in our rows (see `checker`)."""
        return [*checker.complaints(self.began, self.look(), **more), *checker.rows_left_over(self.store)]

    # -- time --------------------------------------------------------------------------------------------------

    def _turned(self, run_id: UUID) -> Run:
        """Turn; a run whose worker died goes on as by a new process, when its lease is over."""
        try:
            return self.turn(run_id)
        except Death:
            run = self.at(run_id)
            self._move_to(run)
            return run

    def _move_to(self, run: Run) -> None:
        self.now = max(self.now, run.due_at or self.now)

    def _await_tasks(self, waiting: Iterable[Run]) -> bool:
        """Whether one of the runs waited for a task that has ended since."""
        ended = [self._await_task(run) for run in waiting if run.waits_on is not None and run.waits_on.startswith(TASK)]
        return any(ended)

    def _await_task(self, run: Run) -> bool:
        """Wait for the run's task in earnest and wake it; one that goes on (a guest that does not listen) is left to the clock."""
        ref, pause = (run.waits_on or "").removeprefix(TASK), threading.Event()
        patience = self.task_seconds if not self._deaf_guests() else DEAF_GUEST_SECONDS
        for _ in range(int(patience / 0.005)):
            if not self._pending(ref):
                self.wake(f"{TASK}{ref}")
                return True
            pause.wait(0.005)
        self._move_to(run)
        return False

    def _pending(self, task: str) -> bool:
        try:
            return bool(self.client.call("task.get_status", task) == "pending")
        except Gone:
            return False

    def _deaf_guests(self) -> bool:
        """Whether some guest does not shut down when asked: then a task may stand still."""
        return any(row.get("_guest") for _, row in self.simulated.database.rows("VM"))


def _settings(simulated: SimulatedPool) -> PoolSettings:
    password = SecretStr(simulated.password)
    return PoolSettings(name=POOL, url=simulated.url, username=simulated.user, password=password, patience=timedelta(seconds=5))


def giving_up(workflow: Workflow, step_name: str) -> Workflow:
    """The workflow, given up when this step has come to its end: the worst moment to be cancelled."""

    def wrapped(action: Callable[[World, Data], Outcome]) -> Callable[[World, Data], Outcome]:
        def given_up(world: World, data: Data) -> Outcome:
            outcome = action(world, data)
            if type(outcome).__name__ == "Done":
                raise GiveUp("given up by the test")
            return outcome

        given_up.__name__, given_up.__doc__ = action.__name__, action.__doc__
        return given_up

    rows = [dataclasses.replace(step, action=wrapped(step.action)) if step.name == step_name else step for step in workflow.steps]
    return dataclasses.replace(workflow, steps=tuple(rows))
