"""The steps that make the VM and its disks, and the one that takes all of it away again."""

import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from plugins.errors import GiveUp
from plugins.values import Disk, RestorePoint
from workflows import parking, restore_imports, restore_points, tasks
from workflows.objects import VM
from workflows.outcome import Done, Need, Outcome, Wait
from workflows.ports import Busy, Gone, Refused
from workflows.restoring import NOTE, Made, read
from workflows.workflow import Data
from workflows.world import World

AGAIN = timedelta(seconds=2)
STARTS = ("start", "start_on")
COPIES = ("snapshot", "checkpoint", "clone", "copy", "export")
"""What would copy the mark to something that is not the run's."""


def reasons(world: World) -> dict[str, str]:
    """What is blocked while the VM is made, each with why: it names the run."""
    return dict.fromkeys(STARTS, whole(world)) | dict.fromkeys(COPIES, marked(world))


def whole(world: World) -> str:
    """Why it cannot be started yet."""
    return f"vfo: it is not whole yet, run {world.run_id} makes it (`vfo run {str(world.run_id)[:8]} cancel` ends it)"


def marked(world: World) -> str:
    """Why it cannot be copied yet."""
    return f"vfo: it is not handed over yet, run {world.run_id} makes it"


def make_vm(world: World, data: Data) -> Outcome:
    """Create the VM's record, halted, marked as this run's, with its start blocked."""
    if data["point"]["whole_vm"]:
        return Done("it is imported as a whole")
    if data.get("vm") is None:
        there = world.pool.made_by(str(world.run_id)).vms
        data["vm"] = there[0] if there else world.pool.create_vm(_record(world, data), str(world.run_id), reasons(world))
        for extra in there[1:]:  # an answer was lost, and the VM was made all the same, after it had been looked for
            world.pool.destroy_made_vm(extra, str(world.run_id))
    return Done(f"VM {data['name']} ({data['vm']})")


def _record(world: World, data: Data) -> dict[str, Any]:
    """The blueprint's record as another VM's: what tells it from the one that was saved is made anew."""
    record = {**data["point"]["blueprint"]["vm"]["record"], "name_label": data["name"]}
    config = dict(record.get("other_config", {}))
    if data["beside"] or data["new_macs"] or data.get("apart"):
        config.pop("mac_seed", None)
    if data.get("apart"):
        config.pop("auto_poweron", None)
    record["other_config"] = config
    if record.get("generation_id") not in (None, "", "0:0"):
        record["generation_id"] = _generation(world.run_id)
    return record


def _generation(run_id: UUID) -> str:
    """Guests that look (Windows domain controllers) see that they are a copy: two numbers of 64 bits that nobody else has."""
    halves = run_id.bytes[:8], run_id.bytes[8:]
    return ":".join(str(int.from_bytes(half, "big", signed=True)) for half in halves)


def make_disks(world: World, data: Data) -> Outcome:
    """Create the disks, empty, each marked as this run's."""
    point = restore_points.of_run(data)
    if point.whole_vm:
        return Done("they come with the VM")
    run = str(world.run_id)
    disks: dict[str, str] = {}
    for disk in world.pool.made_by(run).disks:
        if str(disk.number) in disks:
            world.pool.destroy_made_disk(disk.uuid, run)  # as with the VM
        else:
            disks[str(disk.number)] = disk.uuid
    for one in point.disks:
        if str(one.number) not in disks:
            disks[str(one.number)] = _made_disk(world, data, point, one)
    data["disks"] = disks
    return Done(f"{len(disks)} disks, {sum(disk.size for disk in point.disks) >> 20} MiB")


def _made_disk(world: World, data: Data, point: RestorePoint, disk: Disk) -> str:
    SR = data["SRs"][str(disk.number)]
    try:
        said = {**restore_points.drawing(point, disk), "size": disk.size}
        return world.pool.create_disk(SR, said, disk.number, str(world.run_id))
    except (Gone, Refused) as error:
        raise GiveUp(f"disk {disk.number} ({disk.name}) cannot be made on {in_words(world, SR)}: {error}") from None


def in_words(world: World, SR: str) -> str:
    """The SR by its name, with what it has free by now."""
    found = next((one for one in world.pool.storages() if one.uuid == SR), None)
    return f"SR {found.name}, which has {found.free >> 20} MiB free" if found else f"SR {SR}, which is gone"


def attach(world: World, data: Data) -> Outcome:
    """Give the VM its disks and its CD drives, which are empty."""
    point = restore_points.of_run(data)
    if point.whole_vm:
        return Done("they came with the VM")
    for disk in point.disks:
        world.pool.attach_disk(data["vm"], data["disks"][str(disk.number)], restore_points.drawing(point, disk))
    drives = point.blueprint.get("drives", ())
    for drive in drives:
        world.pool.attach_disk(data["vm"], None, drive)
    return Done(f"{len(point.disks)} disks" + f" and {len(drives)} CD drives" * bool(drives))


