from datetime import timedelta
from typing import Any

import pytest

from orchestrator.ledger import PoolLedger
from orchestrator.simulator.control import find
from state.run import Run, Status
from tests.engine import crashes
from tests.engine.crashes import Death
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.stage import Stage, crash_everywhere
from workflows import parking, put_right
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


def test_a_copy_stays_parked_while_its_original_is_there(stages: Stages) -> None:
    """Two VMs with one MAC must not be alive at once (story 10); when the original is gone, the copy is put right."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, "offline")
    copy = stage.client.call("VM.clone", ref(stage, snapshot), "copy")
    stage.client.call("VM.set_is_a_template", copy, False)
    uuid = stage.client.call("VM.get_uuid", copy)
    stage.client.call("VIF.destroy", find(stage.simulated.database, "VIF", stage.pool.vm(uuid).vifs[0].uuid))
    stage.client.call(
        "VIF.create",
        {
            "device": "0", "network": find(stage.simulated.database, "network", parking.NETWORK_NAME), "VM": copy, "MAC": vm.vifs[0].MAC,
            "MTU": 1500, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {},
        },
    )  # fmt: skip
    run = put(stage, uuid)
    assert run.status is Status.REFUSED
    assert "is a copy of" in run.reason
    stage.simulated.destroy_vm(vm.uuid)
    assert put(stage, uuid).status is Status.DONE
    now = stage.pool.vm(uuid)
    assert (now.power_state, now.vifs[0].network, parking.NOTE in now.other_config) == ("Halted", vm.vifs[0].network, False)


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
    assert "no note says where they belong" in run.reason


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
