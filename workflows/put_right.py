"""Put a VM right whose VIFs are off their network: reverted, restored, imported, or left behind by a run that was lost."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from workflows import backup_snapshots, copies, homecoming, parking, placing, powering, release_backup, reverted
from workflows.objects import VIF, VM
from workflows.outcome import Done, Finish, Need, Outcome, Refuse, Request, Stuck, Wait
from workflows.ports import Gone, Pool
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "put-right"


def request(pool: str, vm: str, vm_name: str, missing: Sequence[parking.Noted] = ()) -> Request:
    """The run that looks at the VM and puts right what is not.

    *missing*: VIFs that a revert has taken from it, as they were noted: "uuid", "device", "MAC", "network" (a uuid), and what was set.
    """
    data: Data = {"vm": vm, "vm_name": vm_name}
    if missing:
        data["missing"] = [dict(noted) for noted in missing]
    return Request(NAME, pool, f"vm:{vm}", f"VM {vm_name}", data)


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
    data["heir"] = backup_snapshots.inherited(vm) is not None
    if moving := powering.at_rest(world, vm) or _taking(world, vm):
        return moving
    said = judge(world.pool, vm, data, world.now, world.ledger.homes(vm.uuid))
    if isinstance(said, Done):
        said = replace(said, follow_up=tuple(_unmarked(world, vm)))
    macs = [f"mac:{mac}" for mac in _made(vm, data)] if isinstance(said, Done) else []
    return said if world.held.issuperset(macs) else Need(tuple(macs))


def _taking(world: World, vm: VM) -> Wait | None:
    """Wait while a snapshot is taken of a VM with a note of its own: it may be the lost run's, and nobody else would see to it."""
    if "snapshot" not in vm.current_operations or parking.own_note(vm) is None:
        return None
    return powering.change_of(world, vm, "a snapshot is being taken of the VM, perhaps by the run that was lost", powering.SOON)


def _unmarked(world: World, vm: VM) -> Iterator[Request]:
    """The runs that remove what the lost run has taken and not marked."""
    own = parking.own_note(vm)
    for uuid in vm.snapshots if own is not None else ():
        with contextlib.suppress(Gone):
            note = backup_snapshots.unmarked(world.pool.condition(uuid))
            if note is not None and own is not None and note["run"] == own["run"]:
                yield release_backup.of_unmarked(world.pool.name, uuid, note, world.now)


def _made(vm: VM, data: Data) -> list[str]:
    """The MACs of the VIFs that are to be made: no other run gives them away meanwhile."""
    return [place.noted["MAC"].lower() for place in parking.displaced(vm, data) if place.vif is None]


def judge(pool: Pool, vm: VM, data: Data, now: datetime, known: Sequence[parking.Noted] = ()) -> Done | Finish | Refuse:
    """What a look at the VM comes to, by the note on it; what it is to be is put into the data. Changes nothing in the pool.

    *known*: of its VIFs, as the ledger has them, for one without a note.
    """
    data.pop("only_note", None)  # of an earlier try
    note = parking.read(vm)
    if note is None:
        return _as_it_was(pool, vm, data) if data.get("missing") else _without_note(pool, vm, data, known)
    until = note.get("until") if note["vm"] == vm.uuid and note.get("in_service") else None
    if until and now < datetime.fromisoformat(until):
        return Finish(f"it stands on the ordinary network for its backup until {until[:16]} UTC: its release puts it right")
    data |= _wanted(vm, note)
    if note.get("untouched") and note["vm"] == vm.uuid and backup_snapshots.inherited(vm) is None:
        return _untouched(pool, vm, data)
    taken = {} if _is_lost(vm, note) else copies.elsewhere(vm, pool.guests())
    if note["vm"] != vm.uuid:
        data["vifs"] = copies.vifs(vm, note["vifs"], {*_parking(pool), note.get("stand_in", "")}, taken)
    elif left := reverted.besides(pool, vm, note["vifs"], data.get("missing", ())):
        data["vifs"] = [*note["vifs"], *left]
    wrong = parking.displaced(vm, data)
    if against := copies.objections(wrong, taken):
        return Refuse(f"its VIFs stay parked as long as another VM has their MACs: {'; '.join(against)}")
    return Done(_said(wrong))


def _untouched(pool: Pool, vm: VM, data: Data) -> Done:
    """The VM itself was only noted on: what its owner has done since is right; a VIF of it that is parked is not."""
    parked = _parking(pool) if parking.displaced(vm, data) else ()
    data["vifs"] = [place.noted for place in parking.places(vm, data) if place.vif and place.vif.network in parked]
    runs = vm.power_state == "Running"
    data |= {"host": None, "ran": runs, "at_next_halt": runs and bool(data["vifs"]), "only_note": not data["vifs"]}
    return Done(_said(parking.displaced(vm, data)))


def _said(wrong: Sequence[parking.Place]) -> str:
    return f"not where they belong: {', '.join(map(str, wrong))}" if wrong else "its VIFs are where they belong"


