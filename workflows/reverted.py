"""VIFs that a VM had and that a revert to a snapshot without them has taken from it: which are missing, and what stands against them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from workflows import addressing
from workflows.objects import VIF, VM, Network
from workflows.parking import Noted
from workflows.ports import Looking


def missing(vm: VM, noted: Iterable[Noted]) -> list[Noted]:
    """Those of the noted VIFs that the VM has not on their network."""
    there = {(vif.MAC.lower(), vif.network) for vif in vm.vifs}
    return [one for one in noted if (one["MAC"].lower(), one["network"]) not in there]


def homes(parked: Iterable[VIF], known: Sequence[Noted]) -> tuple[list[Noted], list[VIF]]:
    """Where the parked VIFs were before, by what is *known* of their VM: by uuid, else by MAC; and those of which nothing is known."""
    by_uuid = {one["uuid"]: one for one in known}
    by_mac = {one["MAC"].lower(): one for one in known}
    found: list[Noted] = []
    strange = []
    for vif in parked:
        one = by_uuid.get(vif.uuid) or by_mac.get(vif.MAC.lower())
        if one is None:
            strange.append(vif)
        else:
            found.append({**one, "uuid": vif.uuid, "device": vif.device, "MAC": vif.MAC})
    return found, strange


def besides(pool: Looking, vm: VM, spoken_of: Iterable[Noted], noted: Iterable[Noted]) -> list[Noted]:
    """The missing VIFs that our note in the pool does not speak of, and that can be put back: a snapshot's note is as old as that."""
    macs = {one["MAC"].lower() for one in spoken_of}
    left = [one for one in missing(vm, noted) if one["MAC"].lower() not in macs]
    return [one for one in left if not objections(pool, vm, [one])]


def objections(pool: Looking, vm: VM, left: Sequence[Noted]) -> list[str]:
    """Why these VIFs cannot be put back, each reason in a sentence."""
    if vm.is_template or vm.is_snapshot:
        return [f"{vm.name} was made a template, and never runs"]
    networks, vms = {network.uuid: network for network in pool.networks()}, pool.vms()
    return [reason for one in left for reason in _against(vm, one, networks, vms)]


def _against(vm: VM, noted: Noted, networks: Mapping[str, Network], vms: Iterable[VM]) -> Iterator[str]:
    """A VIF of its own on our parking network, with that device and MAC, is the one: it is moved, and stands against nothing."""
    name, mac = f"VIF {noted['device']} ({noted['MAC']})", noted["MAC"].lower()
    network = networks.get(noted["network"])
    if network is None:
        yield f"{name}: its network {noted['network']} is not in the pool any more"
    elif not network.is_sriov:
        yield f"{name}: its network {network.name} is not an SR-IOV network any more"

    def is_it(vif: VIF) -> bool:
        there = networks.get(vif.network)
        return there is not None and there.is_parking and (vif.device, vif.MAC.lower()) == (noted["device"], mac)

    for vif in vm.vifs:
        if not is_it(vif) and (vif.device == noted["device"] or vif.MAC.lower() == mac):
            yield f"{name}: its VIF {vif.device} ({vif.MAC}) on network {vif.network_name} stands there now"
    for holder in addressing.holders(mac, (other for other in vms if other.uuid != vm.uuid)):
        yield f"{name}: its MAC is in use by {holder}"
