"""Getting a VM back on the stage: all that it had, or nothing of it."""

import pytest

from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.restores import Stages, came_back, ended, left, request, staged
from tests.workflows.stage import Stage, giving_up
from workflows.restore import LOOK_AGAIN, RESTORE


def dying(stage: Stage, crash: crashes.Crash) -> crashes.Crash:
    """The stage's workflow, with a death of its own."""
    deadly = crashes.Crash(crash.step, crash.when, crash.undo)
    stage.workflows[RESTORE.name] = deadly.into(stage.workflows[RESTORE.name])
    return deadly


def test_a_vm_comes_back_with_its_disks_its_mac_and_its_vf(stages: Stages) -> None:
    """Record, disks in their places, VIFs with their MACs, and a VF that assign-vf admits."""
    stage = staged(stages)
    run = ended(stage, request(stage))
    came_back(stage, run)
    assert stage.port.power_state(run.data["vm"]) == "Halted"


def test_started_it_holds_its_vf(stages: Stages) -> None:
    """With --start the run ends when the VM runs and VM.attached_PCIs shows its VF."""
    stage = staged(stages)
    run = ended(stage, request(stage, starts=True))
    came_back(stage, run)
    vm = stage.port.vm(run.data["vm"])
    assert vm.power_state == "Running"
    assert sum(pci.is_vf for pci in vm.held) == 1


@pytest.mark.parametrize("crash", crashes.of(RESTORE), ids=str)
def test_a_death_at_any_step_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """The next process goes on: one VM comes back, whole."""
    stage = staged(stages)
    deadly = dying(stage, crash)
    run = ended(stage, request(stage, starts=True))
    assert deadly.deaths == 1
    came_back(stage, run)


@pytest.mark.parametrize("step", [step.name for step in RESTORE.steps[:6]])
def test_given_up_before_it_is_whole_nothing_of_it_stays(stages: Stages, step: str) -> None:
    """VM and disks are destroyed, and nothing else."""
    stage = staged(stages)
    stage.workflows[RESTORE.name] = giving_up(RESTORE, step)
    run = ended(stage, request(stage))
    assert run.status in (Status.UNDONE, Status.REFUSED)
    assert left(stage) == []


@pytest.mark.parametrize("step", [step.name for step in RESTORE.steps[6:]])
def test_given_up_when_it_is_whole_it_stays(stages: Stages, step: str) -> None:
    """Nobody loses a VM that has come back."""
    stage = staged(stages)
    stage.workflows[RESTORE.name] = giving_up(RESTORE, step)
    run = ended(stage, request(stage))
    assert run.status is Status.UNDONE
    assert left(stage, new={run.data["vm"]}) == []


@pytest.mark.parametrize("crash", crashes.of_undo(RESTORE), ids=str)
def test_a_death_at_any_undo_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """Whoever takes the run up takes all of it away."""
    stage = staged(stages)
    stage.transfers.says = ["failed"]
    deadly = dying(stage, crash)
    run = ended(stage, request(stage))
    assert deadly.deaths == 1
    assert run.status is Status.UNDONE
    assert left(stage) == []


def test_a_death_at_any_call_is_survived(stages: Stages) -> None:
    """Before and after each single call that changes something, in whichever run it is."""

    def check(stage: Stage, run: Run) -> None:
        came_back(stage, run)

    assert crash_everywhere(lambda: staged(stages), lambda stage: request(stage, starts=True), check, run=ended) > 20


def test_a_death_at_any_call_of_the_way_back_is_survived(stages: Stages) -> None:
    """Given up when the disks are filled, whatever was made goes."""

    def prepare(stage: Stage) -> None:
        stage.workflows[RESTORE.name] = giving_up(RESTORE, "attach")

    def check(stage: Stage, run: Run) -> None:
        assert run.status is Status.UNDONE, stage.story(run.id)
        assert left(stage) == []

    assert crash_everywhere(lambda: staged(stages), request, check, prepare=prepare, run=ended) > 10


def test_the_end_of_assign_vf_wakes_the_run_that_waits_for_it(stages: Stages) -> None:
    """It does not wait for its next look: the VM is there as soon as its VIF is."""
    stage = staged(stages)
    run_id = stage.submit(request(stage))
    began = stage.now
    stage.finish_all()
    assert stage.at(run_id).status is Status.DONE
    assert stage.now - began < LOOK_AGAIN
