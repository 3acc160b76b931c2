"""Which networks lead to VFs, and by which port on which host. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.listener.mirror import Mirror

KINDS = frozenset({"network_sriov", "pif", "vlan"})
"""The classes whose changes may change it."""


@dataclass(frozen=True, slots=True)
class Topology:
    """*ports*: network reference -> host reference -> uuid of the network_sriov. A network that is not in it leads to no VF."""

    ports: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def leads_to_vfs(self, network: str) -> bool:
        """Whether a VIF on the network (a reference) takes a VF."""
        return network in self.ports

    def port(self, network: str, host: str) -> str | None:
        """The port that gives VFs to VIFs on the network when their VM is on the host; None when the host has none."""
        return self.ports.get(network, {}).get(host)


def draw(mirror: Mirror) -> Topology:
    """The topology as the mirror has it: the network of every logical PIF, and those of the VLANs that stand on it."""
    ports: dict[str, dict[str, str]] = {}
    sriov_of_pif = {sriov.logical_PIF: sriov.uuid for sriov in mirror.sriovs.values()}
    for vlan in mirror.vlans.values():
        if vlan.tagged_PIF in sriov_of_pif:
            sriov_of_pif[vlan.untagged_PIF] = sriov_of_pif[vlan.tagged_PIF]
    for ref, port in sriov_of_pif.items():
        pif = mirror.pifs.get(ref)
        if pif is not None:
            ports.setdefault(pif.network, {})[pif.host] = port
    return Topology(ports)
