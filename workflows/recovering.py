"""What is to be put right in a pool that shows marks of ours, by those marks alone: our rows may be lost."""

from collections.abc import Collection, Iterable
from datetime import datetime

from workflows import backup_snapshots, parking, put_right, release_backup, restore_leftovers
from workflows.objects import VM
from workflows.outcome import Request


def requests(pool: str, marked: Iterable[VM], at_work: Collection[str], now: datetime) -> list[Request]:
    """A run for every VM and every snapshot of ours, but for VMs (uuids) that a run is *at_work* on: that goes on by itself.

    A VM that stands on an ordinary network for its backup, within its time, is left to the release of its snapshot. One that a restore has
    half made is nobody's yet: clean-up takes it away.
    """
    everything = [vm for vm in marked if restore_leftovers.run_of(vm) is None]
    vms = {vm.uuid: vm for vm in everything if not (vm.is_snapshot or vm.is_template)}
    wanted = [
        put_right.request(pool, vm.uuid, vm.name) for vm in vms.values() if vm.uuid not in at_work and not _waits_for_release(vm, now)
    ]
    for snapshot in everything:
        note = backup_snapshots.read(snapshot)
        if note is not None and note["vm"] not in at_work:
            vm = vms.get(note["vm"])
            wanted.append(release_backup.again(pool, note, parking.own_note(vm) if vm else None))
        elif (note := backup_snapshots.unmarked(snapshot)) is not None and note["vm"] not in at_work:
            wanted.append(release_backup.of_unmarked(pool, snapshot.uuid, note, now))
    return wanted


def _waits_for_release(vm: VM, now: datetime) -> bool:
    note = parking.own_note(vm)
    until = note.get("until") if note and note.get("in_service") else None
    return until is not None and now < datetime.fromisoformat(until)
