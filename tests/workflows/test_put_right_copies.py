"""Copies of what was prepared: unaltered clones of our snapshots, and imports that kept their MACs."""

import json
from typing import Any

import pytest

from state.run import Status
from tests.engine import crashes
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.stage import Stage
from tests.workflows.test_put_right import kept_snapshot, marks, put, ref
from workflows import parking, put_right, recovering
from workflows.objects import VIF, VM
from workflows.outcome import Request
from workflows.put_right import PUT_RIGHT

MODES = ("online", "offline")


def clone(stage: Stage, snapshot: str, name: str = "copy-02") -> VM:
    """A VM made of the snapshot as a person makes one; its VIFs have new MACs, and the note names those of the original."""
    made = stage.client.call("VM.clone", ref(stage, snapshot), name)
    stage.client.call("VM.set_is_a_template", made, False)
    return stage.pool.vm(stage.client.call("VM.get_uuid", made))


def without_vif(stage: Stage, vm: VM) -> VM:
    for vif in vm.vifs:
        stage.port.destroy_vif(vif.uuid)
    return stage.pool.vm(vm.uuid)


def imported(stage: Stage, snapshot: str, mac: str) -> VM:
    """As an import that keeps MACs leaves it: the clone's VIF has the MAC of the snapshot's."""
    vm = without_vif(stage, clone(stage, snapshot))
    stage.port.create_vif(vm.uuid, stage.network(parking.NETWORK_NAME), "0", mac, {})
    return stage.pool.vm(vm.uuid)


def places(vm: VM) -> list[tuple[str, str, str]]:
    return [(vif.device, vif.MAC, vif.network) for vif in vm.vifs]


def macs_are_apart(stage: Stage) -> bool:
    """Whether no two VMs, halted ones too, have the same MAC."""
    macs = [vif.MAC.lower() for vm in stage.port.vms() for vif in vm.vifs]
    return len(macs) == len(set(macs))


def is_clean(vm: VM) -> bool:
    return parking.NOTE not in vm.other_config and marks(vm) == (False, False) and not vm.blocked_operations


@pytest.mark.parametrize("there", [True, False], ids=["original there", "original gone"])
@pytest.mark.parametrize("mode", MODES)
def test_a_clone_has_its_own_vif_on_the_network_of_its_original(stages: Stages, mode: str, *, there: bool) -> None:
    """The very VIF that the clone has, with the clone's own MAC, whether the original is there or not (story 10)."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, mode)
    copy = clone(stage, snapshot)
    if not there:
        stage.simulated.destroy_vm(vm.uuid)
    (own,) = copy.vifs
    assert (own.network_name, own.MAC != vm.vifs[0].MAC) == (parking.NETWORK_NAME, True)
    run = put(stage, copy.uuid)
    assert run.status is Status.DONE, stage.story(run.id)
    (now,) = stage.pool.vm(copy.uuid).vifs
    assert (now.uuid, now.MAC, now.network) == (own.uuid, own.MAC, vm.vifs[0].network)
    assert stage.pool.vm(copy.uuid).power_state == "Halted"
    assert is_clean(stage.pool.vm(copy.uuid))
    assert macs_are_apart(stage)


@pytest.mark.parametrize("mode", MODES)
def test_a_clone_that_has_lost_its_vif_gets_one_with_a_mac_of_its_own(stages: Stages, mode: str) -> None:
    """The MAC that the note names is the original's, which is halted; a second look makes no other (story 10)."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, mode)
    stage.simulated.halt_vm(vm.uuid)
    copy = without_vif(stage, clone(stage, snapshot))
    assert put(stage, copy.uuid).status is Status.DONE
    now = stage.pool.vm(copy.uuid)
    ((device, mac, network),) = places(now)
    assert (device, network, mac != vm.vifs[0].MAC) == ("0", vm.vifs[0].network, True)
    assert is_clean(now)
    assert macs_are_apart(stage)
    assert put(stage, copy.uuid).reason == "nothing of it is ours"
    assert places(stage.pool.vm(copy.uuid)) == [(device, mac, network)]


@pytest.mark.parametrize("mode", MODES)
def test_a_clone_that_has_lost_its_vif_takes_the_mac_over_once_nobody_has_it(stages: Stages, mode: str) -> None:
    """The original is gone; of two such clones one gets its MAC, and the other one of its own."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, mode)
    copies = [without_vif(stage, clone(stage, snapshot, name)) for name in ("copy-02", "copy-03")]
    stage.simulated.destroy_vm(vm.uuid)
    ids = [stage.submit(put_right.request("lab", copy.uuid, copy.name)) for copy in copies]
    backups.meanwhile(stage, PUT_RIGHT.name, "bring_home", lambda *_: stage.turn(ids[1]))  # after the first one's look
    stage.finish(*ids)
    assert [stage.at(run_id).status for run_id in ids] == [Status.DONE, Status.DONE]
    assert [vif.MAC == vm.vifs[0].MAC for copy in copies for vif in stage.pool.vm(copy.uuid).vifs] == [True, False]
    assert macs_are_apart(stage)


@pytest.mark.parametrize("mode", MODES)
def test_an_import_with_its_macs_stays_parked_while_another_vm_has_them(stages: Stages, mode: str) -> None:
    """Refused with the reason and untouched; put right once the other is gone (story 10)."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, mode)
    copy = imported(stage, snapshot, vm.vifs[0].MAC)
    run = put(stage, copy.uuid)
    assert run.status is Status.REFUSED
    assert f"the MAC of VIF 0 ({vm.vifs[0].MAC}) is that of VM {vm.name} ({vm.uuid})" in run.reason
    assert stage.pool.vm(copy.uuid) == copy
    stage.simulated.destroy_vm(vm.uuid)
    assert put(stage, copy.uuid).status is Status.DONE
    now = stage.pool.vm(copy.uuid)
    assert (places(now), is_clean(now)) == ([("0", vm.vifs[0].MAC, vm.vifs[0].network)], True)


