"""The snapshots that are made for a backup: known by name from the first moment, marked as ours, gone when their policy says so."""

import json
from datetime import datetime
from typing import Any

from workflows import parking
from workflows.objects import VM, Condition, Taking
from workflows.outcome import Outcome, Wait, wake_on_object, wake_on_task
from workflows.parking import Noted
from workflows.ports import Gone
from workflows.tasks import Pending, carried_out, over
from workflows.workflow import Data
from workflows.world import World

NOTE = "vfo:backup"
TAG = "vfo"
TAKING = "snapshot"


def name_for(world: World, vm_name: str) -> str:
    """A name that no other run gives: a snapshot that was taken and not recorded is found by it."""
    return f"vfo backup of {vm_name[:60]} at {world.now:%Y-%m-%d %H:%M} UTC (run {str(world.run_id)[:8]})"


def take(world: World, data: Data) -> Wait | None:
    """Take the snapshot, once; None: it is there, its uuid in the data."""
    looks, asked = [_look(world, data)], f"task:{TAKING}" in data

    def is_so() -> bool:
        if asked:  # the task was, since
            looks.append(_look(world, data))
        return _noted(data, looks[-1], whole=asked)

    if _noted(data, looks[0], whole=False):
        over(data, TAKING)
        return None
    return carried_out(world, data, TAKING, lambda: world.pool.begin_snapshot(data["vm"], data["name"], seen=looks[-1]), is_so)


def _noted(data: Data, look: Taking, *, whole: bool) -> bool:
    """Whether the snapshot is there; then its uuid is in the data. One that is not known *whole* may lack disks while it is being taken."""
    if look.snapshot is None or not (whole or TAKING not in look.current_operations):
        return False
    data["snapshot"] = look.snapshot
    return True


def _look(world: World, data: Data) -> Taking:
    """Look among the snapshots that the VM did not have before."""
    return world.pool.taking(data["vm"], data["name"], data["snapshots"])


def mark(world: World, data: Data, until: datetime) -> None:
    """Say on the snapshot whose it is and how long it stays at most; a copy of the note on a clone names another uuid."""
    world.pool.tag(data["snapshot"], TAG)
    said = {"snapshot": data["snapshot"], "vm": data["vm"], "vm_name": data["vm_name"], "run": str(world.run_id), "mode": data["mode"]}
    world.pool.note(data["snapshot"], NOTE, json.dumps(said | {"until": until.isoformat()}, sort_keys=True))


def read(snapshot: VM) -> dict[str, Any] | None:
    """What was said on a snapshot of ours; None when it is not ours, or the note is a copy of another's."""
    note = _note(snapshot)
    fits = note is not None and note["snapshot"] == snapshot.uuid and TAG in snapshot.tags
    return note if fits and snapshot.is_snapshot else None


def inherited(vm: VM) -> dict[str, Any] | None:
    """What the note says that a VM has from a snapshot of ours: reverted to it, or made of it. None where there is none."""
    return None if vm.is_snapshot or vm.is_template else _note(vm)


def unmarked(snapshot: Condition) -> dict[str, Any] | None:
    """The note on a snapshot of ours whose run died before it was marked: it has a copy of its VM's, and the run in its name too."""
    note = parking.read(snapshot) if snapshot.is_snapshot else None
    if note is None or NOTE in snapshot.other_config or not snapshot.name.endswith(f"(run {note['run'][:8]})"):
        return None
    return note


def disinherit(world: World, vm: str) -> None:
    """Take the snapshot's tag and note off a VM; the note last: it says that the tag is from us."""
    world.pool.untag(vm, TAG)
    world.pool.erase(vm, NOTE)


def _note(thing: VM) -> dict[str, Any] | None:
    try:
        note = json.loads(thing.other_config.get(NOTE, ""))
        datetime.fromisoformat(note["until"])
    except (ValueError, TypeError, KeyError):
        return None
    return note if {"snapshot", "vm", "run"} <= note.keys() else None


def take_off_vfs(world: World, data: Data) -> int:
    """Move the VIFs of the snapshot off the SR-IOV networks, the note of where they belong first; how many were moved.

    The VM runs on untouched; what is restored from the snapshot wants no VF before it is put right. The note is the copy of the VM's own,
    unless the VM was given a VIF between that and the snapshot; where no VIF is noted nothing will ever be asked of it, and it goes.
    """
    snapshot = world.pool.vm(data["snapshot"])
    vifs = snapshot.sriov_vifs
    noted: list[Noted] = (parking.read(snapshot) or {"vifs": []})["vifs"]
    known = {(one["device"], one["MAC"].lower()) for one in noted}
    new: list[Noted] = [vif.as_note() for vif in vifs if (vif.device, vif.MAC.lower()) not in known]
    if new:
        said = {"vm": data["vm"], "run": str(world.run_id), "ran": False, "vifs": [*noted, *new]}
        world.pool.note(snapshot.uuid, parking.NOTE, json.dumps(said, sort_keys=True))
    elif not noted and parking.NOTE in snapshot.other_config:
        world.pool.erase(snapshot.uuid, parking.NOTE)
    for vif in vifs:
        world.pool.move_vif(vif.uuid, data["parking"], seen=snapshot)
    return len(vifs)


def remove_unrecorded(world: World, data: Data) -> str:
    """Destroy the snapshot, one that was taken and not recorded too; what became of it, in words."""
    try:
        if not data.get("snapshot") and not _noted(data, _look(world, data), whole=True):
            return "no snapshot was taken"
    except Gone:
        return "no snapshot is known, and the VM is gone"
    return remove(world, data)


def remove(world: World, data: Data) -> str:
    """Destroy the snapshot with its disks; what became of it, in words."""
    try:
        world.pool.tag(data["snapshot"], TAG)
    except Gone:
        return "the snapshot is gone already"
    world.pool.destroy_snapshot(data["snapshot"])
    return "the snapshot is gone, and its disks with it"


def at_work(world: World, data: Data) -> Outcome | None:
    """Wait while a snapshot that we began is still being taken: it would be left behind."""
    task = data.get(f"task:{TAKING}")
    if task and isinstance(world.pool.task(task), Pending):
        return Wait("the snapshot is still being taken", on=wake_on_task(world.pool.name, task))
    data.pop(f"task:{TAKING}", None)
    if "snapshot" in world.pool.condition(data["vm"]).current_operations:
        return Wait("the snapshot is still being taken", on=wake_on_object(world.pool.name, "vm", data["vm"]))
    return None
