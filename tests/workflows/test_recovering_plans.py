"""What `vfo recover` says that it would do is what its runs do."""

from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.simulator.control import find
from state.run import Run, Status
from tests.journey import scenes
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.dying import Dying
from tests.workflows.stage import Stage
from tests.workflows.test_put_right import abandoned, kept_snapshot, with_empty_database
from workflows import bring_back, parking, put_right, recovering, recovering_plans
from workflows.objects import VM
from workflows.outcome import Request
from workflows.plan import Plan

UNBLOCK = ["VM.remove_from_blocked_operations", "VM.remove_from_blocked_operations"]
CALLS = {
    "block": ["VM.add_to_blocked_operations", "VM.add_to_blocked_operations"],
    "unblock": [*UNBLOCK, "VM.update_allowed_operations"],
    "erase": ["VM.remove_from_other_config"],
    "note_host": ["host.remove_from_other_config"],
    "enable_host": ["host.enable"],
    "tag": ["VM.add_tags"],
    "untag": ["VM.remove_tags"],
    "move_vif": ["VIF.move"],
    "create_vif": ["VIF.create"],
    "destroy_snapshot": ["VDI.destroy", "VM.destroy"],
    "begin_clean_shutdown": ["VM.clean_shutdown"],
}
OF_A_START = {True: [*UNBLOCK, "VM.start_on"], False: ["VM.start_on"]}


def planned(stage: Stage, request: Request) -> Plan:
    """The plan, which changes nothing."""
    before = stage.look()
    plan = recovering_plans.of_recovering(stage.pool, stage.policy.backup, request, stage.now, stage.ledger.homes)
    assert stage.look().records == before.records
    return plan


def carried_out(stage: Stage, request: Request, *, guarded: bool = True) -> tuple[Run, list[str]]:
    """The run at its end, and the XenAPI calls by which it changed something; *guarded*: a start takes our blocks off."""
    counting = Dying(stage.port)
    stage.pool = counting.pool()
    run = stage.run(request)
    names = CALLS | {"begin_start": OF_A_START[guarded]}
    return run, list(chain.from_iterable(names[name] for name in counting.called))


def reverted(stage: Stage) -> Request:
    """To our snapshot, with its VIF parked."""
    vm, snapshot = kept_snapshot(stage, "offline")
    stage.client.call("VM.revert", find(stage.simulated.database, "VM", snapshot))
    return put_right.request("lab", vm.uuid, vm.name)


def reverted_to_theirs(stage: Stage) -> Request:
    """To a snapshot of somebody else's, that had lost the VIF."""
    vm = stage.with_vf()
    snapshot = stage.client.call("VM.snapshot", find(stage.simulated.database, "VM", vm.uuid), "theirs", [])
    for vif in stage.client.call("VM.get_VIFs", snapshot):
        stage.client.call("VIF.destroy", vif)
    stage.client.call("VM.revert", snapshot)
    return put_right.request("lab", vm.uuid, vm.name, [vif.as_note() for vif in vm.sriov_vifs])


def lost(stage: Stage) -> Request:
    """Halted, guarded and noted, its VIF parked: its run is over, and nobody knows of it."""
    vm = stage.with_vf()
    scenes.lose(scenes.Hands(stage.client), vm, uuid4())
    return put_right.request("lab", vm.uuid, vm.name)


def lost_while_halted(stage: Stage) -> Request:
    """As `lost`, of a VM that was halted before."""
    stage.simulated.halt_vm(stage.with_vf().uuid)
    vm = next(vm for vm in stage.port.vms() if vm.power_state == "Halted" and vm.sriov_vifs)
    scenes.lose(scenes.Hands(stage.client), vm, uuid4())
    return put_right.request("lab", vm.uuid, vm.name)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (reverted, "leave it halted"),
        (reverted_to_theirs, "anew on SR-IOV"),
        (lost, "start it where it ran; if its VF is gone: elsewhere, wait, fallback-network, leave-halted"),
        (lost_while_halted, "take its block off (start, start_on)"),
    ],
)
def test_the_plan_of_putting_right_names_the_calls_of_its_run(stages: Stages, broken: Callable[[Stage], Request], says: str) -> None:
    """Every call that changes something, in order, and what becomes of the VM in words."""
    stage = backups.staged(stages)
    request = broken(stage)
    plan = planned(stage, request)
    assert any(says in sentence for sentence in plan.sentences), plan.sentences
    run, made = carried_out(stage, request)
    assert (run.status, list(plan.calls), plan.refusals) == (Status.DONE, made, ())
    assert plan.title == f"put-right of {request.title}"


