"""Clean up what runs that are over left in a pool: blocks, expired snapshots. VIFs that are still parked are put right by put-right.

Whatever we leave in a pool names its run. A run that is active or stuck may still need it; one that this database does not know may be
another installation's, or of a database that was lost: then a person says so (`vfo reclaim --unknown`). Tags, notes and blocks of
others, and snapshots that do not bear our tag and a note of their own, are never touched.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from workflows import backup_snapshots, parking, put_right
from workflows.objects import VM
from workflows.outcome import Done, Finish, Need, Outcome, Request
from workflows.plan import Plan
from workflows.ports import Gone
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "clean-up"
OURS = "vfo:"
RUN = re.compile(r"\brun ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
LATE = timedelta(hours=1)  # the run that is to remove a snapshot at its time goes first

IsOver = Callable[[UUID], bool | None]


def requests(pool: str, marked: Iterable[VM], is_over: IsOver, now: datetime, *, unknown_too: bool = False) -> list[Request]:
    """The runs that clean up after runs that are over.

    *marked*: all that bears something of ours. *is_over* says of a run whether it is; None: it is not known.
    """

    def orphaned(run_id: str | None) -> bool:
        over = is_over(UUID(run_id)) if run_id else None
        return unknown_too if over is None else over

    found = []
    for vm in marked:
        reasons = sorted({why for why in vm.blocked_operations.values() if why.startswith(OURS) and orphaned(_run_in(why))})
        snapshot = _is_expired(vm, orphaned, now)
        if _is_displaced(vm, orphaned, now):
            found.append(put_right.request(pool, vm.uuid, vm.name))
        elif reasons or snapshot:
            data = {"vm": vm.uuid, "vm_name": vm.name, "reasons": reasons, "snapshot": snapshot}
            found.append(Request(NAME, pool, f"vm:{vm.uuid}", f"{'snapshot' if vm.is_snapshot else 'VM'} {vm.name}", data))
    return found


def _run_in(text: str) -> str | None:
    named = RUN.search(text)
    return named[1] if named else None


def _is_displaced(vm: VM, orphaned: Callable[[str | None], bool], now: datetime) -> bool:
    """Whether our note is on the VM itself, its run is over, and no backup holds the VM still."""
    note = parking.own_note(vm)
    if note is None or vm.is_snapshot or vm.is_template or not orphaned(note["run"]):
        return False
    until = note.get("until")
    return not until or datetime.fromisoformat(until) + LATE < now


def _is_expired(vm: VM, orphaned: Callable[[str | None], bool], now: datetime) -> bool:
    """Whether it is a snapshot of ours whose time is over, and whose run did not see to it."""
    note = backup_snapshots.read(vm)
    return note is not None and orphaned(note["run"]) and datetime.fromisoformat(note["until"]) + LATE < now


def plan(request: Request) -> Plan:
    """What the run of one of these requests would do."""
    data, title = request.data, f"{request.workflow} of {request.title}"
    if request.workflow != NAME:
        return Plan(title, ("put its VIFs where the note on it says that they belong",), ("VIF.move", "VM.remove_from_other_config"))
    blocks = [f"take away the block {reason!r}" for reason in data["reasons"]]
    snapshot = ["destroy the snapshot, whose time is over, with its disks"] * data["snapshot"]
    calls = ["VM.remove_from_blocked_operations", "VM.update_allowed_operations"] * bool(blocks)
    return Plan(title, (*blocks, *snapshot), (*calls, *["VDI.destroy", "VM.destroy"] * data["snapshot"]))


def look(world: World, data: Data) -> Outcome:
    """Have the VM for this run alone: no run of ours is at work on it then. What is gone or was put away needs nothing."""
    thing = f"vm:{data['vm']}"
    if thing not in world.held:
        return Need((thing,))
    try:
        vm = world.pool.vm(data["vm"])
    except Gone:
        return Finish("it is gone, and what we left on it with it")
    data["reasons"] = sorted(set(data["reasons"]) & set(vm.blocked_operations.values()))
    data["snapshot"] = data["snapshot"] and backup_snapshots.read(vm) is not None
    left = [f"a block ({reason})" for reason in data["reasons"]] + ["a snapshot whose time is over"] * data["snapshot"]
    return Done("left behind: " + ", ".join(left)) if left else Finish("nothing is left behind any more")


def clear_away(world: World, data: Data) -> Outcome:
    """Take our blocks away, and destroy the expired snapshot with its disks; look whether it is so."""
    try:
        for reason in data["reasons"]:
            world.pool.unblock(data["vm"], reason)
        if data["snapshot"]:
            world.pool.destroy_snapshot(data["vm"])
            return Done("the snapshot is gone, and its disks with it")
        left = set(data["reasons"]) & set(world.pool.vm(data["vm"]).blocked_operations.values())
    except Gone:
        return Done("it is gone, and what we left on it with it")
    return Done(f"{len(data['reasons']) - len(left)} blocks of ours are gone")


CLEAN_UP = Workflow(NAME, "Clean up what a run that is over left in the pool", (Step(look, timeout=None), Step(clear_away)))
