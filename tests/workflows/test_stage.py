"""The stage and its judge are themselves tested: a judge who sees nothing would let everything pass."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.simulator.control import find
from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.stage import Stage, giving_up
from workflows.outcome import DONE, Need, Outcome, Request, Wait
from workflows.ports import Pool
from workflows.tasks import carried_out
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

Stages = Callable[..., Stage]


def have(world: World, data: Data) -> Outcome:
    """Have the VM for itself."""
    thing = f"vm:{data['vm']}"
    return DONE if thing in world.held else Need((thing,))


def put_on(world: World, data: Data) -> Outcome:
    """Start the VM."""
    vm = data["vm"]
    begun = carried_out(world, data, "start", lambda: world.pool.begin_start(vm), lambda: world.pool.vm(vm).power_state == "Running")
    return begun or DONE


def guard(world: World, data: Data) -> Outcome:
    """Note, and keep others from starting it."""
    world.pool.note(data["vm"], "vfo:test", data["vm"])
    world.pool.block(data["vm"], ["start"], f"vfo: test {world.run_id}")
    return DONE


def unguard(world: World, data: Data) -> Outcome:
    """Take both away."""
    world.pool.unblock(data["vm"], f"vfo: test {world.run_id}")
    world.pool.erase(data["vm"], "vfo:test")
    return DONE


def shut_down(world: World, data: Data) -> Outcome:
    """Shut the VM down."""
    vm = data["vm"]
    is_off: Callable[[], bool] = lambda: world.pool.vm(vm).power_state == "Halted"  # noqa: E731
    return carried_out(world, data, "shutdown", lambda: world.pool.begin_clean_shutdown(vm), is_off) or DONE


def let(world: World, data: Data) -> Outcome:
    """Take the guard away."""
    return unguard(world, data)


def put_back(world: World, data: Data) -> Outcome:
    """Start it again; who guards it cannot start it either."""
    unguard(world, data)
    return put_on(world, data)


SHORT = timedelta(seconds=30)
CYCLE = Workflow(
    "cycle", "Off and on", (Step(have), Step(guard, undo=unguard), Step(shut_down, undo=put_back, timeout=SHORT), Step(let), Step(put_on))
)


def request(stage: Stage) -> Request:
    """The first VM that holds a VF goes off and on."""
    stage.workflows["cycle"] = stage.workflows.get("cycle", CYCLE)
    vm = stage.with_vf()
    return Request("cycle", "lab", f"vm:{vm.uuid}", f"VM {vm.name}", {"vm": vm.uuid})


def test_a_run_goes_over_the_wire_and_leaves_everything_as_it_was(stages: Stages) -> None:
    """Two tasks of the pool, waited for without a thread and without moving the clock."""
    stage = stages()
    began = stage.now
    run = stage.run(request(stage))
    assert (run.status, stage.complaints()) == (Status.DONE, [])
    assert stage.now - began < timedelta(seconds=5)
    assert any("shutdown has begun" in line for line in stage.story(run.id))


@pytest.mark.parametrize("crash", crashes.of(CYCLE), ids=str)
def test_a_death_at_any_step_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """The next process goes on."""
    stage = stages()
    assert stage.survive(request(stage), crash).status is Status.DONE
    assert stage.complaints() == []


@pytest.mark.parametrize("crash", crashes.of_undo(CYCLE), ids=str)
def test_a_death_at_any_undo_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """Given up after the VM was shut down, it is put back."""
    stage = stages()
    assert stage.survive(request(stage), crash, give_up_after="shut_down").status is Status.UNDONE
    assert stage.complaints() == []


def test_a_death_at_any_call_is_survived(stages: Stages) -> None:
    """Note, block, shut down, unblock, erase, start: before and after each."""

    def check(stage: Stage, run: Run) -> None:
        assert run.status is Status.DONE, run.reason
        assert stage.complaints() == []

    assert crash_everywhere(stages, request, check) == 12


def test_a_step_that_notes_and_acts_in_one_go_is_found(stages: Stages) -> None:
    """What was learned before the act is lost with the record: the crash after the act shows it."""

    def forgetful(world: World, data: Data) -> Outcome:
        """Note and act."""
        data["was"] = world.pool.vm(data["vm"]).tags
        world.pool.tag(data["vm"], "vfo")
        return DONE

    def check(_: Stage, run: Run) -> None:
        assert "vfo" not in run.data["was"], "the note is lost"

    def prepare(stage: Stage) -> None:
        stage.workflows["cycle"] = Workflow("cycle", "Off and on", (Step(forgetful),))

    with pytest.raises(AssertionError, match="after call 1, tag: the note is lost"):
        crash_everywhere(stages, request, check, prepare=prepare)


def test_settling_leaves_what_waits_for_others_waiting(stages: Stages) -> None:
    """A run that waits for a change stands still until the test makes it, and wakes it."""

    def halted(world: World, data: Data) -> Outcome:
        """Wait until somebody halts it."""
        if world.pool.vm(data["vm"]).power_state == "Halted":
            return DONE
        return Wait("for somebody", on="vm:x", at_most=timedelta(days=1))

    stage = stages()
    stage.workflows["cycle"] = Workflow("cycle", "Off and on", (Step(halted),))
    run_id = stage.submit(request(stage))
    assert stage.settle(run_id).reason == "for somebody"
    stage.simulated.halt_vm(stage.at(run_id).data["vm"])
    assert stage.wake("vm:x") == 1
    assert stage.settle(run_id).status is Status.DONE


def test_a_guest_that_does_not_listen_costs_the_run_its_time_and_the_test_none(stages: Stages) -> None:
    """The step's time passes on the stage's clock; then the run is undone."""
    stage = stages()
    wanted = request(stage)
    stage.simulated.control.guest(wanted.data["vm"], ignores_shutdown=True, acknowledges=True)
    began = stage.now
    run = stage.run(wanted)
    assert run.status is Status.UNDONE, stage.story(run.id)
    assert stage.now - began >= SHORT
    assert stage.complaints() == []


def park(pool: Pool, stage: Stage, vm: str) -> None:
    """Move a VIF to a parking network and leave it there."""
    network = pool.create_network("vfo parking", {"vfo:parking": "true"})
    stage.simulated.halt_vm(vm)
    pool.move_vif(pool.vm(vm).vifs[0].uuid, network)


Harm = Callable[[Pool, Stage, str], Any]
HARMS: dict[str, Harm] = {
    "power_state": lambda _, stage, vm: stage.simulated.halt_vm(vm),
    "tag 'vfo'": lambda pool, _, vm: pool.tag(vm, "vfo"),
    "other_config has 'vfo:x'": lambda pool, _, vm: pool.note(vm, "vfo:x", "y"),
    "start blocked: vfo: x": lambda pool, _, vm: pool.block(vm, ["start"], "vfo: x"),
    "is gone": lambda _, stage, vm: stage.simulated.destroy_vm(vm),
    "VIF 7": lambda pool, stage, vm: pool.create_vif(vm, stage.network(), "7", "", {}),
    "is left": lambda _, stage, vm: stage.simulated.add_snapshot(vm, "left"),
    "enabled was": lambda pool, _, __: pool.disable_host(pool.hosts()[0].uuid),
    "1 VFs are leaked": lambda _, stage, __: stage.simulated.control.leak("host1", "SR-IOV"),
    "is on the parking network": park,
    "other_config has 'vfo:z'": lambda pool, _, __: pool.note_host(pool.hosts()[0].uuid, "vfo:z", "1"),
    "held 1 VFs, holds 0": lambda _, stage, vm: stage.simulated.halt_vm(vm),
    "MAC was": lambda _, stage, vm: change(stage, vm, MAC="00:00:00:00:00:01"),
    "locking_mode was": lambda _, stage, vm: change(stage, vm, locking_mode="locked"),
}


def change(stage: Stage, vm: str, **fields: Any) -> None:
    """Change the VM's first VIF behind XenAPI."""
    db = stage.simulated.database
    db.set("VIF", db.get("VM", find(db, "VM", vm))["VIFs"][0], **fields)


