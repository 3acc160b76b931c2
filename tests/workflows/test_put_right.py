from datetime import timedelta
from typing import Any

import pytest

from orchestrator.ledger import PoolLedger
from orchestrator.simulator.control import find
from state import inventory
from state.inventory import KnownVM
from state.run import Run, Status
from tests.engine import crashes
from tests.engine.crashes import Death
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.stage import Stage
from workflows import backup_snapshots, parking, put_right, recovering
from workflows.objects import VM
from workflows.prepare import PREPARE
from workflows.put_right import PUT_RIGHT


def kept_snapshot(stage: Stage, mode: str) -> tuple[VM, str]:
    """A VM that was prepared and is held: as it was before, and its snapshot."""
    vm = stage.with_vf()
    run = stage.run(backups.request(stage, mode, vm))
    return vm, run.data["snapshot"]


def ref(stage: Stage, vm: str) -> str:
    return find(stage.simulated.database, "VM", vm)


def marks(vm: VM) -> tuple[bool, bool]:
    """Whether it has the tag and the note of a snapshot of ours."""
    return backup_snapshots.TAG in vm.tags, backup_snapshots.NOTE in vm.other_config


def put(stage: Stage, vm: str) -> Run:
    return stage.run(put_right.request("lab", vm, "web"))


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_vm_reverted_to_our_snapshot_has_its_vif_back(stages: Stages, mode: str) -> None:
    """A revert halts it and makes its VIF anew on the parking network: it is moved back, and the VM stays halted (story 13)."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, mode)
    stage.client.call("VM.revert", ref(stage, snapshot))
    assert stage.pool.vm(vm.uuid).vifs[0].network_name == parking.NETWORK_NAME
    run = put(stage, vm.uuid)
    assert run.status is Status.DONE, run.reason
    now = stage.pool.vm(vm.uuid)
    assert [(vif.MAC, vif.device, vif.network) for vif in now.vifs] == [(vif.MAC, vif.device, vif.network) for vif in vm.vifs]
    assert (now.power_state, dict(now.blocked_operations), parking.NOTE in now.other_config) == ("Halted", {}, False)


@pytest.mark.parametrize("runs", [False, True])
def test_what_a_reverted_vm_has_from_our_snapshot_is_taken_off_it(stages: Stages, *, runs: bool) -> None:
    """The tag and the note of a backup, with its VIFs and not before; what others put there stays, and so does the snapshot's own."""
    stage = backups.staged(stages)
    stage.port.tag(stage.with_vf().uuid, "prod")
    vm, snapshot = kept_snapshot(stage, "offline")
    stage.client.call("VM.revert", ref(stage, snapshot))
    assert marks(stage.pool.vm(vm.uuid)) == (True, True), "a revert copies them"
    if runs:
        stage.client.call("VM.start", ref(stage, vm.uuid), False, False)
    run_id = stage.submit(put_right.request("lab", vm.uuid, vm.name))
    stage.settle(run_id)
    if runs:
        assert marks(stage.pool.vm(vm.uuid)) == (True, True), "it waits for a halt"
        stage.simulated.halt_vm(vm.uuid)
    assert stage.finish(run_id).status is Status.DONE
    now = stage.pool.vm(vm.uuid)
    assert (marks(now), now.tags) == ((False, False), ("prod",))
    assert marks(stage.pool.vm(snapshot)) == (True, True)


