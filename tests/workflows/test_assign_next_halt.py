"""The moment that an administrator chooses: `--when next-halt`."""

from datetime import timedelta
from uuid import UUID

import pytest

from state.run import ACTIVE, Run, Status
from tests.engine import crashes, waiting
from tests.workflows.assigning import Stages, asking, bare, left_wrong, returning, started
from tests.workflows.stage import Stage
from workflows import prepare
from workflows.assign import ASSIGN
from workflows.objects import VM
from workflows.outcome import wake_on_object
from workflows.ports import Refused

GUARDED = "until somebody halts it"


def parked(stage: Stage, vm: VM, **wish: str) -> UUID:
    """A run that waits for the VM to be halted."""
    run_id = stage.submit(asking(stage, vm, when="next-halt", **wish))
    assert GUARDED in stage.settle(run_id).reason
    return run_id


def halted(stage: Stage, vm: VM, run_id: UUID) -> Run:
    """Somebody halts the VM, the listener sees it; how the run stands when it has settled."""
    stage.simulated.halt_vm(vm.uuid)
    stage.wake(wake_on_object(stage.pool.name, "vm", vm.uuid))
    return stage.settle(run_id)


def test_a_running_vm_is_not_touched_until_somebody_halts_it(stages: Stages) -> None:
    """It runs on; only its next start is blocked, for a reason that names the run."""
    stage = stages()
    vm = bare(stage, running=True)
    run_id = parked(stage, vm)
    now = stage.port.vm(vm.uuid)
    assert (now.power_state, now.vifs, set(now.blocked_operations)) == ("Running", (), {"start", "start_on"})
    assert all(str(run_id) in reason for reason in now.blocked_operations.values())


def test_a_halted_vm_has_its_vif_before_it_can_start(stages: Stages) -> None:
    """Then the guard is gone and it is left halted; when somebody starts it, it holds its VF."""
    stage = stages()
    vm = bare(stage, running=True)
    run = halted(stage, vm, parked(stage, vm))
    now = stage.port.vm(vm.uuid)
    assert (run.status, now.power_state, len(now.vifs), now.blocked_operations) == (Status.DONE, "Halted", 1, {})
    started(stage, vm)
    assert len(stage.port.vm(vm.uuid).held) == 1
    assert left_wrong(stage, vm) == []


def test_who_starts_it_at_once_is_too_early(stages: Stages) -> None:
    """The block stands before the halt, so nobody can be quicker than we are."""
    stage = stages()
    vm = bare(stage, running=True)
    parked(stage, vm)
    stage.simulated.halt_vm(vm.uuid)
    ref = stage.client.call("VM.get_by_uuid", vm.uuid)
    with pytest.raises(Refused, match="OPERATION_BLOCKED"):
        stage.client.call("VM.start", ref, False, False)


def test_a_reboot_by_the_guest_is_no_halt(stages: Stages) -> None:
    """It does not bring the VF, and the run waits on (story 31)."""
    stage = stages()
    vm = bare(stage, running=True)
    run_id = parked(stage, vm)
    ref = stage.client.call("VM.get_by_uuid", vm.uuid)
    for seen in ("during", "after"):
        if seen == "during":
            stage.client.call("Async.VM.clean_reboot", ref)
        else:
            waiting.until(lambda: not stage.port.vm(vm.uuid).current_operations)
        stage.wake(wake_on_object(stage.pool.name, "vm", vm.uuid))
        assert GUARDED in stage.settle(run_id).reason
    assert stage.port.vm(vm.uuid).vifs == ()


def test_a_cancelled_run_leaves_no_guard(stages: Stages) -> None:
    """Nor a promise."""
    stage = stages()
    vm = bare(stage, running=True)
    run_id = parked(stage, vm)
    stage.engine.cancel(run_id, by="a test")
    assert (stage.finish(run_id).status, stage.complaints()) == (Status.UNDONE, [])


def test_a_vm_that_is_deleted_while_it_is_waited_for_ends_the_run_undone(stages: Stages) -> None:
    """Its guard went with it; the promise is dropped."""
    stage = stages()
    vm = bare(stage, running=True)
    run_id = parked(stage, vm)
    stage.simulated.destroy_vm(vm.uuid)
    stage.wake(wake_on_object(stage.pool.name, "vm", vm.uuid))
    run = stage.settle(run_id)
    assert (run.status, run.reason) == (Status.UNDONE, f"VM {vm.name} is gone")
    assert stage.ledger.promised_to(vm.uuid) == {}


def test_a_start_of_ours_passes_the_guard_and_it_is_put_back(stages: Stages) -> None:
    """A backup that takes the VM down while it is waited for must be able to start it again."""
    stage = stages()
    vm = bare(stage, running=True)
    run_id = parked(stage, vm)
    stage.simulated.halt_vm(vm.uuid)
    started(stage, vm)
    assert stage.port.vm(vm.uuid).blocked_operations == {}
    stage.wake(wake_on_object(stage.pool.name, "vm", vm.uuid))
    assert GUARDED in stage.settle(run_id).reason
    assert set(stage.port.vm(vm.uuid).blocked_operations) == {"start", "start_on"}


