"""What products with a scheduler of their own do on a VM that is prepared for them: their snapshots, and what they have in progress."""

from datetime import datetime, timedelta

from workflows import backup_snapshots
from workflows.objects import Condition
from workflows.outcome import Wait, wake_on_object
from workflows.ports import Gone
from workflows.workflow import Data
from workflows.world import World

WAIT, IGNORE = "wait", "ignore"
WORKING = frozenset({"snapshot", "checkpoint", "snapshot_with_quiesce", "export", "metadata_export", "copy", "clone", "create_template"})
"""What a product does to a VM that it saves, as XenAPI's vm_operations name it; xapi refuses or delays much while one is in progress."""
LOOK_AGAIN = timedelta(minutes=10)  # the VM's change wakes the run; this is for an event that was lost


def waiting(world: World, data: Data, since: datetime) -> Wait | None:
    """Wait while somebody else's product is at work on the VM: an operation, or a snapshot that was not there before ours.

    None: nobody is, the policy says "ignore", or *since* is longer ago than its patience. Of a run without a note of what was there before
    what is there at its first look counts as that.
    """
    policy = world.policy.backup
    left = since + policy.foreign_patience - world.now
    if policy.foreign_snapshot == IGNORE or left <= timedelta():
        return None
    try:
        vm = world.pool.condition(data["vm"])
    except Gone:
        return None
    at_work = in_words(world, data, vm)
    if not at_work:
        return None
    until = since + policy.foreign_patience
    said = f"another product is at work on the VM: {at_work}; waited for until {until:%Y-%m-%d %H:%M} UTC at most"
    return Wait(said, on=wake_on_object(world.pool.name, "vm", vm.uuid), at_most=min(left, LOOK_AGAIN))


def in_progress(world: World, vm: Condition, since: datetime) -> Wait | None:
    """Wait while an operation of that kind is in progress on the VM, with the same patience; for right before it is shut down."""
    policy, working = world.policy.backup, sorted(WORKING.intersection(vm.current_operations))
    if not working or policy.foreign_snapshot == IGNORE or world.now >= since + policy.foreign_patience:
        return None
    said = f"{', '.join(working)} in progress on the VM"
    return Wait(said, on=wake_on_object(world.pool.name, "vm", vm.uuid), at_most=timedelta(seconds=30))


def note(world: World, data: Data) -> None:
    """Note what snapshots the VM has, where nobody did before ours was taken."""
    if "snapshots" not in data:
        try:
            data["snapshots"] = list(world.pool.condition(data["vm"]).snapshots)
        except Gone:
            data["snapshots"] = []


def in_words(world: World, data: Data, vm: Condition) -> str:
    """What is in progress, or which snapshots are there that are neither ours nor were there before; "" for nothing."""
    working = sorted(WORKING.intersection(vm.current_operations))
    if working:
        return f"{', '.join(working)} in progress"
    known = {*data.get("snapshots", ()), data["snapshot"]}
    found = [name for uuid in vm.snapshots if uuid not in known and (name := _foreign(world, uuid))]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"snapshot {', '.join(found[:3])}{more}" if found else ""


def _foreign(world: World, uuid: str) -> str:
    """The snapshot's name and uuid; "" when it is gone, or ours."""
    try:
        snapshot = world.pool.vm(uuid)
    except Gone:
        return ""
    return "" if backup_snapshots.read(snapshot) is not None else f"{snapshot.name!r} ({uuid})"
