"""From records to what was seen of each port: pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from orchestrator.xapi import motion, records
from orchestrator.xapi.motion import Claim
from orchestrator.xapi.records import PCI, Reading, Sriov
from workflows.ports import PortLook, User

RESIDENT = frozenset({"Running", "Paused"})


@dataclass(frozen=True, slots=True)
class _Port:
    """A network_sriov whose PIFs are known, with the host and kind of NIC it is on."""

    ref: str
    sriov: Sriov
    host: str
    nic: PCI | None
    attached: bool
    users: tuple[Claim, ...]
    claims: tuple[Claim, ...]
    networks: frozenset[str]


def looks(reading: Reading, at: datetime) -> tuple[PortLook, ...]:
    """What was seen of every port, sorted by name. A port that appeared or went while we read is left out: the next look has it, or not."""
    ports = list(_ports(reading))
    shares = _vf_records(ports, reading)
    seen = [_look(port, shares.get(port.ref), reading, at) for port in ports]
    return tuple(sorted(seen, key=lambda look: look.name))


def _ports(reading: Reading) -> Iterator[_Port]:
    claims = [Claim(vif, reading.vms.get(vif.VM)) for vif in reading.vifs.values() if vif.currently_attached or vif.current_operations]
    for ref, sriov in reading.sriovs.items():
        physical, logical = reading.pifs.get(sriov.physical_PIF), reading.pifs.get(sriov.logical_PIF)
        if not physical or not logical or ref not in reading.before or ref not in reading.after:
            continue
        networks = records.networks_of(sriov.logical_PIF, reading.pifs, reading.vlans)
        mine = tuple(claim for claim in claims if claim.vif.network in networks)
        users = tuple(claim for claim in mine if _uses(claim, logical.host))
        yield _Port(ref, sriov, logical.host, reading.pcis.get(physical.PCI), logical.currently_attached, users, mine, networks)


def _uses(claim: Claim, host: str) -> bool:
    vm = claim.vm
    return claim.vif.currently_attached and vm is not None and vm.resident_on == host and vm.power_state in RESIDENT


def _starting(port: _Port, reading: Reading) -> list[Claim]:
    """The VIFs whose VFs are reserved for a VM that starts on the port's host and is not resident yet.

    xapi reserves them before it says that the VIFs are attached (facts.md, 6). While the number of free ones moves, nobody knows whether
    it was read before or after.
    """
    if reading.before[port.ref] != reading.after[port.ref]:
        return []
    return [claim for claim in port.claims if not _uses(claim, port.host) and motion.is_starting(claim, port.host)]


def _named(claims: Iterable[Claim]) -> tuple[User, ...]:
    users = (User(claim.vm.uuid, claim.vm.name_label, claim.vif.uuid, claim.vif.device) for claim in claims if claim.vm)
    return tuple(sorted(users, key=lambda user: (user.vm_name, user.vm, user.device)))


def _host_name(ref: str, reading: Reading) -> str:
    """The host's name; where others have the same, with the beginning of its uuid, so that a port's name is one port's."""
    host = reading.hosts.get(ref)
    if host is None:
        return ref
    alone = sum(other.name_label == host.name_label for other in reading.hosts.values()) == 1
    return host.name_label if alone else f"{host.name_label} ({host.uuid[:8]})"


def _look(port: _Port, vf_records: int | None, reading: Reading, at: datetime) -> PortLook:
    logical = reading.pifs[port.sriov.logical_PIF]
    host, network = reading.hosts.get(port.host), reading.networks.get(logical.network)
    device = reading.pifs[port.sriov.physical_PIF].device
    return PortLook(
        port=port.sriov.uuid,
        name=f"{_host_name(port.host, reading)}/{device}",
        host=host.uuid if host else "",
        network=network.uuid if network else "",
        network_name=network.name_label if network else "",
        at=at,
        attached=port.attached,
        mode=port.sriov.configuration_mode,
        remaining=reading.after[port.ref],
        users=_named(port.users),
        starting=_named(_starting(port, reading)),
        in_flight=tuple(dict.fromkeys(_in_flight(port, reading))),
        records=vf_records,
        epoch=_epoch(port, reading),
        networks=tuple(sorted(reading.networks[ref].uuid for ref in port.networks if ref in reading.networks)),
        logical_PIF=logical.uuid,
        unplugged=not port.attached and not port.sriov.requires_reboot and port.sriov.configuration_mode != "unknown",
        addresses=tuple(sorted(pci.pci_id for pci in _vfs(port, reading) if pci.pci_id)),
        dangling=tuple(
            sorted({claim.vm.name_label for claim in port.users if claim.vm and set(claim.vm.attached_PCIs) - set(reading.pcis)})
        ),
    )


