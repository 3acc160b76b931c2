from typing import Literal

import pytest

from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.assigning import Stages, asking, bare, left_wrong, returning
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.stage import Stage, giving_up
from workflows.assign import ASSIGN
from workflows.outcome import Request
from workflows.release import RELEASE


@pytest.mark.parametrize("crash", crashes.of(ASSIGN), ids=str)
def test_a_crash_at_any_step_gives_one_vf(stages: Stages, crash: crashes.Crash) -> None:
    """The VM runs with one VF more and one VIF more; nothing else is changed or left over (story 2)."""
    stage = stages(vms=3)
    vm = bare(stage, running=True)
    run = stage.survive(asking(stage, vm), crash)
    assert (run.status, left_wrong(stage, vm)) == (Status.DONE, [])
    after = stage.port.vm(vm.uuid)
    assert (after.power_state, len(after.vifs), len(after.held)) == ("Running", 1, 1)


@pytest.mark.parametrize("crash", crashes.of_undo(ASSIGN), ids=str)
def test_a_crash_at_any_undo_leaves_the_vm_as_it_was(stages: Stages, crash: crashes.Crash) -> None:
    """Given up in the end, with the VM running with its VF, everything is put back (story 4)."""
    stage = stages(vms=2)
    vm = stage.with_vf()
    run = stage.survive(asking(stage, vm, device="3"), crash, give_up_after="verify")
    assert (run.status, stage.complaints()) == (Status.UNDONE, [])


@pytest.mark.parametrize("crash", crashes.of(RELEASE), ids=str)
def test_a_crash_at_any_step_takes_one_vf(stages: Stages, crash: crashes.Crash) -> None:
    """The VM runs without its VF."""
    stage = stages(vms=2)
    vm = stage.with_vf()
    run = stage.survive(returning(stage, vm), crash)
    assert (run.status, left_wrong(stage, vm)) == (Status.DONE, [])
    after = stage.port.vm(vm.uuid)
    assert (after.power_state, after.vifs, after.held) == ("Running", (), ())


@pytest.mark.parametrize("crash", crashes.of_undo(RELEASE), ids=str)
def test_a_crash_at_any_undo_of_a_release_restores_the_vif(stages: Stages, crash: crashes.Crash) -> None:
    """Given up in the end, the VM runs with a VF again: device, network and MAC are as they were, only the VIF's uuid is new (story 3)."""
    stage = stages(vms=2)
    vm = stage.with_vf()
    run = stage.survive(returning(stage, vm), crash, give_up_after="verify")
    assert (run.status, left_wrong(stage, vm)) == (Status.UNDONE, [])
    after = stage.port.vm(vm.uuid)
    assert [(vif.device, vif.MAC, vif.network) for vif in after.vifs] == [(vif.device, vif.MAC, vif.network) for vif in vm.vifs]
    assert len(after.held) == 1


def finished(stage: Stage, run: Run) -> None:
    """Done, and the judge has nothing to say."""
    vm = stage.port.vm(run.data["vm"])
    assert (run.status, run.reason, left_wrong(stage, vm)) == (Status.DONE, run.reason, [])
    assert vm.power_state == "Running"


def undone(stage: Stage, run: Run) -> None:
    """Undone, and everything is as it was."""
    assert (run.status, stage.complaints()) == (Status.UNDONE, []), stage.story(run.id)


def to_assign(stage: Stage) -> Request:
    """One VF more for a VM that runs with one."""
    return asking(stage, stage.with_vf(), device="3")


def test_a_death_at_any_call_of_an_assignment_is_survived(stages: Stages) -> None:
    """Before and after each call that changes something in the pool."""
    assert crash_everywhere(lambda: stages(vms=2), to_assign, finished) >= 10


def test_a_death_at_any_call_of_a_release_is_survived(stages: Stages) -> None:
    """Before and after each call that changes something in the pool."""
    assert crash_everywhere(lambda: stages(vms=2), lambda stage: returning(stage, stage.with_vf()), finished) >= 10


def test_a_death_at_any_call_of_an_assignment_that_is_undone_is_survived(stages: Stages) -> None:
    """The way there and the way back."""

    def prepare(stage: Stage) -> None:
        stage.workflows[ASSIGN.name] = giving_up(ASSIGN, "verify")

    assert crash_everywhere(lambda: stages(vms=2), to_assign, undone, prepare=prepare) >= 20


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "method",
    ["VIF.create", "VM.add_to_blocked_operations", "VM.remove_from_blocked_operations", "Async.VM.clean_shutdown", "Async.VM.start_on"],
)
def test_a_connection_that_is_cut_costs_nothing(stages: Stages, method: str, when: Literal["before", "after"]) -> None:
    """Whether the call took effect or not: it is looked at, and nothing is done twice."""
    stage = stages(vms=3)
    vm = bare(stage, running=True)
    stage.simulated.control.cut(method, when)
    run = stage.run(asking(stage, vm))
    after = stage.port.vm(vm.uuid)
    assert (run.status, len(after.vifs), len(after.held)) == (Status.DONE, 1, 1), stage.story(run.id)
    assert left_wrong(stage, vm) == []