def test_a_reverted_vm_that_is_not_put_right_keeps_what_it_has_from_our_snapshot(stages: Stages) -> None:
    """As long as a VIF of it cannot go home, the run is stuck, and the note is the evidence."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, "offline")
    stage.client.call("VM.revert", ref(stage, snapshot))
    stage.simulated.control.fail("VIF.move", ["NOT_IMPLEMENTED", "of the test"], times=1)
    run = put(stage, vm.uuid)
    assert (run.status, marks(stage.pool.vm(vm.uuid))) == (Status.STUCK, (True, True))
    stage.engine.retry(run.id, by="me")
    assert stage.finish(run.id).status is Status.DONE
    assert marks(stage.pool.vm(vm.uuid)) == (False, False)


def test_a_reverted_vm_that_was_started_is_put_right_at_its_next_halt(stages: Stages) -> None:
    """It runs without a network meanwhile; nobody's VM is shut down for that without being asked."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, "offline")
    stage.client.call("VM.revert", ref(stage, snapshot))
    for operation in ("start", "start_on"):
        stage.client.call("VM.remove_from_blocked_operations", ref(stage, vm.uuid), operation)
    stage.client.call("VM.start", ref(stage, vm.uuid), False, False)
    run_id = stage.submit(put_right.request("lab", vm.uuid, vm.name))
    assert "when somebody halts the VM" in stage.settle(run_id).reason
    stage.simulated.halt_vm(vm.uuid)
    assert stage.finish(run_id).status is Status.DONE
    now = stage.pool.vm(vm.uuid)
    assert (now.power_state, now.vifs[0].network) == ("Halted", vm.vifs[0].network)


def abandoned(stage: Stage, step: str, mode: str) -> str:
    """A VM whose run died at the step, and whose database is lost: an empty one is there instead."""
    wanted = backups.request(stage, mode)

    def die(*_: Any) -> None:
        raise Death

    backups.meanwhile(stage, PREPARE.name, step, die)
    run_id = stage.submit(wanted)
    for _ in range(200):
        try:
            stage.turn(run_id)
        except Death:
            break
        run = stage.at(run_id)
        if run.waits_on and run.waits_on.startswith("task:"):
            stage._await_task(run)
    else:
        raise AssertionError("nobody died")
    return str(wanted.data["vm"])


def with_empty_database(stage: Stage, stages: Stages) -> Stage:
    """Another orchestrator, with rows of its own, at the same pool."""
    other = backups.staged(stages)
    other.simulated.stop()
    other.simulated = stage.simulated
    other.port, other.pool, other.client = stage.port, stage.port, stage.client
    other.ledger = PoolLedger(other.store, "lab", lambda: other.now)
    other.began = stage.began
    return other


@pytest.mark.parametrize("mode", ["offline", "failover"])
@pytest.mark.parametrize("step", [step.name for step in PREPARE.steps[3:]])
def test_a_vm_is_put_right_from_the_pool_alone(stages: Stages, step: str, mode: str) -> None:
    """The database burned in the middle of a run: the VM runs with its VF, from the note alone (stories 2 and 3)."""
    stage = backups.staged(stages)
    vm = abandoned(stage, step, mode)
    other = with_empty_database(stage, stages)
    other.now = stage.now
    note = parking.own_note(stage.pool.vm(vm)) or {}
    if note.get("until") and note.get("in_service"):
        other.pass_time(timedelta(hours=13))
    run = put(other, vm)
    assert run.status is Status.DONE, other.story(run.id)
    other.finish_all()
    left = [line for line in other.complaints() if "snapshot" not in line and "disk" not in line and "vfo backup of" not in line]
    assert left == []


