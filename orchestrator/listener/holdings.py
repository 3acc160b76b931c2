"""What a VM has of VFs, as far as a client can know: its VIFs that take one, and the ports that last gave them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.listener import records
from orchestrator.listener.mirror import Mirror
from orchestrator.listener.topology import Topology

PARKING = "vfo:parking"


@dataclass(frozen=True, slots=True)
class VIFNote:
    """A VIF that takes a VF; *uuid* and *network* are uuids, *settings* what else was set on it, by the names of XenAPI's fields.

    One that is on our parking network is remembered where it was before: that is where it belongs.
    """

    uuid: str
    device: str
    MAC: str
    network: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holding:
    """A VM (*vm* is its uuid) with VIFs that take VFs, or one that had such VIFs and held VFs of *ports* (uuids of network_sriov).

    *vbds* (references) and *all_vifs* (uuids) tell whether it still consists of what it did: see `reverts`.
    """

    vm: str
    ref: str
    name: str
    vifs: tuple[VIFNote, ...]
    ports: tuple[str, ...]
    vbds: tuple[str, ...] = ()
    all_vifs: tuple[str, ...] = ()


SETTINGS = (
    "MTU", "other_config", "qos_algorithm_type", "qos_algorithm_params", "locking_mode", "ipv4_allowed", "ipv6_allowed",
    "ipv4_configuration_mode", "ipv4_addresses", "ipv4_gateway",
)  # fmt: skip


def is_real(vm: records.VM) -> bool:
    """Whether it is a VM that can hold a VF: snapshots and templates have VIFs on such networks and hold nothing."""
    return not (vm.is_a_template or vm.is_a_snapshot or vm.is_control_domain)


def holding(mirror: Mirror, topology: Topology, ref: str, before: Holding | None) -> Holding | None:
    """What the VM with this reference has, given what was known of it *before*; None when there is nothing to remember of it.

    The ports are those that give it VFs now, else those that did last: a halted VM, or one without such a VIF any more, may have left
    something behind there.
    """
    vm = mirror.vms[ref]
    if not is_real(vm):
        return None
    vifs = [vif for vif in mirror.vifs_of(ref) if topology.leads_to_vfs(vif.network)]
    ports = _ports(topology, vm, vifs) or (before.ports if before else ())
    parked = [note for vif in mirror.vifs_of(ref) if (note := _before_parking(mirror, vif, before)) is not None]
    if not vifs and not ports and not parked:
        return None
    notes = [*parked, *(VIFNote(vif.uuid, vif.device, vif.MAC, _uuid(mirror, vif.network), _settings(vif)) for vif in vifs)]
    notes.sort(key=lambda note: (note.device, note.uuid))
    all_vifs = sorted(vif.uuid for vif in mirror.vifs_of(ref))
    return Holding(vm.uuid, ref, vm.name_label, tuple(notes), ports, tuple(sorted(vm.VBDs)), tuple(all_vifs))


def _before_parking(mirror: Mirror, vif: records.VIF, before: Holding | None) -> VIFNote | None:
    """What was known, by its uuid or else its MAC, of a VIF that is on our parking network now; None where nothing was or it is not."""
    network = mirror.networks.get(vif.network)
    if before is None or network is None or PARKING not in network.other_config:
        return None
    by_uuid = (note for note in before.vifs if note.uuid == vif.uuid)
    by_mac = (note for note in before.vifs if note.MAC.lower() == vif.MAC.lower())
    note = next(by_uuid, None) or next(by_mac, None)
    return replace(note, uuid=vif.uuid, device=vif.device) if note is not None else None


def _settings(vif: records.VIF) -> dict[str, Any]:
    """What was set on the VIF; what was not is left out."""
    return {name: value for name in SETTINGS if (value := getattr(vif, name))}


def possible_ports(mirror: Mirror, topology: Topology, vifs: Iterable[VIFNote]) -> tuple[str, ...]:
    """Every port that gives VFs to VIFs on the networks of these, VLANs on top of a port included, on whatever host."""
    uuids = {vif.network for vif in vifs}
    refs = [ref for ref, network in mirror.networks.items() if network.uuid in uuids]
    return tuple(sorted({port for ref in refs for port in topology.ports.get(ref, {}).values()}))


def _ports(topology: Topology, vm: records.VM, vifs: Iterable[records.VIF]) -> tuple[str, ...]:
    """The ports that give the VM VFs at this moment; from the start's beginning, when xapi already says where it will be."""
    host = vm.resident_on if vm.resident_on != records.NULL else vm.scheduled_to_be_resident_on
    found = {topology.port(vif.network, host) for vif in vifs if vif.currently_attached}
    return tuple(sorted(port for port in found if port is not None))


def _uuid(mirror: Mirror, network: str) -> str:
    found = mirror.networks.get(network)
    return found.uuid if found else ""
