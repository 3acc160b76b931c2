"""The snapshots that are made for a backup: known by name from the first moment, marked as ours, gone when their policy says so."""

import json
from datetime import datetime
from typing import Any

from workflows import parking
from workflows.objects import VM
from workflows.outcome import Outcome, Wait, wake_on_object, wake_on_task
from workflows.parking import Noted
from workflows.ports import Gone
from workflows.tasks import Pending, carried_out
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
    return carried_out(world, data, TAKING, lambda: world.pool.begin_snapshot(data["vm"], data["name"]), lambda: _found(world, data))


def _found(world: World, data: Data) -> bool:
    """Look among the snapshots that the VM did not have before; the newest first."""
    for uuid in reversed(world.pool.condition(data["vm"]).snapshots):
        if uuid not in data["snapshots"] and _name(world, uuid) == data["name"]:
            data["snapshot"] = uuid
            return True
    return False


def _name(world: World, snapshot: str) -> str:
    try:
        return world.pool.condition(snapshot).name
    except Gone:
        return ""


def mark(world: World, data: Data, until: datetime) -> None:
    """Say on the snapshot whose it is and how long it stays at most; a copy of the note on a clone names another uuid."""
    world.pool.tag(data["snapshot"], TAG)
    said = {"snapshot": data["snapshot"], "vm": data["vm"], "vm_name": data["vm_name"], "run": str(world.run_id), "mode": data["mode"]}
    world.pool.note(data["snapshot"], NOTE, json.dumps(said | {"until": until.isoformat()}, sort_keys=True))


def read(snapshot: VM) -> dict[str, Any] | None:
    """What was said on a snapshot of ours; None when it is not ours, or the note is a copy of another's."""
    try:
        note = json.loads(snapshot.other_config.get(NOTE, ""))
        datetime.fromisoformat(note["until"])
    except (ValueError, TypeError, KeyError):
        return None
    fits = {"snapshot", "vm", "run"} <= note.keys() and note["snapshot"] == snapshot.uuid and TAG in snapshot.tags
    return note if fits and snapshot.is_snapshot else None


def take_off_vfs(world: World, data: Data) -> int:
    """Move the VIFs of the snapshot off the SR-IOV networks, the note of where they belong first; how many were moved.

    The VM runs on untouched; what is restored from the snapshot wants no VF before it is put right.
    """
    snapshot = world.pool.vm(data["snapshot"])
    vifs: list[Noted] = [vif.as_note() for vif in snapshot.sriov_vifs]
    if vifs:
        if parking.NOTE not in snapshot.other_config:
            said = {"vm": data["vm"], "run": str(world.run_id), "ran": False, "vifs": vifs}
            world.pool.note(snapshot.uuid, parking.NOTE, json.dumps(said, sort_keys=True))
        for vif in snapshot.sriov_vifs:
            world.pool.move_vif(vif.uuid, data["parking"])
    return len(vifs)


def remove_unrecorded(world: World, data: Data) -> str:
    """Destroy the snapshot, one that was taken and not recorded too; what became of it, in words."""
    try:
        if not data.get("snapshot") and not _found(world, data):
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
