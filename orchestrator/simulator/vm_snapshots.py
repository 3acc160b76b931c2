"""Snapshots and checkpoints of VMs, and the way back to them."""

from typing import Any

from orchestrator.simulator import (
    disks,
    durations,
    objects,
    operations,
    placement,
    space,
    storage,
    vbds,
    vfs,
    vifs,
    vm_lifecycle,
    vm_power,
    vms,
)
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages


def snapshot(call: Call, vm: str, new_name: str, ignore_vdis: list[str]) -> str:
    """VM.snapshot: disks only, in any power state; the snapshot itself is halted and has the VIFs, unattached, with their MACs."""
    with operations.during(call, vm, "snapshot"):
        call.work(durations.SNAPSHOT)
        with call.db.lock:
            return take(call, vm, new_name, frozenset(ignore_vdis))


def checkpoint(call: Call, vm: str, new_name: str) -> str:
    """VM.checkpoint: a snapshot with the memory; the VM goes on."""
    with operations.during(call, vm, "checkpoint"):
        row = call.handle("VM", vm)
        suspended = row["power_state"] == "Suspended"
        sr = "" if suspended else vm_power.suspend_sr(call, vm)
        call.work(durations.CHECKPOINT)
        with call.db.lock:
            image = row["suspend_VDI"] if suspended else disks.make_suspend_image(call.db, vm, sr)
            kept = disks.make_snapshot(call.db, image)
            point = take(call, vm, new_name)
            if not suspended:
                disks.remove(call.db, image)
            call.db.set("VM", point, power_state="Suspended", suspend_VDI=kept)
            operations.refresh(call.db, point)
            return point


def take(call: Call, vm: str, name: str, ignored: frozenset[str] = frozenset()) -> str:
    """The snapshot's record with copies of VIFs, VBDs and disks; the VM's parent is the snapshot then."""
    db = call.db
    row = call.handle("VM", vm)
    _assert_disks(db, row, ignored)
    made = vms.duplicate(
        db,
        vm,
        name,
        is_a_template=True,
        is_a_snapshot=True,
        snapshot_of=vm,
        snapshot_time=objects.now_text(),
        snapshot_info={"power-state-at-snapshot": row["power_state"], "disk-snapshot-type": "crash_consistent"},
        snapshot_metadata=_metadata(row),
        parent=row["parent"],
    )
    for vif in placement.vif_refs(db, row):
        vifs.copy(db, vif, made)
    for vbd in row["VBDs"]:
        disk = db.get("VBD", vbd)["VDI"]
        if disk in ignored:
            continue
        if disk != NULL and db.get("VBD", vbd)["type"] == "Disk":
            disk = disks.make_snapshot(db, disk)
        vbds.copy(db, vbd, made, disk)
    operations.refresh(db, made)
    db.set("VM", vm, parent=made)
    return made


def _assert_disks(db: Database, row: Row, ignored: frozenset[str]) -> None:
    for vbd in row["VBDs"]:
        disk = db.get("VBD", vbd)["VDI"]
        if disk != NULL and disk not in ignored and db.exists("VDI", disk):
            storage.assert_plugged(db, db.get("VDI", disk)["SR"])
            space.assert_room(db, db.get("VDI", disk)["SR"])
            space.assert_chain(db, disk)


def _metadata(row: Row) -> str:
    """What xapi exports into snapshot_metadata, in its s-expression's likeness."""
    fields = " ".join(f"('{field}' '{row[field]}')" for field in ("uuid", "name_label", "name_description", "memory_static_max"))
    return f"({fields})"


def revert(call: Call, snapshot: str) -> None:
    """VM.revert: hard-stops the VM, destroys its VIFs, VBDs and their VDIs, and makes them anew from the snapshot.

    VIFs keep their MACs and get new uuids. When the VM is gone, it is made again.
    """
    row = call.handle("VM", snapshot)
    if not row["is_a_snapshot"]:
        raise Failure("VM_REVERT_FAILED", snapshot, NULL)
    with operations.during(call, snapshot, "revert"):
        vm = row["snapshot_of"]
        if not call.db.exists("VM", vm):
            call.work(durations.REVERT)
            with call.db.lock:
                _fill(call.db, _born_again(call, snapshot), snapshot)
            return
        with operations.during(call, vm, "reverting"):
            call.work(durations.REVERT)
            with call.db.lock:
                _take_back(call, vm, snapshot)


def _born_again(call: Call, snapshot: str) -> str:
    vm = vms.duplicate(call.db, snapshot, call.handle("VM", snapshot)["name_label"], is_a_template=False)
    call.db.set("VM", snapshot, snapshot_of=vm)
    return vm


def _take_back(call: Call, vm: str, snapshot: str) -> None:
    db = call.db
    row, then = call.handle("VM", vm), call.handle("VM", snapshot)
    if row["power_state"] != "Halted":
        vm_lifecycle.halt(db, vm)
    vfs.release(db, vm)
    replaced = {db.get("VDI", disk)["snapshot_of"] for disk in _disks(db, then)}
    image = row["suspend_VDI"]
    for vif in row["VIFs"]:
        vifs.remove(db, vif)
    for vbd in row["VBDs"]:
        disk = db.get("VBD", vbd)["VDI"]
        vbds.remove(db, vbd)
        if disk in replaced and db.exists("VDI", disk):
            disks.remove(db, disk)
    if db.exists("VDI", image):
        disks.remove(db, image)
    back: dict[str, Any] = {field: value for field, value in then.items() if field not in vms.OWN and field[0] != "_"}
    db.set("VM", vm, **back, name_label=_name_then(then), other_config=then["other_config"], suspend_VDI=NULL)
    _fill(db, vm, snapshot)


def _name_then(then: Row) -> str:
    """The VM's name when the snapshot was made: the snapshot has a name of its own, its metadata has the VM's."""
    marker = "('name_label' '"
    text = str(then["snapshot_metadata"])
    return text.split(marker, 1)[1].split("')", 1)[0] if marker in text else str(then["name_label"])


def _disks(db: Database, row: Row) -> list[str]:
    found = (db.get("VBD", vbd)["VDI"] for vbd in row["VBDs"])
    return [disk for disk in found if disk != NULL and db.exists("VDI", disk)]


def _fill(db: Database, vm: str, snapshot: str) -> None:
    """VIFs, disks and memory from the snapshot; all snapshots of a disk that was replaced point to the new one."""
    then = db.get("VM", snapshot)
    for vif in placement.vif_refs(db, then):
        vifs.copy(db, vif, vm)
    for vbd in then["VBDs"]:
        disk = db.get("VBD", vbd)["VDI"]
        if disk != NULL and db.get("VBD", vbd)["type"] == "Disk":
            disk = _disk_again(db, disk)
        vbds.copy(db, vbd, vm, disk)
    if then["power_state"] == "Suspended":
        db.set("VM", vm, power_state="Suspended", suspend_VDI=disks.make_clone(db, then["suspend_VDI"]))
    db.set("VM", vm, parent=snapshot)
    operations.refresh(db, vm)


def _disk_again(db: Database, kept: str) -> str:
    old = db.get("VDI", kept)["snapshot_of"]
    made = disks.make_clone(db, kept)
    for ref, row in list(db.rows("VDI")):
        if row["is_a_snapshot"] and row["snapshot_of"] == old:
            db.set("VDI", ref, snapshot_of=made)
    return made


MESSAGES: Messages = {
    "VM.snapshot": snapshot,
    "VM.checkpoint": checkpoint,
    "VM.revert": revert,
}