def test_a_reverted_vm_stays_parked_when_another_has_taken_its_mac(stages: Stages) -> None:
    """The VIF was released and its MAC given to another VM before the revert brought it back."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, "offline")
    stage.simulated.halt_vm(vm.uuid)
    stage.port.destroy_vif(vm.vifs[0].uuid)
    other = next(one for one in stage.port.vms() if one.uuid != vm.uuid)
    stage.port.create_vif(other.uuid, stage.network(backups.ORDINARY), "5", vm.vifs[0].MAC, {})
    stage.client.call("VM.revert", ref(stage, snapshot))
    run = put(stage, vm.uuid)
    assert (run.status, f"is that of VM {other.name}" in run.reason) == (Status.REFUSED, True)
    assert stage.pool.vm(vm.uuid).vifs[0].network_name == parking.NETWORK_NAME


def test_what_somebody_put_in_the_place_of_a_vif_stays(stages: Stages) -> None:
    """The owner of the clone gave it a VIF of that device on an ordinary network instead."""
    stage = backups.staged(stages)
    _, snapshot = kept_snapshot(stage, "online")
    copy = without_vif(stage, clone(stage, snapshot))
    stage.port.create_vif(copy.uuid, stage.network(backups.ORDINARY), "0", "", {})
    before = places(stage.pool.vm(copy.uuid))
    assert put(stage, copy.uuid).status is Status.DONE
    now = stage.pool.vm(copy.uuid)
    assert (places(now), is_clean(now)) == (before, True)


def test_a_clone_that_runs_is_put_right_at_its_next_halt(stages: Stages) -> None:
    """By what is so then: another VM has got the MAC of its VIF meanwhile, and a person is needed."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, "online")
    copy = clone(stage, snapshot)
    stage.client.call("VM.start", ref(stage, copy.uuid), False, False)
    run_id = stage.submit(put_right.request("lab", copy.uuid, copy.name))
    assert "when somebody halts the VM" in stage.settle(run_id).reason
    other = next(one for one in stage.port.vms() if one.uuid not in {vm.uuid, copy.uuid})
    made = stage.port.create_vif(other.uuid, stage.network(backups.ORDINARY), "5", copy.vifs[0].MAC, {})
    stage.simulated.halt_vm(copy.uuid)
    assert stage.finish(run_id).status is Status.STUCK
    assert stage.pool.vm(copy.uuid).vifs[0].network_name == parking.NETWORK_NAME
    stage.port.destroy_vif(made)
    stage.engine.retry(run_id, by="me")
    assert stage.finish(run_id).status is Status.DONE
    assert places(stage.pool.vm(copy.uuid)) == [("0", copy.vifs[0].MAC, vm.vifs[0].network)]


@pytest.mark.parametrize("mode", MODES)
def test_recover_puts_clones_right(stages: Stages, mode: str) -> None:
    """One with its VIF and one without, by their notes alone; the original and its snapshot are left as they are."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, mode)
    whole, bare = clone(stage, snapshot), without_vif(stage, clone(stage, snapshot, "copy-03"))
    at_work = (vm.uuid,)
    for request in recovering.requests("lab", stage.port.marked(), at_work, stage.now):
        assert stage.run(request).status is Status.DONE
    assert [stage.pool.vm(uuid).vifs[0].network for uuid in (whole.uuid, bare.uuid)] == [vm.vifs[0].network] * 2
    assert stage.pool.vm(vm.uuid).vifs == vm.vifs
    assert macs_are_apart(stage)
    assert recovering.requests("lab", stage.port.marked(), at_work, stage.now) == []


@pytest.mark.parametrize("crash", crashes.of(PUT_RIGHT), ids=str)
def test_a_death_at_any_step_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """The next process goes on, and the VIF is there once."""
    stage = backups.staged(stages)
    vm, snapshot = kept_snapshot(stage, "online")
    copy = without_vif(stage, clone(stage, snapshot))
    assert stage.survive(put_right.request("lab", copy.uuid, copy.name), crash).status is Status.DONE
    assert [vif.network for vif in stage.pool.vm(copy.uuid).vifs] == [vm.vifs[0].network]
    assert macs_are_apart(stage)


def test_a_death_at_any_call_is_survived(stages: Stages) -> None:
    """Before and after each single call that changes something, of a clone with one VIF parked and one missing."""

    def cloned(stage: Stage) -> Request:
        _, snapshot = kept_snapshot(stage, "online")
        copy = clone(stage, snapshot)
        note = json.loads(copy.other_config[parking.NOTE])
        note["vifs"].append({**note["vifs"][0], "device": "3"})
        stage.port.note(copy.uuid, parking.NOTE, json.dumps(note))
        return put_right.request("lab", copy.uuid, copy.name)

    def check(stage: Stage, run: Any) -> None:
        assert run.status is Status.DONE, run.reason
        now = stage.pool.vm(run.data["vm"])
        vifs: tuple[VIF, ...] = now.vifs
        assert ([vif.device for vif in vifs], [vif.on_sriov for vif in vifs], is_clean(now)) == (["0", "3"], [True, True], True)
        assert macs_are_apart(stage)

    assert crash_everywhere(lambda: backups.staged(stages), cloned, check) > 4