def make_vifs(world: World, data: Data) -> Outcome:
    """Give it its VIFs, but for those that take a VF: assign-vf gives them."""
    thing = f"vm:{data['vm']}"
    if thing not in world.held:  # who finds VIFs on the parking network leaves a VM alone that a run has for itself
        return Need((thing,))
    if data.get("apart") and data["vifs"]:
        network = parking.network(world)
        if network is None:
            return Need((parking.MAKING,))
        data["vifs"] = [{**vif, "network": network} for vif in data["vifs"]]
    vm = look(world, data)
    wanted = {vif["device"]: vif for vif in data["vifs"] if not vif["on_sriov"]}
    for vif in vm.vifs:  # those of an import, whose MACs and networks are not what was saved
        if not _fits(vif.as_note(), wanted.get(vif.device)):
            world.pool.destroy_vif(vif.uuid)
    there = {vif.device for vif in vm.vifs if _fits(vif.as_note(), wanted.get(vif.device))}
    for device, vif in wanted.items():
        if device not in there:
            world.pool.create_vif(data["vm"], vif["network"], device, vif["MAC"], vif.get("other_config", {}), vif)
    return Done(", ".join(f"VIF {device} on {vif['network_name']}" for device, vif in wanted.items()) or "none")


def _fits(vif: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    return wanted is not None and vif["network"] == wanted["network"] and wanted["MAC"] in ("", vif["MAC"].lower())


def look(world: World, data: Data) -> VM:
    """The VM; GiveUp when somebody has deleted it."""
    try:
        return world.pool.vm(data["vm"])
    except Gone:
        raise GiveUp(f"VM {data['name']} ({data['vm']}) is gone: somebody deleted it while it was made") from None


def hand_over(world: World, data: Data) -> Outcome:
    """The VM is whole: take the run's mark and blocks off, the VM's mark first; from then on nothing of it is destroyed any more."""
    vm = look(world, data)
    world.pool.erase(vm.uuid, NOTE)
    finish_hand_over(world, data)
    return Done(f"VM {data['name']} is whole and can be started")


def finish_hand_over(world: World, data: Data) -> None:
    """What follows when the mark is off the VM."""
    for reason in (whole(world), marked(world)):
        world.pool.unblock(data["vm"], reason)
    world.pool.block_as_before(data["vm"], data["point"]["blueprint"]["vm"]["record"].get("blocked_operations", {}))
    for disk in world.pool.marked_disks():
        if disk.run == str(world.run_id):
            world.pool.unmark_disk(disk.uuid)
    data["handed_over"] = True


def take_away(world: World, data: Data) -> Outcome:
    """Destroy everything that this run has made and not handed over, and nothing else."""
    if data.get("handed_over") or _was_handed_over(world, data):
        return Done(f"VM {data['name']} was whole already, and stays")
    run = str(world.run_id)
    if data["point"]["whole_vm"]:
        return take_imports_away(world, data)
    return destroy_made_by(world, data, run)


def take_imports_away(world: World, data: Data, besides: str = "") -> Outcome:
    """Destroy every VM that an import of this run has made, with its disks, when none is at work any more; but for the VM *besides*."""
    waiting = restore_imports.ended(world, data)
    if waiting is not None:
        return waiting
    run = str(world.run_id)
    for uuid in restore_imports.made(world, data):
        if uuid != besides:
            with contextlib.suppress(Gone):  # the pool itself takes back what an import made that failed
                world.pool.mark_vm(uuid, run, reasons(world))
    outcome = destroy_made_by(world, data, run, besides)
    if isinstance(outcome, Done):
        restore_imports.forget(world)
    return outcome


def destroy_made_by(world: World, data: Data, run: str, besides: str = "") -> Outcome:
    """Destroy what bears the mark of the run, the disks first: cut in half, the VM that is left says whose it is.

    A disk that somebody has given to another VM by now is theirs: the mark goes, and the disk stays. So do the VM *besides* and its disks.
    """
    made = _made_by(world, run, besides)
    for uuid in made.vms:
        waiting = bring_down(world, data, uuid)
        if waiting is not None:
            return waiting
    theirs = [disk for disk in made.disks if set(disk.vms) - set(made.vms)]
    try:
        for disk in made.disks:
            world.pool.unmark_disk(disk.uuid) if disk in theirs else world.pool.destroy_made_disk(disk.uuid, run)
        for uuid in made.vms:
            world.pool.destroy_made_vm(uuid, run)
    except Busy as error:
        return Wait(f"it is still in use: {error}", at_most=AGAIN)
    left = _made_by(world, run, besides)
    if left.vms or left.disks:
        return Wait("something of it is still there", at_most=AGAIN)
    stay = f"; {len(theirs)} disks that other VMs have stay" if theirs else ""
    return Done(f"{len(made.vms)} VMs and {len(made.disks) - len(theirs)} disks that were made are gone{stay}")


def _made_by(world: World, run: str, besides: str) -> Made:
    made = world.pool.made_by(run)
    return Made(tuple(uuid for uuid in made.vms if uuid != besides), tuple(disk for disk in made.disks if besides not in disk.vms))


def _was_handed_over(world: World, data: Data) -> bool:
    """Whether the process died, or the run was cancelled, in the middle of the hand-over: it is brought to its end."""
    if data.get("vm") is None:
        return False
    try:
        vm = world.pool.condition(data["vm"])
    except Gone:
        return False
    if read(vm.other_config) is not None or data.get("apart"):
        return False
    finish_hand_over(world, data)
    return True


def bring_down(world: World, data: Data, uuid: str) -> Wait | None:
    """Pull the plug of a VM that is only there to be looked at; None: it is halted, or gone."""
    try:
        if world.pool.power_state(uuid) == "Halted" and "task:shutdown" not in data:
            return None
        return tasks.carried_out(
            world, data, "shutdown", lambda: world.pool.begin_hard_shutdown(uuid), lambda: world.pool.power_state(uuid) == "Halted"
        )
    except Gone:
        return None
