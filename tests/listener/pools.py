"""Small pools made of records, for what is pure."""

from datetime import UTC, datetime
from typing import Any

from orchestrator.listener import records
from orchestrator.listener.holdings import Holding, VIFNote
from orchestrator.listener.mirror import Mirror

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def vm(uuid: str = "web", **fields: Any) -> records.VM:
    """A halted VM that is called as its uuid."""
    return records.VM(uuid=uuid, **{"name_label": uuid, **fields})


def vif(uuid: str = "web-0", *, VM: str = "ref:web", network: str = "ref:sriov", **fields: Any) -> records.VIF:
    """A VIF of a VM on the SR-IOV network."""
    return records.VIF(uuid=uuid, VM=VM, network=network, **{"device": "0", "MAC": "02:00:00:00:00:01", **fields})


def mirror(*vms: records.VM, vifs: tuple[records.VIF, ...] = ()) -> Mirror:
    """Two hosts with a port each on the network "sriov", a VLAN network on top of the first's, and an ordinary network; plus these VMs."""
    pool = Mirror()
    ports = {"one": "port-one", "two": "port-two"}
    pool.load("pool", {"ref:pool": records.Pool("pool", "ref:one")})
    pool.load("host", {f"ref:{host}": records.Host(host) for host in ports})
    pool.load("network", {f"ref:{name}": records.Network(name) for name in ("sriov", "vlan", "lan")})
    pifs = {f"ref:logical-{host}": records.PIF(f"logical-{host}", "ref:sriov", f"ref:{host}") for host in ports}
    pifs["ref:vlan-one"] = records.PIF("vlan-one", "ref:vlan", "ref:one")
    pifs["ref:lan-one"] = records.PIF("lan-one", "ref:lan", "ref:one")
    pool.load("pif", pifs)
    pool.load("vlan", {"ref:v": records.VLAN("v", tagged_PIF="ref:logical-one", untagged_PIF="ref:vlan-one")})
    sriovs = {f"ref:{port}": records.NetworkSriov(port, "ref:physical", f"ref:logical-{host}") for host, port in ports.items()}
    pool.load("network_sriov", sriovs)
    pool.load("vif", {f"ref:{vif.uuid}": vif for vif in vifs})
    pool.load("vm", {f"ref:{vm.uuid}": vm for vm in vms})
    return pool


def known(uuid: str = "web", *, vifs: tuple[str, ...] = ("web-0",), ports: tuple[str, ...] = ()) -> Holding:
    """What is known of a VM."""
    notes = tuple(VIFNote(vif, str(device), "02:00:00:00:00:01", "sriov") for device, vif in enumerate(vifs))
    return Holding(uuid, f"ref:{uuid}", uuid, notes, ports, all_vifs=vifs)
