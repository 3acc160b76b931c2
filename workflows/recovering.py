"""What is to be put right in a pool that shows marks of ours, by those marks alone: our rows may be lost."""

from collections.abc import Iterable
from datetime import datetime

from workflows import backup_snapshots, parking, put_right, release_backup
from workflows.objects import VM
from workflows.outcome import Request


def requests(pool: str, marked: Iterable[VM], now: datetime) -> list[Request]:
    """A run for every VM and every snapshot of ours; those that have an active run already are not doubled by it.

    A VM that stands on an ordinary network for its backup, within its time, is left to the release of its snapshot.
    """
    everything = list(marked)
    vms = {vm.uuid: vm for vm in everything if not (vm.is_snapshot or vm.is_template)}
    wanted = [put_right.request(pool, vm.uuid, vm.name) for vm in vms.values() if not _waits_for_release(vm, now)]
    for snapshot in everything:
        note = backup_snapshots.read(snapshot)
        if note is not None:
            vm = vms.get(note["vm"])
            wanted.append(release_backup.again(pool, note, parking.own_note(vm) if vm else None))
    return wanted


def _waits_for_release(vm: VM, now: datetime) -> bool:
    note = parking.own_note(vm)
    until = note.get("until") if note and note.get("in_service") else None
    return until is not None and now < datetime.fromisoformat(until)
