"""Steps that are recorded together with the one that follows."""

import dataclasses

import pytest

from state.run import Status
from state.store import Store
from tests.engine.crashes import Crash, survive
from tests.engine.machine import Machine, step, workflow
from workflows.outcome import DONE, Outcome, Wait
from workflows.workflow import Data, Step, Workflow
from workflows.world import World


@pytest.fixture
def store(either_store: Store) -> Store:
    """Of each kind: what a worker does to a run does not depend on it."""
    return either_store


def joined(one: Step) -> Step:
    """The step, recorded with the next."""
    return dataclasses.replace(one, joined=True)


def counts(_: World, data: Data) -> Outcome:
    """Says how often it was done, by what is recorded."""
    data["times"] = data.get("times", 0) + 1
    return DONE


def test_a_joined_step_is_recorded_with_the_next(machine: Machine) -> None:
    """While the next step acts the row still stands at the first; then both are told, in their order."""
    rows = []

    def looks(world: World, data: Data) -> Outcome:
        rows.append(machine.run(world.run_id).step)
        return counts(world, data)

    run_id = machine.submit(joined(step("a", counts)), step("b", looks), step("c", counts))
    run = machine.turn(run_id)
    assert (rows, run.status, run.data["times"]) == ([None], Status.DONE, 3)
    assert machine.story(run_id) == [("a", "done"), ("b", "done"), ("c", "done")]


def test_what_a_joined_step_left_is_kept_when_the_next_waits(machine: Machine) -> None:
    """The run is parked at the next step, with the data and the entry of the first, which is not done again."""
    run_id = machine.submit(joined(step("a", counts)), step("b", lambda *_: Wait("for the guest")))
    run = machine.turn(run_id)
    assert (run.status, run.step, run.data) == (Status.WAITING, "b", {"times": 1})
    assert machine.story(run_id) == [("a", "done"), ("b", "wait")]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_in_the_next_step_begins_with_the_joined_one(machine: Machine, when: str) -> None:
    """Nothing of the two was recorded, so that both are done again, once each by the record."""
    machine.workflows["work"] = Crash("b", when).into(workflow(joined(step("a", counts)), step("b", counts)))
    run_id = machine.submit()
    run = survive(machine, run_id)
    assert (run.status, run.data["times"]) == (Status.DONE, 2)
    assert machine.story(run_id) == [("a", "done"), ("b", "done")]


def test_a_joined_step_is_recorded_when_the_engine_stops(machine: Machine) -> None:
    """The next step is left to whoever comes."""

    def stopping(world: World, data: Data) -> Outcome:
        machine.engine._shop.stopping.set()
        return counts(world, data)

    run_id = machine.submit(joined(step("a", stopping)), step("b", counts))
    run = machine.turn(run_id)
    assert (run.status, run.step, machine.story(run_id)) == (Status.READY, "b", [("a", "done")])


def test_a_step_is_not_joined_to_one_that_has_an_undo() -> None:
    """The row would not say that there is something to undo; nor to nothing, at the end of the table."""
    for steps in ((step("a", counts), step("b", counts, undo=counts)), (step("a", counts),)):
        with pytest.raises(ValueError, match="step a is joined to the next"):
            Workflow("work", "For a test", (joined(steps[0]), *steps[1:]))