def _is_lost(vm: VM, note: dict[str, Any]) -> bool:
    """Whether it has the very VIFs of the note on it: then it is a VM whose run was lost, and was never reverted since."""
    return note["vm"] == vm.uuid and {noted["uuid"] for noted in note["vifs"]} <= {vif.uuid for vif in vm.vifs}


def _parking(pool: Pool) -> set[str]:
    return {network.uuid for network in pool.networks() if network.is_parking}


def _wanted(vm: VM, note: dict[str, Any]) -> dict[str, Any]:
    """What the VM should be by its note.

    Only a VM that still has the noted VIFs is one whose run was lost, and runs again if it ran. A revert or an import has made them anew,
    and leaves the VM halted: so it stays.
    """
    lost = _is_lost(vm, note)
    stood_in = bool(note.get("stand_in") and note.get("in_service"))
    runs = vm.power_state == "Running"
    return {
        "vifs": note["vifs"],
        "host": note.get("host") if lost else None,
        "ran": runs or (lost and not stood_in and bool(note["ran"])),
        "at_next_halt": runs and ((stood_in and not note.get("until")) or not lost),
        "blocked_by": note["run"],
    }


def _without_note(pool: Pool, vm: VM, data: Data, known: Sequence[parking.Noted]) -> Done | Finish | Refuse:
    """VIFs that somebody left on the parking network go where our rows saw them before; of which nothing is known a person is told."""
    networks = _parking(pool)
    parked = [vif for vif in vm.vifs if vif.network in networks]
    if not parked:
        return Finish("nothing of it is ours")
    found, strange = reverted.homes(parked, known)
    if not found:
        return Refuse(_unknown(strange))
    if against := reverted.objections(pool, vm, found):
        return Refuse(f"its VIFs are on our parking network and cannot go back where they were: {'; '.join(against)}")
    runs = vm.power_state == "Running"
    data |= {"vifs": found, "host": None, "ran": runs, "at_next_halt": runs, "strange": [vif.uuid for vif in strange]}
    return Done(f"{_said(parking.displaced(vm, data))}, as they were seen last; no note says so")


def _unknown(strange: Sequence[VIF]) -> str:
    which = ", ".join(f"{vif.device} ({vif.MAC})" for vif in strange)
    return f"its VIFs {which} are on our parking network, and neither a note nor our rows say where they belong: move them by hand"


def _as_it_was(pool: Pool, vm: VM, data: Data) -> Done | Finish | Refuse:
    """Without a note: what the VM is to have is what it had when it was reverted to a snapshot that had it not."""
    left = reverted.missing(vm, data["missing"])
    if not left:
        return Finish("it has the VIFs that the revert took from it")
    if against := reverted.objections(pool, vm, left):
        return Refuse(f"the revert took VIFs from it that cannot be put back: {'; '.join(against)}")
    runs = vm.power_state == "Running"
    data |= {"vifs": left, "host": None, "ran": runs, "at_next_halt": runs}
    said = ", ".join(f"VIF {noted['device']} ({noted['MAC']})" for noted in left)
    return Done(f"it was reverted to a snapshot without {said}")


@placing.if_there
def bring_home(world: World, data: Data) -> Outcome:
    """Put its VIFs where they belong, at its next halt where it runs, and start it where a lost run had halted it."""
    if data.get("only_note"):
        world.pool.erase(data["vm"], parking.NOTE)
        return Done("nothing of ours is left on the VM")
    if data.get("at_next_halt"):
        waiting = homecoming.bring_down(world, data)
        if not isinstance(waiting, Done):
            return waiting
        vm = world.pool.vm(data["vm"])
        if vm.power_state == "Halted":
            data["ran"] = False  # somebody halted it: so it stays
        if (said := _judged_anew(world, vm, data)) is not None:
            return said
    outcome = homecoming.come_home(world, data)
    if isinstance(outcome, Done) and data.get("heir"):
        backup_snapshots.disinherit(world, data["vm"])
    return _strangers(world, data, outcome) if data.get("strange") else outcome


def _strangers(world: World, data: Data, outcome: Outcome) -> Outcome:
    """A person is needed for the parked VIFs of which nothing is known, when the others are home."""
    networks = _parking(world.pool) if isinstance(outcome, Done) else ()
    left = [vif for vif in world.pool.vm(data["vm"]).vifs if vif.uuid in data["strange"] and vif.network in networks]
    return Stuck(_unknown(left), next_command=f"vfo run {world.run_id} retry") if left else outcome


def _judged_anew(world: World, vm: VM, data: Data) -> Stuck | None:
    """What it has waited for may have taken weeks: see what is right now; None where nothing stands against that."""
    fresh = dict(data)
    said = judge(world.pool, vm, fresh, world.now, world.ledger.homes(vm.uuid))
    if isinstance(said, Refuse):
        return Stuck(said.reason, next_command=f"vfo run {world.run_id} retry")
    data["vifs"] = fresh["vifs"]
    return None


PUT_RIGHT = Workflow(
    NAME,
    "Put a VM right whose VIFs are off their network",
    (Step(look, timeout=timedelta(days=1)), Step(bring_home, timeout=None)),
)
