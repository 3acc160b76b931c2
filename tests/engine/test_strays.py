"""Two versions beside each other: a run that one of them does not know is left to the other, and nothing about it is guessed."""

from datetime import timedelta
from uuid import UUID

import pytest

from orchestrator.engine.strays import LEFT
from state import claims, holds
from state.run import Phase, Run, Status
from state.store import Store
from tests.engine.machine import Machine, step, workflow
from workflows.outcome import DONE, Need, Outcome, Request, Stuck, Wait
from workflows.ports import Busy
from workflows.workflow import Data, Step
from workflows.world import World

QUARTER = timedelta(minutes=15)


def does(name: str) -> Step:
    """A step that notes that it ran."""

    def act(_: World, data: Data) -> Outcome:
        data.setdefault("did", []).append(name)
        return DONE

    return step(name, act, undo=lambda *_: DONE)


def pauses(name: str, seconds: float = 0, timeout: timedelta = timedelta(minutes=1)) -> Step:
    """A step that waits once, and then is done."""

    def act(_: World, data: Data) -> Outcome:
        if data.get("waited"):
            return DONE
        data["waited"] = True
        return Wait("for a while", at_most=timedelta(seconds=seconds))

    return step(name, act, timeout=timeout)


@pytest.fixture
def machine(either_store: Store) -> Machine:
    """An engine whose time and worker the test turns by hand, on each kind of database."""
    return Machine(either_store)


def another_version(machine: Machine, *steps: Step) -> Machine:
    """A machine beside it, of a version with these steps."""
    other = Machine(machine.store)
    other.now = machine.now
    if steps:
        other.workflows["work"] = workflow(*steps)
    return other


def seen(run: Run) -> tuple[object, ...]:
    """What a version that does not know a run must not change about it."""
    return run.step, run.phase, run.step_began_at, run.attempt, run.takes, run.data, run.evidence, run.cancel_requested


def test_a_run_at_a_step_that_this_version_lacks_waits_for_one_that_has_it(machine: Machine) -> None:
    """It says which version lacks what, and what to do; the other goes on where the run was."""
    run_id = machine.submit(does("a"), pauses("b"), does("c"))
    before = machine.turn(run_id)
    old = another_version(machine, does("a"), does("new"))
    left = old.turn(run_id)
    assert (left.status, left.due_at, left.unknown_since) == (Status.WAITING, old.now + timedelta(seconds=5), old.now)
    assert seen(left) == seen(before)
    assert "this version (" in left.reason
    assert "has no step b in workflow work: it waits for a process of a version that has it; begin one" in left.reason
    machine.pass_time(5)
    run = machine.turn(run_id)
    assert (run.status, run.unknown_since, run.data["did"]) == (Status.DONE, None, ["a", "c"])
    assert machine.story(run_id) == [("a", "done"), ("b", "wait"), ("b", "unknown"), ("b", "done"), ("c", "done")]


def test_a_run_of_a_workflow_that_this_version_lacks_waits_too(machine: Machine) -> None:
    """It has not begun yet, and begins where it is known."""
    run_id = machine.submit(does("a"))
    old = another_version(machine)
    assert "has no workflow work" in old.turn(run_id).reason
    machine.pass_time(5)
    assert machine.turn(run_id).status is Status.DONE


def test_how_often_it_looks_grows_to_a_minute_and_fills_no_history(machine: Machine) -> None:
    """One entry says it, however often a process that does not know the run takes it; that counts as no taking."""
    run_id = machine.submit(does("a"), pauses("b"))
    machine.turn(run_id)
    old, after = another_version(machine, does("a")), []
    for _ in range(7):
        run = old.turn(run_id)
        assert run.due_at is not None
        assert run.takes == 0
        after.append((run.due_at - old.now).total_seconds())
        old.now = run.due_at
    assert after == [5, 5, 10, 20, 40, 60, 60]
    assert machine.story(run_id).count(("b", "unknown")) == 1


def test_takings_that_killed_their_worker_still_count(machine: Machine) -> None:
    """A version that leaves the run alone neither adds to them nor forgives them."""
    run_id = machine.submit(does("a"))
    for _ in range(3):
        assert machine.store.do(lambda session: claims.claim(session, run_id, now=machine.now, lease=machine.timing.lease)) is not None
        machine.pass_time(15)
    assert another_version(machine).turn(run_id).takes == 3


def test_the_time_elsewhere_is_no_part_of_the_step(machine: Machine) -> None:
    """A step that may take a minute goes on after ten that nobody knew it, and has what was left of its minute."""
    run_id = machine.submit(pauses("a", seconds=40), step("b", lambda *_: DONE))
    machine.turn(run_id)
    machine.pass_time(40)
    old = another_version(machine)
    old.turn(run_id)
    machine.pass_time(600)
    began = machine.run(run_id).step_began_at
    machine.workflows["work"] = workflow(step("a", lambda *_: Wait("more", at_most=timedelta(seconds=19)), timeout=timedelta(minutes=1)))
    run = machine.turn(run_id)
    assert began is not None
    assert (run.status, run.step_began_at, run.unknown_since) == (Status.WAITING, began + timedelta(seconds=600), None)
    machine.pass_time(21)
    assert "took longer than" in machine.turn(run_id).reason


def test_a_step_that_failed_elsewhere_has_its_tries_left(machine: Machine) -> None:
    """The failures in a row are those of the version that has the step."""

    def busy(*_: object) -> Outcome:
        raise Busy("OTHER_OPERATION_IN_PROGRESS")

    run_id = machine.submit(step("a", busy))
    machine.turn(run_id)
    machine.pass_time(60)
    assert another_version(machine).turn(run_id).attempt == 1