def _in_flight(port: _Port, reading: Reading) -> Iterator[str]:
    yield from motion.of_port(port.ref, port.sriov, reading)
    for claim in port.claims:
        yield from motion.of_claim(claim, port.host)
    # all of a VM's attached VIFs on SR-IOV networks count, on this port or another: its PCI devices do not say whose they are
    holding = {claim.vif.VM for claim in port.users}
    networks = records.all_sriov_networks(reading.sriovs, reading.pifs, reading.vlans)
    vifs = Counter(vif.VM for vif in reading.vifs.values() if vif.VM in holding and vif.currently_attached and vif.network in networks)
    for ref, number in vifs.items():
        yield from motion.of_holder(reading.vms[ref], number, reading)


def _vf_records(ports: list[_Port], reading: Reading) -> dict[str, int]:
    """How many VFs the PCI records give each port, by ref; ports of which they cannot tell are left out.

    XenAPI does not say which VF is of which port. It tells only where every port of a host is in mode sysfs: then no VF exists on a
    port that is not enabled (in modes modprobe and manual it may), and all VFs of a vendor's NICs belong to its enabled ports, the same
    number each where they are the same device. A port that accounts for more than its share shows that they are not: none is believed.
    """
    found: dict[str, int] = {}
    for host in {port.host for port in ports}:
        here = [port for port in ports if port.host == host]
        if all(port.sriov.configuration_mode == "sysfs" for port in here):
            for family in {_family(port.nic) for port in here if port.nic}:
                group = [port for port in here if port.attached and port.nic and _family(port.nic) == family]
                vfs = sum(pci.is_vf and pci.host == host and _family(pci) == family for pci in reading.pcis.values())
                found.update(_share(group, vfs, reading))
    return found


def _share(group: list[_Port], vfs: int, reading: Reading) -> dict[str, int]:
    """So many VFs, shared by ports that are the same device, if that can be."""
    if not group or len({port.nic.device_name for port in group if port.nic}) > 1 or vfs % len(group):
        return {}
    share = vfs // len(group)
    if any(reading.after[port.ref] + len(port.users) > share for port in group):
        return {}
    return {port.ref: share for port in group}


def _family(pci: PCI) -> tuple[str, str]:
    """What a NIC's VFs have in common with it: other devices of the vendor (accelerators, say) have VFs too."""
    return (pci.vendor_name, pci.class_name)


def _epoch(port: _Port, reading: Reading) -> str:
    """Another text whenever the port's VFs were made anew: VFs are new records after every disable and enable, plug and boot.

    XenAPI does not say whose VFs they are, so making those of another port of the same card anew changes it too. Those of other cards are
    told by their addresses: a card's VFs are on the buses that begin with its own (PCI: a function's VFs follow it).
    """
    host = reading.hosts.get(port.host)
    booted = host.other_config.get("boot_time", "") if host else ""
    vfs = sorted(pci.uuid for pci in _vfs(port, reading))
    return hashlib.sha256("\n".join((port.sriov.uuid, booted, *vfs)).encode()).hexdigest()[:16]


def _vfs(port: _Port, reading: Reading) -> list[PCI]:
    """The VFs of the port's card."""
    cards = {reading.pcis[pif.PCI].bus for pif in reading.pifs.values() if pif.host == port.host and pif.PCI in reading.pcis}

    def card(pci: PCI) -> str:
        return max((bus for bus in cards if bus <= pci.bus), default="")

    def mine(pci: PCI) -> bool:
        return port.nic is None or (_family(pci), card(pci)) == (_family(port.nic), card(port.nic))

    return [pci for pci in reading.pcis.values() if pci.host == port.host and pci.is_vf and mine(pci)]
