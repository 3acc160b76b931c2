"""Whether a VM can come back from a restore point, and as what: name, SRs, networks, MACs. Read only, before anything is made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins.values import RestorePoint
from workflows import addressing, parking, restore_points
from workflows.objects import VM, Network
from workflows.ports import Pool
from workflows.restoring import Storage

THICK = frozenset({"lvm", "lvmoiscsi", "lvmohba", "lvmofcoe", "rawhba", "rawiscsi", "linstor"})
"""Types of SR on which a disk takes its whole size at once (xapi-project/sm: LVM's volumes are not sparse)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted.

    *name*: the new VM's. *SR*: a uuid or name, "" for where each disk was, or the pool's default. *networks*: the network (uuid or name) of
    the backup to that of this pool. *fallback*: [backup] fallback_network. *starts*: it is to run at once.
    *apart*: it is only looked at: its VIFs go on the parking network, with other MACs.
    """

    name: str
    SR: str = ""
    networks: Mapping[str, str] | None = None
    new_macs: bool = False
    starts: bool = False
    fallback: str = ""
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What stands against it, and, where nothing does, the SR (uuid) of each disk by number and the VIFs that the VM gets.

    *beside*: the VM that was saved is in the pool, so that the new one is another one.
    """

    against: tuple[str, ...]
    SRs: Mapping[str, str]
    vifs: tuple[Mapping[str, Any], ...]
    beside: bool


def examine(pool: Pool, point: RestorePoint, asked: Asked) -> Found:
    """Look at the pool."""
    if lacking := restore_points.lacks(point):
        return Found((lacking,), {}, (), beside=False)
    vms = pool.vms()
    against = [*_to_name(asked.name, vms)]
    beside = any(vm.uuid == point.vm for vm in vms)
    SRs, no_room = _storage(pool, point, asked.SR)
    vifs, no_network = (_apart(point), []) if asked.apart else _vifs(pool, point, asked)
    against += [*no_room, *no_network, *(() if asked.apart or asked.new_macs else _to_macs(vifs, vms)), *_to_memory(pool, point)]
    return Found(tuple(against), SRs, tuple(vifs), beside)


def _to_name(name: str, vms: Sequence[VM]) -> Iterator[str]:
    there = [vm for vm in vms if vm.name == name]
    yield from (
        f"VM {vm.name} ({vm.uuid}) is in the pool, and nothing is ever restored over a VM: choose another name with --as" for vm in there
    )


# -- storage ---------------------------------------------------------------------------------------------------


def _storage(pool: Pool, point: RestorePoint, wanted: str) -> tuple[dict[str, str], list[str]]:
    """The SR of each disk, and what stands against that."""
    usable = [one for one in pool.storages() if one.for_disks]
    default = pool.facts().default_SR
    chosen: dict[str, str] = {}
    against: list[str] = []
    for disk in point.disks:
        was = restore_points.drawing(point, disk).get("SR", "")
        fits = [one for one in usable if wanted in (one.uuid, one.name)] if wanted else []
        fits = fits or ([] if wanted else [one for one in usable if one.uuid == was] or [one for one in usable if one.uuid == default])
        if len(fits) == 1:
            chosen[str(disk.number)] = fits[0].uuid
        elif not against:
            against.append(_no_storage(wanted, fits, usable))
    return chosen, against or list(_to_room(point, chosen, {one.uuid: one for one in usable}))


def _no_storage(wanted: str, fits: Sequence[Storage], usable: Sequence[Storage]) -> str:
    there = ", ".join(f"{one.name} ({one.uuid})" for one in usable) or "none"
    if not wanted:
        return f"the SR where the disks were is not in this pool, and it has no default SR: choose one with --sr: {there}"
    return f"--sr {wanted!r}: {'several SRs have that name' if fits else 'there is no such SR for disks'}: {there}"


def _to_room(point: RestorePoint, chosen: Mapping[str, str], storages: Mapping[str, Storage]) -> Iterator[str]:
    for uuid in sorted(set(chosen.values())):
        storage = storages[uuid]
        disks = [(disk, restore_points.drawing(point, disk)) for disk in point.disks if chosen[str(disk.number)] == uuid]
        wants = sum(disk.size if storage.kind in THICK else min(disk.size, int(said.get("used", disk.size))) for disk, said in disks)
        if wants > storage.free:
            yield f"SR {storage.name} has {storage.free >> 20} MiB free, and the disks want {wants >> 20} MiB: choose another with --sr"


def _to_memory(pool: Pool, point: RestorePoint) -> Iterator[str]:
    wants, most = int(point.blueprint["vm"]["record"].get("memory_static_max", 0)), pool.most_memory()
    if most and wants > most:
        yield f"it wants {wants >> 20} MiB of memory, and the largest host of the pool has {most >> 20} MiB"


# -- networks --------------------------------------------------------------------------------------------------


def _vifs(pool: Pool, point: RestorePoint, asked: Asked) -> tuple[list[dict[str, Any]], list[str]]:
    """The VIFs on networks of this pool, and those that have none."""
    networks, vifs = pool.networks(), []
    against: list[str] = []
    known = {name for vif in point.blueprint.get("vifs", ()) for name in (vif["network"], vif["network_name"])}
    wrong = [old for old in asked.networks or {} if old not in known]
    if wrong:
        against.append(f"--network-map {wrong[0]!r}: no VIF of the backup was on it: they were on {', '.join(_were_on(point))}")
    for vif in point.blueprint.get("vifs", ()):
        try:
            target = _target(networks, vif, asked)
        except LookupError as error:
            against.append(str(error))
            continue
        mac = "" if asked.new_macs else vif["MAC"].lower()
        vifs.append({**vif, "MAC": mac, "network": target.uuid, "network_name": target.name, "on_sriov": target.is_sriov})
    return vifs, list(dict.fromkeys(against))


def _target(networks: Sequence[Network], vif: Mapping[str, Any], asked: Asked) -> Network:
    """The network that a VIF goes on; LookupError with why there is none, and what to write."""
    mapped = next((new for old, new in (asked.networks or {}).items() if old in (vif["network"], vif["network_name"])), None)
    if mapped is not None:
        return parking.named(networks, mapped)
    same = [one for one in networks if one.uuid == vif["network"]]
    same = same or [one for one in networks if one.name == vif["network_name"] and not one.is_parking]
    if len(same) == 1:
        return same[0]
    if vif.get("on_sriov") and not same and asked.fallback and not any(one.is_sriov for one in networks):
        return parking.named(networks, asked.fallback)
    why = "there are several of that name" if same else "it is not in this pool"
    instead = ""
    if vif.get("on_sriov") and not same:
        why += ", and [backup] fallback_network is for pools without SR-IOV" if asked.fallback else ""
        instead = "" if asked.fallback or any(one.is_sriov for one in networks) else ", or set [backup] fallback_network"
    raise LookupError(
        f"VIF {vif['device']} ({vif['MAC']}) was on network {vif['network_name']}: {why}: "
        f"say which to take with --network-map {vif['network']}=NETWORK{instead}"
    )


def _were_on(point: RestorePoint) -> list[str]:
    return sorted({str(vif["network_name"]) for vif in point.blueprint.get("vifs", ())}) or ["none"]


def _apart(point: RestorePoint) -> list[dict[str, Any]]:
    """Its VIFs where nobody hears them; the network is there when they are made."""
    return [{**vif, "MAC": "", "network": "", "network_name": parking.NETWORK_NAME, "on_sriov": False} for vif in point.blueprint["vifs"]]


def _to_macs(vifs: Sequence[Mapping[str, Any]], vms: Sequence[VM]) -> Iterator[str]:
    for vif in vifs:
        yield from (f"MAC {vif['MAC']} is in use by {holder}: choose --new-macs" for holder in addressing.holders(vif["MAC"], vms))
