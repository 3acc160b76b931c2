"""Clean up what runs that are over left in a pool: blocks, expired snapshots, what a revert to a snapshot of ours gave a VM.

VIFs that are still parked are put right by put-right.
Whatever we leave in a pool names its run. A run that is active or stuck may still need it; one that this database does not know may be
another installation's, or of a database that was lost: then a person says so (`vfo reclaim --unknown`). Tags, notes and blocks of
others are never touched, nor snapshots that bear neither our tag with a note of their own nor their VM's note with its run in their name.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from workflows import backup_snapshots, guests, leftovers, outdated_accounts, parking, put_right, restore_leftovers
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
        if restore_leftovers.run_of(vm):
            continue  # it is not whole: it goes as a whole, or not at all
        reasons = sorted({why for why in vm.blocked_operations.values() if why.startswith(OURS) and orphaned(_run_in(why))})
        restart = leftovers.restart_of(vm, is_over)
        snapshot, heir = _is_expired(vm, orphaned, now), _is_heir(vm, orphaned)
        if _is_displaced(vm, orphaned, now):
            found.append(put_right.request(pool, vm.uuid, vm.name))
        elif reasons or snapshot or heir or restart:
            data = {"vm": vm.uuid, "vm_name": vm.name, "reasons": reasons, "snapshot": snapshot, "heir": heir, "restart": restart}
            found.append(Request(NAME, pool, f"vm:{vm.uuid}", f"{'snapshot' if vm.is_snapshot else 'VM'} {vm.name}", data))
    return found


def everything(found: leftovers.Found, is_over: IsOver, now: datetime, *, unknown_too: bool = False) -> list[Request]:
    """As `requests`, and what is on hosts, and VIFs that are parked without a note."""
    wanted = requests(found.pool, found.marked, is_over, now, unknown_too=unknown_too)
    half_made = restore_leftovers.requests(NAME, found, is_over, unknown_too=unknown_too)
    accounts = outdated_accounts.requests(NAME, found.pool, found.accounts, is_over)
    return [*wanted, *half_made, *accounts, *leftovers.requests(NAME, found, is_over, {request.subject for request in wanted})]


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
    """Whether it is a snapshot of ours whose time is over, or that was never marked, and whose run did not see to it."""
    if (unmarked := backup_snapshots.unmarked(vm)) is not None:
        return orphaned(unmarked["run"])
    note = backup_snapshots.read(vm)
    return note is not None and orphaned(note["run"]) and datetime.fromisoformat(note["until"]) + LATE < now


def _is_heir(vm: VM, orphaned: Callable[[str | None], bool]) -> bool:
    """Whether it is a VM with the tag and the note of a snapshot of ours, to which it was reverted or of which it was made."""
    note = backup_snapshots.inherited(vm)
    return note is not None and orphaned(note["run"])


def plan(request: Request) -> Plan:
    """What the run of one of these requests would do; that of put-right is told by `recovering_plans`."""
    if outdated_accounts.KEY in request.data:
        return outdated_accounts.plan(request)
    data, title = request.data, f"{request.workflow} of {request.title}"
    if "restored" in data:
        return restore_leftovers.plan(request)
    if "host" in data or "parked" in data:
        return leftovers.plan(request)
    blocks = [f"take away the block {reason!r}" for reason in data["reasons"]]
    snapshot = ["destroy the snapshot, whose time is over, with its disks"] * data["snapshot"]
    heir = ["take off the tag and the note that it has from a snapshot of ours"] * data["heir"]
    calls = ["VM.remove_from_blocked_operations", "VM.update_allowed_operations"] * bool(blocks)
    calls += ["VM.remove_tags", "VM.remove_from_other_config"] * data["heir"]
    restart = ["take off the note of a reboot that is over"] * bool(data["restart"])
    calls += ["VM.remove_from_other_config"] * bool(data["restart"])
    return Plan(title, (*blocks, *snapshot, *heir, *restart), (*calls, *["VM.add_tags", "VDI.destroy", "VM.destroy"] * data["snapshot"]))


ELSEWHERE = {
    outdated_accounts.KEY: outdated_accounts.look,
    "restored": restore_leftovers.look,
    "parked": leftovers.look_at_parked,
    "host": leftovers.look_at_host,
}

CLEARED_ELSEWHERE = {
    outdated_accounts.KEY: outdated_accounts.clear,
    "restored": restore_leftovers.clear_away,
    "parked": leftovers.leave_parked,
    "host": leftovers.clear_host,
}


def look(world: World, data: Data) -> Outcome:
    """Have the VM for this run alone: no run of ours is at work on it then. What is gone or was put away needs nothing."""
    for key, look_at in ELSEWHERE.items():
        if key in data:
            return look_at(world, data)
    thing = f"vm:{data['vm']}"
    if thing not in world.held:
        return Need((thing,))
    try:
        vm = world.pool.vm(data["vm"])
    except Gone:
        return Finish("it is gone, and what we left on it with it")
    data["reasons"] = sorted(set(data["reasons"]) & set(vm.blocked_operations.values()))
    # its run may have marked it and ended between the look at the pool and that at the rows: it is held by another run then
    data["snapshot"] = data["snapshot"] and _is_expired(vm, lambda _: True, world.now)
    data["heir"] = data.get("heir", False) and backup_snapshots.inherited(vm) is not None
    left = [f"a block ({reason})" for reason in data["reasons"]] + ["a snapshot whose time is over"] * data["snapshot"]
    left += ["the tag and the note of a snapshot"] * data["heir"]
    data["restart"] = leftovers.is_of(vm, data.get("restart", ""))
    left += ["the note of a reboot"] * bool(data["restart"])
    return Done("left behind: " + ", ".join(left)) if left else Finish("nothing is left behind any more")


def clear_away(world: World, data: Data) -> Outcome:
    """Take away our blocks, notes and what is from a snapshot, and destroy an expired one with its disks; look whether it is so."""
    for key, clear in CLEARED_ELSEWHERE.items():
        if key in data:
            return clear(world, data)
    try:
        for reason in data["reasons"]:
            world.pool.unblock(data["vm"], reason)
        if data["snapshot"]:
            return Done(backup_snapshots.remove(world, {"snapshot": data["vm"]}))
        if data["heir"]:
            backup_snapshots.disinherit(world, data["vm"])
        if data.get("restart"):
            world.pool.erase(data["vm"], guests.RESTART)
        left = set(data["reasons"]) & set(world.pool.vm(data["vm"]).blocked_operations.values())
    except Gone:
        return Done("it is gone, and what we left on it with it")
    also = " and what it had from a snapshot" * data["heir"] + " and the note of a reboot" * bool(data.get("restart"))
    return Done(f"{len(data['reasons']) - len(left)} blocks of ours{also} are gone")


CLEAN_UP = Workflow(NAME, "Clean up what a run that is over left in the pool", (Step(look, timeout=None), Step(clear_away)))