def test_another_run_may_take_the_vm_down_meanwhile(stages: Stages) -> None:
    """The waiting run does not have the VM: the other one ends first, then it waits on for a halt by somebody else."""
    stage = stages()
    vm = stage.with_vf()
    run_id = parked(stage, vm, device="3")
    other = stage.run(asking(stage, vm, device="5"))
    assert (other.status, stage.port.vm(vm.uuid).power_state) == (Status.DONE, "Running"), stage.story(other.id)
    stage.wake(wake_on_object(stage.pool.name, "vm", vm.uuid))
    assert GUARDED in stage.settle(run_id).reason
    assert halted(stage, vm, run_id).status is Status.DONE
    assert {vif.device for vif in stage.port.vm(vm.uuid).vifs} == {"0", "3", "5"}
    assert stage.port.vm(vm.uuid).blocked_operations == {}


def test_a_backup_goes_on_meanwhile(stages: Stages) -> None:
    """It takes the VM down and up again past the guard; that is no halt by somebody, and the run waits on."""
    stage = stages(vms=2)
    vm = stage.with_vf()
    run_id = parked(stage, vm, device="3")
    backup = stage.submit(prepare.request("lab", vm, mode="offline", hold=timedelta(seconds=1), retention=timedelta()))
    for _ in range(20):
        if stage.settle(backup).status is Status.DONE:
            break
        stage.wake(wake_on_object(stage.pool.name, "vm", vm.uuid))
        stage.settle(run_id)
        stage._move_to(stage.at(backup))
    assert stage.at(backup).status is Status.DONE, stage.story(backup)
    stage.finish(*(run.id for run in stage.runs(ACTIVE) if run.id != run_id))
    stage.wake(wake_on_object(stage.pool.name, "vm", vm.uuid))
    assert GUARDED in stage.settle(run_id).reason
    now = stage.port.vm(vm.uuid)
    assert (now.power_state, len(now.held), set(now.blocked_operations)) == ("Running", 1, {"start", "start_on"})
    assert halted(stage, vm, run_id).status is Status.DONE


def test_a_vm_that_its_host_would_have_started_is_started(stages: Stages) -> None:
    """Its host booted, and xapi's start of an auto_poweron VM met our guard: we make it good (story 19)."""
    stage = stages()
    vm = bare(stage, running=True)
    ref = stage.client.call("VM.get_by_uuid", vm.uuid)
    stage.client.call("VM.add_to_other_config", ref, "auto_poweron", "true")
    run_id = parked(stage, vm)
    host = next(host for host in stage.port.hosts() if host.uuid == vm.resident_on)
    stage.simulated.halt_vm(vm.uuid)
    stage.client.call("host.remove_from_other_config", stage.client.call("host.get_by_uuid", host.uuid), "boot_time")
    stage.client.call("host.add_to_other_config", stage.client.call("host.get_by_uuid", host.uuid), "boot_time", str(host.boot_time + 600))
    stage.wake(wake_on_object(stage.pool.name, "vm", vm.uuid))
    run = stage.finish(run_id)
    now = stage.port.vm(vm.uuid)
    assert (run.status, now.power_state, len(now.held), now.blocked_operations) == (Status.DONE, "Running", 1, {})


@pytest.mark.parametrize("crash", crashes.of(ASSIGN), ids=str)
def test_a_crash_anywhere_leaves_no_guard(stages: Stages, crash: crashes.Crash) -> None:
    """The run goes on, the VM has one VIF and can be started."""
    stage = stages(vms=3)
    vm = bare(stage, running=True)
    stage.workflows[ASSIGN.name] = crash.into(ASSIGN)
    run_id = stage.submit(asking(stage, vm, when="next-halt"))
    run = survived(stage, vm, run_id)
    now = stage.port.vm(vm.uuid)
    assert (run.status, now.power_state, len(now.vifs), now.blocked_operations) == (Status.DONE, "Halted", 1, {})
    started(stage, vm)
    assert left_wrong(stage, vm) == []


def survived(stage: Stage, vm: VM, run_id: UUID) -> Run:
    """The run at its end, somebody halting the VM when it waits for that."""
    for _ in range(100):
        run = stage._turned(run_id)
        if run.status not in ACTIVE:
            return run
        if GUARDED in run.reason:
            stage.simulated.halt_vm(vm.uuid)
        stage._move_to(run)
    raise AssertionError(f"the run does not end: {run.reason}")


def test_a_release_waits_for_a_halt_as_well(stages: Stages) -> None:
    """The VIF goes while the VM is halted; nothing of ours is left."""
    stage = stages()
    vm = stage.with_vf()
    run_id = stage.submit(returning(stage, vm, when="next-halt"))
    assert GUARDED in stage.settle(run_id).reason
    run = halted(stage, vm, run_id)
    assert (run.status, stage.port.vm(vm.uuid).vifs, stage.port.vm(vm.uuid).blocked_operations) == (Status.DONE, (), {})
