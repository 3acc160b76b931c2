"""Where VIFs are while they are off their network, and the note in the pool that says where they belong.

The note stands in the VM's other_config, so that it is there when our database is not. Clones and snapshots copy it: on a VM that it does
not name it says nothing about that VM.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.objects import VIF, VM, Condition, Network
from workflows.world import World

NOTE = "vfo:parked"
NETWORK = "vfo:parking"
NETWORK_NAME = "vfo parking"
MAKING = "network:vfo parking"

Noted = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A noted VIF, the VIF that it is now (None: there is none), and the uuid of the network where it belongs."""

    noted: Noted
    vif: VIF | None
    network: str

    @property
    def is_right(self) -> bool:
        """Whether it is where it belongs."""
        return self.vif is not None and self.vif.network == self.network

    def __str__(self) -> str:
        """As a person reads it."""
        return f"VIF {self.noted['device']} ({self.noted['MAC']})"


def note_of(run_id: object, data: Mapping[str, Any]) -> str:
    """The note for a VM: which run, whether and where it ran, its VIFs with every field, and where they are for a while instead.

    "in_service" says of one that stands on another network that it was started there: halted later, somebody else has halted it.
    "untouched" says that nothing was to be done to the VM itself: its snapshot is known for ours by the copy of the note that it has.
    """
    note = {"vm": data["vm"], "run": str(run_id), "ran": data["ran"], "host": data.get("host"), "vifs": data["vifs"]}
    return json.dumps(
        note | {name: data[name] for name in ("stand_in", "until", "in_service", "untouched") if data.get(name)}, sort_keys=True
    )


def read(thing: Condition) -> dict[str, Any] | None:
    """The note on a VM or snapshot, whomever it names; None when there is none that can be read."""
    try:
        note = json.loads(thing.other_config.get(NOTE, ""))
    except ValueError:
        return None
    wanted = {"vm": str, "run": str, "ran": bool, "vifs": list}
    if not isinstance(note, dict) or not all(isinstance(note.get(name), kind) for name, kind in wanted.items()):
        return None
    fields = {"uuid", "device", "MAC", "network"}
    return note if all(isinstance(vif, dict) and fields <= vif.keys() for vif in note["vifs"]) else None


def own_note(vm: VM) -> dict[str, Any] | None:
    """The note on a VM when it names that VM."""
    note = read(vm)
    return note if note is not None and note["vm"] == vm.uuid else None


def places(vm: VM, data: Mapping[str, Any]) -> list[Place]:
    """Every noted VIF beside the one of the VM that it is now.

    By uuid; where a revert has made the VIFs anew (other uuids, same MACs), by device and MAC. `data["stand_in"]` is the uuid of the
    network where all of them belong for a while.
    """
    by_uuid = {vif.uuid: vif for vif in vm.vifs}
    by_place = {(vif.device, vif.MAC.lower()): vif for vif in vm.vifs}
    found = []
    for noted in data["vifs"]:
        vif = by_uuid.get(noted["uuid"]) or by_place.get((noted["device"], noted["MAC"].lower()))
        found.append(Place(noted, vif, data.get("stand_in") or noted["network"]))
    return found


def displaced(vm: VM, data: Mapping[str, Any]) -> list[Place]:
    """The noted VIFs that are not where they belong."""
    return [place for place in places(vm, data) if not place.is_right]


def differences(vm: VM, data: Mapping[str, Any]) -> list[str]:
    """What of the noted VIFs is not as it was, field by field, in words. The network has its own turn (see `displaced`)."""
    found = []
    for place in places(vm, data):
        now = place.vif.as_note() if place.vif else {}
        fields = sorted(set(place.noted) & set(now) - {"uuid", "network", "network_name", "on_sriov"})
        other = [name for name in fields if now[name] != place.noted[name]]
        found += [f"{place}: {name} was {place.noted[name]!r} and is {now[name]!r}" for name in other]
        if place.vif is not None and place.vif.uuid != place.noted["uuid"]:
            found.append(f"{place} was made anew, with another uuid")
    return found


def network(world: World) -> str | None:
    """The uuid of the network that is ours for parking; it is never destroyed: VIFs of snapshots stay on it.

    None when there is none and the run must have `MAKING` for itself first: of many that find none at once, one makes it.
    """
    ours = sorted(network.uuid for network in world.pool.networks() if network.is_parking)
    if ours:
        return ours[0]
    return world.pool.create_network(NETWORK_NAME, {NETWORK: "true"}) if MAKING in world.held else None


def named(networks: Iterable[Network], wanted: str) -> Network:
    """The network of this uuid or name; LookupError says why there is none."""
    found = [network for network in networks if wanted in (network.uuid, network.name)]
    if len(found) == 1:
        return found[0]
    raise LookupError(f"network {wanted!r}: " + (f"there are several: {', '.join(n.uuid for n in found)}" if found else "there is none"))
