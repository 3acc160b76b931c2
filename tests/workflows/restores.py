"""What the tests of restores share: a stage with a VM that was saved and deleted, and the judge of what came back."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from plugins.values import Disk, RestorePoint
from state.run import Run, Status
from tests.workflows import checker
from tests.workflows.stage import Stage
from workflows import restore
from workflows.objects import VM
from workflows.outcome import Request
from workflows.policy import BackupPolicy, Policy
from workflows.restore_examining import Asked

Stages = Callable[..., Stage]
ORDINARY = "Pool-wide network associated with eth0"


def staged(stages: Stages, *, fallback: str = "", deleted: bool = True, **fields: Any) -> Stage:
    """A stage whose VM `gone` was saved: two disks, an ordinary VIF, one with a VF. *deleted*: and deleted since, with its disks."""
    stage: Stage = stages(policy=Policy(backup=BackupPolicy(fallback_network=fallback)), **{"hosts": 2, "vms": 2, **fields})
    vm = stage.with_vf()
    give_disk(stage, vm.uuid)
    stage.plugins.product.saved.append(saved(stage, vm))
    if deleted:
        delete(stage, vm)
    stage.began = stage.look()
    return stage


def give_disk(stage: Stage, vm: str) -> None:
    """A second disk for the VM, at device 3, and an empty CD drive."""
    call = stage.client.call
    ref = call("VM.get_by_uuid", vm)
    disk = {
        "name_label": "data", "name_description": "", "SR": next(iter(call("SR.get_all_records"))), "virtual_size": 1 << 26, "type": "user",
        "sharable": False, "read_only": False, "other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": [],
    }  # fmt: skip
    place = {"VM": ref, "bootable": False, "unpluggable": True, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    call("VBD.create", {**place, "VDI": call("VDI.create", disk), "userdevice": "3", "mode": "RW", "type": "Disk", "empty": False})
    call("VBD.create", {**place, "VDI": "OpaqueRef:NULL", "userdevice": "4", "mode": "RO", "type": "CD", "empty": True})


def saved(stage: Stage, vm: VM) -> RestorePoint:
    """A restore point of the VM as it is."""
    call = stage.client.call
    ref = call("VM.get_by_uuid", vm.uuid)
    uuid = str(call("VM.get_uuid", call("VM.snapshot", ref, "to be saved", [])))
    stage.pool.tag(uuid, "vfo")
    blueprint = stage.port.blueprint(uuid)
    stage.pool.destroy_snapshot(uuid)
    disks = tuple(Disk(n, one["device"], one["uuid"], one["of"], one["name"], one["size"]) for n, one in enumerate(blueprint["disks"]))
    return RestorePoint("point-1", "r", "lab", vm.uuid, vm.name, "nightly", stage.now, disks, blueprint)


def delete(stage: Stage, vm: VM) -> None:
    """Somebody deletes the VM with its disks."""
    call = stage.client.call
    ref = call("VM.get_by_uuid", vm.uuid)
    disks = [disk.uuid for disk in stage.port.disks(vm.uuid)]
    call("VM.hard_shutdown", ref)
    call("VM.destroy", ref)
    for uuid in disks:
        call("VDI.destroy", call("VDI.get_by_uuid", uuid))


def point(stage: Stage) -> RestorePoint:
    """The only one."""
    return stage.plugins.product.saved[0]


def altered(stage: Stage, **vm_record: Any) -> None:
    """The point says something else of its VM."""
    blueprint = dict(point(stage).blueprint)
    blueprint["vm"] = {**blueprint["vm"], "record": {**blueprint["vm"]["record"], **vm_record}}
    stage.plugins.product.saved[0] = dataclasses.replace(point(stage), blueprint=blueprint)


def request(stage: Stage, **asked: Any) -> Request:
    """Get it back, under its own name."""
    point = stage.plugins.product.saved[0]
    return restore.request("lab", "nas", point, Asked(**{"name": point.vm_name, **asked}))


def ended(stage: Stage, wanted: Request) -> Run:
    """The run of the request, once it and all that followed have ended."""
    run_id = stage.submit(wanted)
    stage.finish_all()
    return stage.at(run_id)


def came_back(stage: Stage, run: Run, *, vfs: int = 1) -> None:
    """The VM is as the blueprint says, and nothing of ours is left on it or anywhere."""
    assert run.status is Status.DONE, (run.reason, stage.story(run.id))
    point = stage.plugins.product.saved[0]
    vm = stage.port.vm(run.data["vm"])
    assert vm.name == run.data["name"]
    was = {vif["device"]: vif["MAC"].lower() for vif in point.blueprint["vifs"]}
    assert {vif.device: vif.MAC.lower() for vif in vm.vifs} == was
    assert sum(vif.on_sriov for vif in vm.vifs) == vfs
    disks = stage.port.disks(vm.uuid)
    assert [(disk.name, disk.size) for disk in disks] == [(disk.name, disk.size) for disk in point.disks]
    assert {uuid: number for uuid, number in stage.transfers.written.items() if uuid in [disk.uuid for disk in disks]} == {
        disk.uuid: number for number, disk in enumerate(disks)
    }
    assert left(stage, new={vm.uuid}) == []


def left(stage: Stage, new: set[str] | frozenset[str] = frozenset()) -> list[str]:
    """What is not as it was, but for the *new* VMs: other VMs, disks that nobody has, marks of ours, runs that have not ended."""
    now = stage.look()
    found = [*checker.left_over(now), *checker.rows_left_over(stage.store)]
    vms, were = now.vms(), stage.began.vms()
    found += [f"VM {row['name_label']} is new" for ref, row in vms.items() if ref not in were and row["uuid"] not in new]
    of_new = {ref for ref, row in vms.items() if row["uuid"] in new}
    places = {vbd for ref in of_new for vbd in vms[ref]["VBDs"]}
    for ref, row in now.records["VDI"].items():
        if "vfo:restore" in row["other_config"]:
            found.append(f"disk {row['name_label']} bears a mark")
        if ref not in stage.began.records["VDI"] and not set(row["VBDs"]) & places:
            found.append(f"disk {row['name_label']} is left")
    return found


def record(stage: Stage, uuid: str) -> Mapping[str, Any]:
    """The VM's record as XenAPI has it."""
    return next(row for row in stage.look().records["VM"].values() if row["uuid"] == uuid)