@pytest.mark.parametrize("crash", crashes.of(PUT_RIGHT), ids=str)
def test_a_death_at_any_step_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """The next process goes on."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, "offline")
    stage.client.call("VM.revert", ref(stage, snapshot))
    assert stage.survive(put_right.request("lab", vm.uuid, vm.name), crash).status is Status.DONE
    assert stage.pool.vm(vm.uuid).vifs[0].network == vm.vifs[0].network


def test_a_death_at_any_call_is_survived(stages: Stages) -> None:
    """Before and after each single call that changes something."""

    def check(stage: Stage, run: Run) -> None:
        assert run.status is Status.DONE, run.reason
        now = stage.pool.vm(run.data["vm"])
        assert (now.vifs[0].on_sriov, parking.NOTE in now.other_config, dict(now.blocked_operations)) == (True, False, {})
        assert marks(now) == (False, False)

    def reverted(stage: Stage) -> Any:
        vm, snapshot = kept_snapshot(stage, "offline")
        stage.client.call("VM.revert", ref(stage, snapshot))
        return put_right.request("lab", vm.uuid, vm.name)

    assert crash_everywhere(lambda: backups.staged(stages), reverted, check) > 4


def test_an_ordinary_vm_is_left_alone(stages: Stages) -> None:
    """Nothing of it is ours: nothing is done."""
    stage = backups.staged(stages)
    run = put(stage, stage.with_vf().uuid)
    assert (run.status, run.reason) == (Status.DONE, "nothing of it is ours")
    assert stage.complaints() == []


def test_a_vm_that_is_gone_is_no_work(stages: Stages) -> None:
    """Deleted meanwhile: done."""
    stage = backups.staged(stages)
    vm = stage.with_vf().uuid
    stage.simulated.destroy_vm(vm)
    assert put(stage, vm).reason == "the VM is gone: nothing is left to put right"


def test_a_parked_vif_without_a_note_needs_a_person(stages: Stages) -> None:
    """Where it belongs is nowhere to be read."""
    stage = backups.staged(stages)
    vm, _ = kept_snapshot(stage, "offline")
    stage.simulated.halt_vm(vm.uuid)
    stage.pool.move_vif(stage.pool.vm(vm.uuid).vifs[0].uuid, stage.network(parking.NETWORK_NAME))
    run = put(stage, vm.uuid)
    assert run.status is Status.REFUSED
    assert "neither a note nor our rows say where they belong" in run.reason


@pytest.mark.parametrize("anew", [False, True], ids=["the same VIF", "another with its MAC"])
@pytest.mark.parametrize("crash", [None, *crashes.of(PUT_RIGHT)], ids=str)
def test_a_parked_vif_without_a_note_goes_where_our_rows_saw_it(stages: Stages, crash: crashes.Crash | None, *, anew: bool) -> None:
    """By its uuid, else by its MAC; with another of which nothing is known besides, a person is needed for that one alone."""
    stage, vm = parked_and_known(stages, anew=anew)
    wanted = put_right.request("lab", vm.uuid, vm.name)
    assert (stage.survive(wanted, crash) if crash else stage.run(wanted)).status is Status.DONE
    now = stage.pool.vm(vm.uuid)
    assert [(vif.device, vif.MAC, vif.network) for vif in now.vifs] == [(vif.device, vif.MAC, vif.network) for vif in vm.vifs]
    assert (now.power_state, parking.NOTE in now.other_config) == ("Halted", False)


def parked_and_known(stages: Stages, *, anew: bool = False) -> tuple[Stage, VM]:
    """A halted VM whose VIF somebody parked, and the VM as our rows knew it before."""
    stage = backups.staged(stages)
    stage.simulated.halt_vm(stage.with_vf().uuid)
    vm = next(vm for vm in stage.port.vms() if vm.power_state == "Halted" and vm.sriov_vifs)
    know(stage, vm)
    parked = stage.port.create_network(parking.NETWORK_NAME, {parking.NETWORK: "true"})
    if anew:
        stage.port.destroy_vif(vm.vifs[0].uuid)
        stage.port.create_vif(vm.uuid, parked, vm.vifs[0].device, vm.vifs[0].MAC, {})
    else:
        stage.port.move_vif(vm.vifs[0].uuid, parked)
    return stage, vm


def know(stage: Stage, vm: VM) -> None:
    """Our rows have the VM as it is, as the listener writes it."""
    vifs = [{"uuid": vif.uuid, "device": vif.device, "MAC": vif.MAC, "network": vif.network, "settings": {}} for vif in vm.sriov_vifs]
    row = KnownVM(pool="lab", vm=vm.uuid, ref=ref(stage, vm.uuid), name=vm.name, vifs=vifs, updated_at=stage.now)
    with stage.store.write() as session:
        inventory.put(session, [row])


def test_of_several_parked_vifs_only_those_that_nobody_knows_need_a_person(stages: Stages) -> None:
    """The others are home by then; moved by hand, a retry is done."""
    stage, vm = parked_and_known(stages)
    strange = stage.port.create_vif(vm.uuid, stage.network(parking.NETWORK_NAME), "5", "02:00:00:00:00:55", {})
    run = put(stage, vm.uuid)
    assert (run.status, "its VIFs 5 (02:00:00:00:00:55) are on our parking network" in run.reason) == (Status.STUCK, True)
    assert stage.pool.vm(vm.uuid).vifs[0].network == vm.vifs[0].network
    stage.port.move_vif(strange, stage.network(backups.ORDINARY))
    stage.engine.retry(run.id, by="me")
    assert stage.finish(run.id).status is Status.DONE


def test_a_parked_vif_whose_mac_another_vm_has_stays_there(stages: Stages) -> None:
    """Two VMs of one MAC must not be alive (story 10)."""
    stage, vm = parked_and_known(stages)
    other = next(one for one in stage.port.vms() if one.uuid != vm.uuid)
    stage.port.create_vif(other.uuid, stage.network(backups.ORDINARY), "5", vm.vifs[0].MAC, {})
    run = put(stage, vm.uuid)
    assert (run.status, f"its MAC is in use by VM {other.name}" in run.reason) == (Status.REFUSED, True)


def test_a_bare_tag_is_nobodys_business(stages: Stages) -> None:
    """Without a note beside it anybody may have put it there: the VM is not listed, and keeps it."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    stage.port.tag(vm.uuid, backup_snapshots.TAG)
    assert recovering.requests("lab", stage.port.marked(), (), stage.now) == []
    assert stage.pool.vm(vm.uuid).tags == (backup_snapshots.TAG,)