def test_the_plan_says_whether_a_vm_goes_down_or_is_waited_for(stages: Stages) -> None:
    """One that was reverted and started runs on until somebody halts it; one that a lost run has started without its VF does not."""
    stage = backups.staged(stages)
    request = reverted(stage)
    stage.client.call("VM.start", find(stage.simulated.database, "VM", request.data["vm"]), False, False)
    plan = planned(stage, request)
    assert plan.sentences[1:3] == ("wait until somebody halts it", f"move {noted(stage, request)} from vfo parking to SR-IOV")
    assert "VM.clean_shutdown" not in plan.calls
    other = backups.staged(stages)
    request = lost(other)
    for operation in ("start", "start_on"):
        other.client.call("VM.remove_from_blocked_operations", find(other.simulated.database, "VM", request.data["vm"]), operation)
    other.client.call("VM.start", find(other.simulated.database, "VM", request.data["vm"]), False, False)
    plan = planned(other, request)
    assert plan.sentences[1] == "shut it down, waiting 0:05:00 for its guest"
    run, made = carried_out(other, request, guarded=False)
    assert (run.status, list(plan.calls)) == (Status.DONE, made)


def noted(stage: Stage, request: Request) -> str:
    """Its VIF, as a plan names it."""
    (vif,) = stage.pool.vm(request.data["vm"]).vifs
    return f"VIF {vif.device} ({vif.MAC})"


def test_the_plan_refuses_as_its_run_does(stages: Stages) -> None:
    """With the run's own words, and exactly then."""
    stage = backups.staged(stages)
    request = lost(stage)
    stage.port.erase(request.data["vm"], parking.NOTE)
    plan = planned(stage, request)
    run = stage.run(request)
    assert (run.status, (run.reason,), plan.calls) == (Status.REFUSED, plan.refusals, ())


def ordinary(stage: Stage) -> VM:
    return stage.with_vf()


def gone(stage: Stage) -> VM:
    vm = stage.with_vf()
    stage.simulated.destroy_vm(vm.uuid)
    return vm


@pytest.mark.parametrize(("found", "why"), [(ordinary, "nothing of it is ours"), (gone, "the VM is gone")])
def test_where_nothing_is_to_be_done_the_plan_says_why(stages: Stages, found: Callable[[Stage], VM], why: str) -> None:
    """And names no call."""
    stage = backups.staged(stages)
    vm = found(stage)
    plan = planned(stage, put_right.request("lab", vm.uuid, vm.name))
    assert (plan.sentences, plan.calls, plan.refusals) == ((f"nothing: {why}",), (), ())


def test_a_plan_waits_for_what_is_in_progress(stages: Stages) -> None:
    """As the run does, before anything else."""
    stage = backups.staged(stages)
    request = lost(stage)
    ref = find(stage.simulated.database, "VM", request.data["vm"])
    stage.simulated.database.set("VM", ref, current_operations={"OpaqueRef:somebody": "start"})
    assert planned(stage, request).sentences[0] == "wait until start is over on the VM"


@pytest.mark.parametrize("mode", ["online", "failover"])
def test_the_plan_of_a_lost_release_names_the_calls_of_its_run(stages: Stages, mode: str) -> None:
    """Its database burned while the snapshot was held."""
    stage = backups.staged(stages)
    vm = abandoned(stage, "prepared", mode)
    other = with_empty_database(stage, stages)
    other.now = stage.now
    (request,) = [one for one in recovering.requests("lab", other.port.marked(), (), other.now) if one.subject.startswith("snapshot:")]
    assert "or `vfo backup release`" in planned(other, request).sentences[0]
    other.pass_time(timedelta(hours=13))
    plan = planned(other, request)
    assert (plan.sentences[0], plan.sentences[-1]) == ("its time is over", "destroy the snapshot with its disks")
    assert any("put VIFs" in sentence for sentence in plan.sentences) is (mode == "failover")
    run, made = carried_out(other, request)
    assert (run.status, list(plan.calls)) == (Status.DONE, made)
    assert len(other.pool.vm(vm).held) == 1


def test_the_plan_of_bringing_a_host_back_names_the_calls_of_its_run(stages: Stages) -> None:
    """It was disabled and emptied, and its run is lost; both VMs are started and the marks go."""
    stage = backups.staged(stages)
    at: Any = scenes.Hands(stage.client)
    (host, *_) = [one for one in stage.port.hosts() if one.resident_vms]
    vms = [stage.port.vm(uuid) for uuid in host.resident_vms]
    scenes.bar(at, host, vms, uuid4())
    (request,) = bring_back.requests("lab", stage.port.hosts(), stage.port.marked(), ())
    plan = planned(stage, request)
    names = ", ".join(sorted(vm.name for vm in vms))
    assert plan.sentences == ("let VMs start there again", f"start {names} there, or where there is room", "take our marks away")
    run, made = carried_out(stage, request, guarded=False)
    assert (run.status, sorted(plan.calls)) == (Status.DONE, sorted(made))
