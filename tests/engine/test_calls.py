"""The calls of a step are recorded with what it came to."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from orchestrator import calls_made
from orchestrator.views import calls as view
from orchestrator.views import runs as view_of_runs
from state.run import Status
from state.store import Store
from tests.engine.machine import Act, Machine, step
from workflows.outcome import DONE, Need, Outcome, Wait
from workflows.ports import Transient
from workflows.workflow import Data
from workflows.world import World


@pytest.fixture
def store(either_store: Store) -> Store:
    """Of each kind: on PostgreSQL most records are one statement."""
    return either_store


def calls(*names: str, then: Callable[[], Outcome] = lambda: DONE) -> Act:
    """A step that calls these."""

    def act(_: World, __: Data) -> Outcome:
        at_work = calls_made.at_work()
        assert at_work is not None
        for name in names:
            at_work.add(name, None, 0.001, None)
        return then()

    return act


def told(machine: Machine, run_id: UUID) -> list[tuple[Any, ...]]:
    """Of each step (its name, how it came out): its calls with their numbers."""
    with machine.store.read() as session:
        steps = view.of(session, view_of_runs.find(session, str(run_id)))
    return [(one["step"], one["outcome"], [(call["call"], call["times"]) for call in one["calls"]]) for one in steps]


def outcomes(*those: Outcome | Exception) -> Callable[[], Outcome]:
    """One after the other."""
    left = list(those)

    def then() -> Outcome:
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return then


def test_each_entry_has_the_calls_of_its_step(machine: Machine) -> None:
    """One that called nobody has none; joined steps have each its own; afterwards the row has none left."""
    joined = dataclasses.replace(step("c", calls("VIF.move")), joined=True)
    run_id = machine.submit(step("a", calls("VM.get_record")), step("b", calls()), joined, step("d", calls("VM.destroy")))
    run = machine.turn(run_id)
    assert (run.status, run.calls) == (Status.DONE, None)
    assert told(machine, run_id) == [
        ("a", "done", [("VM.get_record", 1)]),
        ("c", "done", [("VIF.move", 1)]),
        ("d", "done", [("VM.destroy", 1)]),
    ]


def test_looks_that_found_nothing_new_are_told_with_the_next_entry(machine: Machine) -> None:
    """A wait that goes on and a failure that comes again write no entry: what they called is kept meanwhile, and shown as at work."""
    wait = Wait("for the task", at_most=timedelta(seconds=1))
    run_id = machine.submit(
        step("a", calls("task.get_record", then=outcomes(wait, wait, wait, Transient("AWAY"), Transient("AWAY"), DONE)))
    )
    assert machine.turn(run_id).status is Status.WAITING
    for _ in range(2):
        machine.pass_time(10)
        machine.turn(run_id)
    assert told(machine, run_id) == [("a", "wait", [("task.get_record", 1)]), ("a", None, [("task.get_record", 2)])]
    assert machine.finish(run_id).status is Status.DONE
    assert told(machine, run_id) == [
        ("a", "wait", [("task.get_record", 1)]),
        ("a", "retry", [("task.get_record", 3)]),
        ("a", "done", [("task.get_record", 2)]),
    ]


def test_what_a_run_called_before_it_asked_for_something_is_kept(machine: Machine) -> None:
    """Whether it gets that, or waits for who has it."""

    def wants(world: World, data: Data) -> Outcome:
        asked = calls("VM.get_record")(world, data)
        return asked if "vm:9" in world.held else Need(("vm:9",))

    first = machine.submit(step("a", wants), step("b", lambda *_: Wait("long")))
    machine.turn(first)
    second = machine.submit(subject="vm:2")
    machine.turn(second)
    assert told(machine, first) == [("a", "done", [("VM.get_record", 2)])]
    assert told(machine, second) == [("a", "wait", [("VM.get_record", 1)])]


def test_a_step_whose_worker_died_has_no_calls(machine: Machine) -> None:
    """They were known to it alone; whoever does the step again tells of its own."""

    class Killed(BaseException):
        pass

    def dies() -> Outcome:
        raise Killed

    endings = [dies, lambda: DONE]

    def act(world: World, data: Data) -> Outcome:
        return calls("VM.start", then=endings.pop(0))(world, data)

    run_id = machine.submit(step("a", act))
    with pytest.raises(Killed):
        machine.turn(run_id)
    machine.pass_time(machine.timing.lease.total_seconds() + 1)
    assert machine.finish(run_id).status is Status.DONE
    assert told(machine, run_id) == [("a", "done", [("VM.start", 1)])]