@pytest.mark.parametrize("says", HARMS)
def test_the_judge_sees(stages: Stages, says: str) -> None:
    """Each kind of harm and of leaving is complained of."""
    stage = stages()
    HARMS[says](stage.pool, stage, stage.with_vf().uuid)
    assert any(says in complaint for complaint in stage.complaints()), stage.complaints()


def test_the_judge_sees_what_our_rows_keep(stages: Stages) -> None:
    """Runs that have not ended, things held and VFs promised."""
    stage = stages()
    stage.workflows["cycle"] = Workflow("cycle", "Off and on", (Step(have), Step(lambda_wait)))
    stage.settle(stage.submit(request(stage)))
    assert stage.ledger.promise(stage.port.look_at_ports()[0], "some-vm", 1, stage.runs()[0].id)
    said = stage.complaints()
    assert [part for part in ("is waiting", "is held by", "are promised to some-vm") if not any(part in line for line in said)] == []


def lambda_wait(_: World, __: Data) -> Outcome:
    """Wait for ever."""
    return Wait("for ever", on="x", at_most=timedelta(days=99))


def test_giving_up_keeps_the_steps_names() -> None:
    """So that records and diagrams are the workflow's own."""
    assert [step.name for step in giving_up(CYCLE, "guard").steps] == [step.name for step in CYCLE.steps]