def test_a_vm_on_its_ordinary_network_for_a_backup_is_left_there(stages: Stages) -> None:
    """Its release puts it right, in its time."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    run_id = stage.submit(backups.request(stage, "failover", vm))
    while stage.settle(run_id).status is not Status.DONE:
        pass
    assert "its release puts it right" in put(stage, vm.uuid).reason
    stage.finish_all()
    assert stage.complaints() == []


def test_what_a_stuck_run_has_promised_is_withdrawn_once_it_is_given_up(stages: Stages) -> None:
    """Stuck it keeps its VFs for the VM; given up there is nothing to undo, and they would be kept for nobody."""
    stage = backups.staged(stages, {"no_vf": ("leave-halted",)})
    vm = abandoned(stage, "take_snapshot", "offline")
    other = with_empty_database(stage, stages)
    other.policy = stage.policy
    for operation in ("start", "start_on"):
        stage.client.call("VM.remove_from_blocked_operations", ref(stage, vm), operation)
        stage.client.call("VM.add_to_blocked_operations", ref(stage, vm), operation, "not before Monday")
    run = put(other, vm)
    assert (run.status, "OPERATION_BLOCKED" in run.reason) == (Status.STUCK, True)
    assert other.ledger.withdraw_orphans() == ()
    (port,) = other.ledger.promised_to(vm, run.id)
    other.engine.cancel(run.id, by="me")
    assert other.finish(run.id).status is Status.REFUSED
    assert dict(other.ledger.promised_to(vm)) == {port: 1}
    assert other.ledger.withdraw_orphans() == (f"1 VFs of port {port} that run {run.id} promised to VM {vm}",)
    assert dict(other.ledger.promised_to(vm)) == {}


def test_what_a_release_has_taken_over_stays_promised(stages: Stages) -> None:
    """In mode failover the run that promised the VF is over long before the VM gets it back."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    run = stage.run(backups.request(stage, "failover", vm))
    assert run.status is Status.DONE
    promised = dict(stage.ledger.promised_to(vm.uuid, run.id))
    assert promised
    assert stage.ledger.withdraw_orphans() == ()
    assert dict(stage.ledger.promised_to(vm.uuid)) == promised
    stage.finish_all()
    assert stage.complaints() == []
