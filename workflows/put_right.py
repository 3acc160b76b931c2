"""Put a VM right whose VIFs are off their network: reverted, restored, imported, or left behind by a run that was lost."""

from datetime import datetime, timedelta
from typing import Any

from workflows import homecoming, parking, placing, powering
from workflows.objects import VM
from workflows.outcome import Done, Finish, Need, Outcome, Refuse, Request
from workflows.ports import Gone
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "put-right"


def request(pool: str, vm: str, vm_name: str) -> Request:
    """The run that looks at the VM and puts right what is not."""
    return Request(NAME, pool, f"vm:{vm}", f"VM {vm_name}", {"vm": vm, "vm_name": vm_name})


def look(world: World, data: Data) -> Outcome:
    """Have the VM for this run alone, and see by the note in the pool what it should be."""
    thing = f"vm:{data['vm']}"
    if thing not in world.held:
        return Need((thing,))
    try:
        vm = world.pool.vm(data["vm"])
    except Gone:
        world.ledger.keep(data["vm"])
        return Finish("the VM is gone: nothing is left to put right")
    return powering.at_rest(world, vm) or _by_its_note(world, data, vm)


def _by_its_note(world: World, data: Data, vm: VM) -> Outcome:
    note = parking.read(vm)
    if note is None:
        return _without_note(world, vm)
    until = note.get("until") if note["vm"] == vm.uuid and note.get("in_service") else None
    if until and world.now < datetime.fromisoformat(until):
        return Finish(f"it stands on the ordinary network for its backup until {until[:16]} UTC: its release puts it right")
    data |= _wanted(vm, note)
    wrong = parking.displaced(vm, data)
    if wrong and note["vm"] != vm.uuid and (other := _same_mac(world, vm, note)):
        return Refuse(f"{vm.name} is a copy of {other.name}, with the same MACs: its VIFs stay parked as long as that is there")
    return Done(f"not where they belong: {', '.join(map(str, wrong))}" if wrong else "its VIFs are where they belong")


def _wanted(vm: VM, note: dict[str, Any]) -> dict[str, Any]:
    """What the VM should be by its note.

    Only a VM that still has the noted VIFs is one whose run was lost, and runs again if it ran. A revert or an import has made them anew,
    and leaves the VM halted: so it stays.
    """
    lost = note["vm"] == vm.uuid and {noted["uuid"] for noted in note["vifs"]} <= {vif.uuid for vif in vm.vifs}
    stood_in = bool(note.get("stand_in") and note.get("in_service"))
    runs = vm.power_state == "Running"
    return {
        "vifs": note["vifs"],
        "host": note.get("host") if lost else None,
        "ran": runs or (lost and not stood_in and bool(note["ran"])),
        "at_next_halt": runs and ((stood_in and not note.get("until")) or not lost),
        "blocked_by": note["run"],
    }


def _without_note(world: World, vm: VM) -> Outcome:
    parked = [vif.device for vif in vm.vifs if vif.network in {network.uuid for network in world.pool.networks() if network.is_parking}]
    if not parked:
        return Finish("nothing of it is ours")
    return Refuse(f"its VIFs {', '.join(parked)} are on our parking network, and no note says where they belong: move them by hand")


def _same_mac(world: World, vm: VM, note: dict[str, Any]) -> VM | None:
    """The VM that the note names, when it is there and has one of the MACs: two of them must not be alive on one network."""
    if not world.pool.vm_exists(note["vm"]):
        return None
    other = world.pool.vm(note["vm"])
    macs = {vif.MAC.lower() for vif in vm.vifs}
    return other if any(vif.MAC.lower() in macs for vif in other.vifs) else None


@placing.if_there
def bring_home(world: World, data: Data) -> Outcome:
    """Put its VIFs where they belong, at its next halt where it runs, and start it where a lost run had halted it."""
    if data.get("at_next_halt"):
        waiting = homecoming.bring_down(world, data)
        if not isinstance(waiting, Done):
            return waiting
        if world.pool.power_state(data["vm"]) == "Halted":
            data["ran"] = False  # somebody halted it: so it stays
    return homecoming.come_home(world, data)


PUT_RIGHT = Workflow(
    NAME,
    "Put a VM right whose VIFs are off their network",
    (Step(look, timeout=timedelta(days=1)), Step(bring_home, timeout=None)),
)
