"""Where the records come from that a VM refers to: asked for one by one, or all at once."""

import threading
from typing import TypeVar

from orchestrator.xapi import rows, views
from orchestrator.xapi.client import Client
from orchestrator.xapi.records import NULL
from orchestrator.xapi.refs import Memory, Refs
from orchestrator.xapi.sharing import Shared
from workflows.ports import Gone

T = TypeVar("T")


class OneByOne:
    """For one VM: a call for each VIF, network and PCI device. Those who look at a network at once share a reading."""

    def __init__(self, client: Client, refs: Refs) -> None:
        self._client = client
        self._refs = refs
        self._snapshots: Memory[str, tuple[str, str]] = Memory()
        self._takes_vfs: Memory[str, bool] = Memory()
        self._lock = threading.Lock()
        self._networks: dict[str, Shared[rows.Network]] = {}

    def vif(self, ref: str) -> rows.VIF:
        """A VIF."""
        row = self._client.fetch(rows.VIF, "VIF.get_record", ref)
        self._refs.learn("VIF", ref, row.uuid)
        return row

    def network(self, ref: str) -> tuple[rows.Network, bool]:
        """A network: SR-IOV when its first PIF is (xapi_network_sriov_helpers.ml: is_sriov_network)."""
        with self._lock:
            shared = self._networks.setdefault(ref, Shared(lambda: self._client.fetch(rows.Network, "network.get_record", ref)))
        try:
            row = shared.get()
        except Gone:
            with self._lock:
                self._networks.pop(ref, None)
            raise
        self._refs.learn("network", ref, row.uuid)
        return row, self.is_sriov(row)

    def is_sriov(self, row: rows.Network) -> bool:
        """Whether VIFs on the network take VFs."""
        return bool(row.PIFs) and self._pif_takes_vfs(row.PIFs[0])

    def _pif_takes_vfs(self, ref: str) -> bool:
        """A PIF never changes in this. One that is being made may look like none of all: that is not remembered."""
        known = self._takes_vfs.get(ref)
        if known is not None:
            return known
        try:
            row = self._client.fetch(rows.PIF, "PIF.get_record", ref)
            if row.VLAN_master_of != NULL:
                return self._pif_takes_vfs(self._client.fetch(rows.VLAN, "VLAN.get_record", row.VLAN_master_of).tagged_PIF)
        except Gone:  # it went while we looked, and its network is what the next PIF makes of it
            return False
        if row.physical or row.sriov_logical_PIF_of:
            return self._takes_vfs.put(ref, bool(row.sriov_logical_PIF_of))
        return False

    def pci(self, ref: str) -> rows.PCI | None:
        """A PCI device; None when the reference dangles."""
        try:
            return self._client.fetch(rows.PCI, "PCI.get_record", ref)
        except Gone:
            return None

    def snapshot(self, ref: str) -> tuple[str, str] | None:
        """When it was taken, and its uuid: neither changes."""
        known = self._snapshots.get(ref)
        if known is not None:
            return known
        try:
            row = self._client.fetch(rows.VM, "VM.get_record", ref)
        except Gone:
            return None
        self._refs.learn("VM", ref, row.uuid)
        return self._snapshots.put(ref, (row.snapshot_time, row.uuid))

    def uuid(self, kind: str, ref: str) -> str | None:
        """The uuid; None for nothing and for what is not there: snapshots outlive their VMs."""
        return self._refs.uuid_if_there(kind, ref, anew=kind == "VM")


class AllAtOnce:
    """For many VMs: every table is read once."""

    def __init__(self, client: Client) -> None:
        self.vms = client.fetch(dict[str, rows.VM], "VM.get_all_records")
        self.vifs = client.fetch(dict[str, rows.VIF], "VIF.get_all_records")
        self.pcis = client.fetch(dict[str, rows.PCI], "PCI.get_all_records")
        self.hosts = client.fetch(dict[str, rows.Host], "host.get_all_records")
        self.topology = topology(client)
        self.networks, self._pifs, self._vlans = self.topology

    def vif(self, ref: str) -> rows.VIF:
        """A VIF."""
        return _there(self.vifs, "VIF", ref)

    def network(self, ref: str) -> tuple[rows.Network, bool]:
        """A network."""
        row = _there(self.networks, "network", ref)
        return row, is_sriov(row, self._pifs, self._vlans)

    def pci(self, ref: str) -> rows.PCI | None:
        """A PCI device."""
        return self.pcis.get(ref)

    def snapshot(self, ref: str) -> tuple[str, str] | None:
        """When it was taken, and its uuid."""
        row = self.vms.get(ref)
        return (row.snapshot_time, row.uuid) if row else None

    def uuid(self, kind: str, ref: str) -> str | None:
        """The uuid of a host or VM."""
        row = self.hosts.get(ref) if kind == "host" else self.vms.get(ref)
        return row.uuid if row else None


def topology(client: Client) -> tuple[dict[str, rows.Network], dict[str, rows.PIF], dict[str, rows.VLAN]]:
    """Networks, PIFs and VLANs, by ref."""
    return (
        client.fetch(dict[str, rows.Network], "network.get_all_records"),
        client.fetch(dict[str, rows.PIF], "PIF.get_all_records"),
        client.fetch(dict[str, rows.VLAN], "VLAN.get_all_records"),
    )


def is_sriov(row: rows.Network, pifs: dict[str, rows.PIF], vlans: dict[str, rows.VLAN]) -> bool:
    """Whether VIFs on the network take VFs: its first PIF decides."""
    return bool(row.PIFs) and views.takes_vfs(row.PIFs[0], pifs, vlans)


def _there(table: dict[str, T], kind: str, ref: str) -> T:
    """The record; `Gone` when it went between two of the tables."""
    if ref not in table:
        raise Gone("HANDLE_INVALID", (kind, ref))
    return table[ref]
