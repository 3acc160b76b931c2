"""Crash at every step: for any workflow, the process dies before a step acts, or after it acted and before that was recorded.

@pytest.mark.parametrize("crash", crashes.of(RECLAIM), ids=str)
def test_a_crash_anywhere_changes_nothing(crash, machine): ...
    machine.workflows[...] = crash.into(RECLAIM)
    run = crashes.survive(machine, run_id)
"""

import dataclasses
import functools
from dataclasses import dataclass, field
from uuid import UUID

from orchestrator.engine.worker import Worker
from state.run import ACTIVE, Run
from tests.engine.machine import Machine
from workflows.outcome import Outcome
from workflows.workflow import Action, Data, Step, Workflow
from workflows.world import World


class Death(BaseException):
    """The process dies here: nothing may catch it, record anything, or give the run back."""


class DiesRecorded(Worker):
    """A worker that dies as soon as what a step came to is committed: nothing that would follow happens."""

    def _tell(self, run: Run) -> None:
        raise Death


@dataclass
class Crash:
    """One death at one place: *when* is "before" or "after" the step (or its undo) acts; *deaths* counts how often it struck."""

    step: str
    when: str
    undo: bool = False
    times: int = 1
    deaths: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.when} {'undo of ' if self.undo else ''}{self.step}"

    def into(self, workflow: Workflow) -> Workflow:
        """The workflow with this crash in it."""
        return dataclasses.replace(workflow, steps=tuple(self._lay(step) if step.name == self.step else step for step in workflow.steps))

    def _lay(self, step: Step) -> Step:
        if self.undo:
            assert step.undo is not None
            return dataclasses.replace(step, undo=self._dying(step.undo))
        return dataclasses.replace(step, action=self._dying(step.action))

    def _dying(self, action: Action) -> Action:
        @functools.wraps(action)
        def dying(world: World, data: Data) -> Outcome:
            if self.deaths >= self.times:
                return action(world, data)
            if self.when == "after":
                action(world, data)
            self.deaths += 1
            raise Death

        return dying


def of(workflow: Workflow) -> list[Crash]:
    """Every place where a run of the workflow can die on its way forward."""
    return [Crash(step.name, when) for step in workflow.steps for when in ("before", "after")]


def of_undo(workflow: Workflow) -> list[Crash]:
    """Every place where a run of the workflow can die on its way back."""
    return [Crash(step.name, when, undo=True) for step in workflow.steps if step.undo for when in ("before", "after")]


def survive(machine: Machine, run_id: UUID, turns: int = 100) -> Run:
    """Turn the machine until the run has ended; after each death it goes on as a new process would, when the lease has ended."""
    for _ in range(turns):
        try:
            run = machine.turn(run_id)
        except Death:
            run = machine.run(run_id)
        if run.status not in ACTIVE:
            return run
        assert run.due_at is not None
        machine.now = max(machine.now, run.due_at)
    raise AssertionError(f"the run does not end: {run}")