def test_what_nobody_knows_for_long_is_for_a_person(machine: Machine) -> None:
    """After a quarter of an hour it is stuck with the reason, and what it has stays its own; tried again, the right version goes on."""

    def needs(world: World, _: Data) -> Outcome:
        return DONE if "vm:1" in world.held else Need(("vm:1",))

    run_id = machine.submit(step("a", needs), pauses("b"), does("c"))
    machine.turn(run_id)
    old = another_version(machine, does("a"))
    old.turn(run_id)
    old.now += QUARTER - timedelta(seconds=1)
    assert old.turn(run_id).status is Status.WAITING
    old.now += timedelta(minutes=1)
    run = old.turn(run_id)
    assert (run.status, run.step, run.next_command) == (Status.STUCK, "b", f"vfo run {run_id} retry")
    assert "has no step b in workflow work, and no process has had it for 0:15:00" in run.reason
    assert machine.story(run_id)[-1] == ("b", "stuck")
    with machine.store.read() as session:
        assert holds.of(session, run_id) == {"vm:1"}
    machine.now = old.now
    machine.engine.retry(run_id, by="ada")
    assert another_version(machine, does("a")).turn(run_id).status is Status.WAITING
    machine.pass_time(5)
    assert machine.turn(run_id).data["did"] == ["c"]


def test_a_cancelled_run_is_undone_by_a_version_that_knows_how(machine: Machine) -> None:
    """The other one does not give it up in its own way."""
    undone: list[str] = []

    def undo(*_: object) -> Outcome:
        undone.append("b")
        return DONE

    steps = does("a"), step("b", lambda *_: Wait("long", at_most=timedelta(hours=9)), undo=undo)
    run_id = machine.submit(*steps)
    machine.turn(run_id)
    old = another_version(machine, does("a"))
    machine.engine.cancel(run_id, by="ada")
    left = old.turn(run_id)
    assert (left.status, left.phase, undone) == (Status.WAITING, Phase.FORWARD, [])
    machine.pass_time(5)
    assert machine.turn(run_id).status is Status.UNDONE
    assert undone == ["b"]


@pytest.mark.parametrize("lacks", ["the step", "its undo"])
def test_an_undo_that_this_version_lacks_is_left_too(machine: Machine, lacks: str) -> None:
    """Neither skipped nor said to be done; what is known of the way back is kept."""
    tries: list[int] = []

    def undo(*_: object) -> Outcome:
        tries.append(1)
        return Wait("once more", at_most=timedelta()) if len(tries) < 2 else DONE

    run_id = machine.submit(does("a"), step("b", lambda *_: Wait("long"), undo=undo))
    machine.turn(run_id)
    machine.engine.cancel(run_id, by="ada")
    before = machine.turn(run_id)
    assert (before.status, before.phase) == (Status.WAITING, Phase.UNDO)
    old = another_version(machine, does("a"), step("c" if lacks == "the step" else "b", lambda *_: DONE))
    left = old.turn(run_id)
    assert seen(left) == seen(before)
    assert ("no step b" if lacks == "the step" else "nothing that undoes step b") in left.reason
    machine.pass_time(5)
    run = machine.turn(run_id)
    assert (run.status, run.reason, len(tries)) == (Status.UNDONE, "cancelled", 2)


def test_a_run_that_somebody_else_took_meanwhile_is_left_to_it(machine: Machine) -> None:
    """A version that knows nothing of it does not park it under the other's hands."""
    run_id = machine.submit(does("a"))
    mine = machine.store.do(lambda session: claims.claim(session, run_id, now=machine.now, lease=machine.timing.lease))
    machine.pass_time(15)
    theirs = machine.store.do(lambda session: claims.claim(session, run_id, now=machine.now, lease=machine.timing.lease))
    assert mine is not None
    assert theirs is not None
    old = another_version(machine)
    assert old.worker._leave(mine)
    assert machine.run(run_id).status is Status.RUNNING
    assert machine.run(run_id).claim == theirs.claim


def test_those_who_know_it_have_it_first(postgres_url: str) -> None:
    """The right version takes it without a message; the others publish it for everybody when nobody has taken it for a while."""
    store = Store(postgres_url)
    right, old = Machine(store), Machine(store)
    run_id = right.submit(does("a"), pauses("b"), does("c"))
    right.turn(run_id)
    old.workflows["work"] = workflow(does("a"))
    due = old.turn(run_id).due_at
    assert due is not None
    right.now = old.now = due
    assert old.engine._sweeper.sweep() == 0
    assert right.engine._sweeper.sweep() == 0
    assert taken(right) == [run_id]
    assert taken(old) == []
    old.now += LEFT
    assert old.engine._sweeper.sweep() == 1
    store.close()


def taken(machine: Machine) -> list[UUID]:
    """What its thread for such runs was given."""
    found, mine = [], machine.engine._strays._mine
    while not mine.empty():
        found.append(mine.get())
    return found


def test_a_run_that_is_stuck_for_another_reason_is_no_stray(machine: Machine) -> None:
    """A record of any kind ends that it is unknown."""
    run_id = machine.submit(step("a", lambda *_: Stuck("leaked", "vfo vfs")))
    another_version(machine).turn(run_id)
    machine.pass_time(5)
    run = machine.turn(run_id)
    assert (run.status, run.unknown_since) == (Status.STUCK, None)
    with machine.store.read() as session:
        assert claims.strays(session, now=machine.now, limit=9) == []


def test_runs_are_created_for_versions_to_come(machine: Machine) -> None:
    """What a newer command line asks for is kept until a process that knows it is there."""
    run = another_version(machine).engine.submit(Request("later", "pool", "vm:1", "VM 1"))[0]
    assert machine.turn(run.id).status is Status.WAITING
