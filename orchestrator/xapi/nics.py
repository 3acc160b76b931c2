"""The physical PIFs of a pool, and what SR-IOV has been made of them: pure."""

from dataclasses import dataclass

from orchestrator.xapi import rows
from orchestrator.xapi.records import NULL, Sriov
from workflows.objects import NIC

TAGS = "vfo:tags"


@dataclass(frozen=True, slots=True)
class Tables:
    """The records that tell of NICs, by ref."""

    pifs: dict[str, rows.PIF]
    vlans: dict[str, rows.VLAN]
    networks: dict[str, rows.Network]
    sriovs: dict[str, Sriov]
    hosts: dict[str, rows.Host]
    pcis: dict[str, rows.PCI]


def nics(tables: Tables) -> tuple[NIC, ...]:
    """Every physical PIF, sorted by its host's name and its device."""
    enabled = {sriov.physical_PIF: sriov for sriov in tables.sriovs.values()}
    found = [_nic(pif, enabled.get(ref), tables) for ref, pif in tables.pifs.items() if pif.physical]
    return tuple(sorted(found, key=lambda nic: (nic.host_name, nic.device)))


def _nic(pif: rows.PIF, sriov: Sriov | None, tables: Tables) -> NIC:
    """One NIC. Its tags are words that an administrator wrote, with commas between, into its other_config: a PIF has no tags in XenAPI."""
    host, card = tables.hosts.get(pif.host), tables.pcis.get(pif.PCI)
    logical = tables.pifs.get(sriov.logical_PIF) if sriov else None
    network = tables.networks.get(logical.network) if logical else None
    tagged = _tagged(logical, tables) if logical else []
    return NIC(
        uuid=pif.uuid,
        host=host.uuid if host else "",
        host_name=host.name_label if host else "",
        device=pif.device,
        vendor=card.vendor_name if card else "",
        device_name=card.device_name if card else "",
        driver=card.driver_name if card else "",
        capable="sriov" in pif.capabilities,
        managed=pif.managed,
        bond_slave=pif.bond_slave_of != NULL,
        vlans=len(pif.VLAN_slave_of) + len(tagged),
        tags=tuple(word.strip() for word in pif.other_config.get(TAGS, "").split(",") if word.strip()),
        sriov=sriov.uuid if sriov else None,
        mode=sriov.configuration_mode if sriov else "",
        requires_reboot=sriov.requires_reboot if sriov else False,
        network=network.uuid if network else None,
        logical_PIF=logical.uuid if logical else None,
        attached=logical.currently_attached if logical else False,
        tagged=tuple(sorted(tagged)),
        management=pif.management,
    )


def _tagged(logical: rows.PIF, tables: Tables) -> list[tuple[int, str]]:
    """The VLANs on a logical PIF, each with the uuid of its network ("" when that went meanwhile)."""
    found = []
    for ref in logical.VLAN_slave_of:
        vlan = tables.vlans.get(ref)
        own = tables.pifs.get(vlan.untagged_PIF) if vlan else None
        network = tables.networks.get(own.network) if own else None
        found.append((vlan.tag if vlan else -1, network.uuid if network else ""))
    return found
