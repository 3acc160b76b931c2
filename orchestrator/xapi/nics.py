"""The physical PIFs of a pool, and what SR-IOV has been made of them: pure."""

from orchestrator.xapi import rows
from orchestrator.xapi.records import NULL, Sriov
from workflows.objects import NIC

TAGS = "vfo:tags"


def nics(
    pifs: dict[str, rows.PIF],
    sriovs: dict[str, Sriov],
    networks: dict[str, rows.Network],
    hosts: dict[str, rows.Host],
    pcis: dict[str, rows.PCI],
) -> tuple[NIC, ...]:
    """Every physical PIF, sorted by its host's name and its device."""
    enabled = {sriov.physical_PIF: sriov for sriov in sriovs.values()}
    found = [
        _nic(pif, enabled.get(ref), pifs, networks, (hosts.get(pif.host), pcis.get(pif.PCI))) for ref, pif in pifs.items() if pif.physical
    ]
    return tuple(sorted(found, key=lambda nic: (nic.host_name, nic.device)))


def _nic(
    pif: rows.PIF,
    sriov: Sriov | None,
    pifs: dict[str, rows.PIF],
    networks: dict[str, rows.Network],
    places: tuple[rows.Host | None, rows.PCI | None],
) -> NIC:
    """One NIC. Its tags are words that an administrator wrote, with commas between, into its other_config: a PIF has no tags in XenAPI."""
    host, card = places
    logical = pifs.get(sriov.logical_PIF) if sriov else None
    network = networks.get(logical.network) if logical else None
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
        vlans=len(pif.VLAN_slave_of) + (len(logical.VLAN_slave_of) if logical else 0),
        tags=tuple(word.strip() for word in pif.other_config.get(TAGS, "").split(",") if word.strip()),
        sriov=sriov.uuid if sriov else None,
        mode=sriov.configuration_mode if sriov else "",
        requires_reboot=sriov.requires_reboot if sriov else False,
        network=network.uuid if network else None,
        logical_PIF=logical.uuid if logical else None,
        attached=logical.currently_attached if logical else False,
    )
