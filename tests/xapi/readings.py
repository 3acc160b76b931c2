"""A small pool of records for tests of looks: two hosts with one port of 8 VFs each on one network, one VM running with a VF."""

from typing import Any

import msgspec

from orchestrator.xapi.records import PCI, PIF, VIF, VLAN, VM, Host, HostMetrics, Network, Reading, Sriov

NOW = 1_795_000_000.0
LONG_AGO = str(NOW - 1_000_000)
NETWORK = "n-sriov"
VENDOR = "Intel Corporation"
ETHERNET = "Ethernet controller"


def nic(host: str, name: str = "X710", vendor: str = VENDOR, kind: str = ETHERNET, ref: str = "") -> PCI:
    return PCI(uuid=f"u-{ref}", host=host, vendor_name=vendor, device_name=name, class_name=kind, driver_name="i40e")


def vfs(host: str, count: int, made: int = 1, vendor: str = VENDOR, kind: str = ETHERNET) -> dict[str, PCI]:
    """So many VFs on the host; *made* tells one making of them from another."""
    refs = [f"vf-{host}-{vendor}-{kind}-{made}-{number}" for number in range(count)]
    return {ref: nic(host, "Ethernet Virtual Function 700 Series", vendor, kind, ref) for ref in refs}


def port(host: str, device: str, network: str = NETWORK, mode: str = "sysfs", card: PCI | None = None) -> dict[str, dict[str, Any]]:
    """The records of one enabled port, by the field of Reading that they belong to."""
    name = f"{host}-{device}"
    return {
        "sriovs": {f"s-{name}": Sriov(f"us-{name}", f"p-{name}", f"l-{name}", configuration_mode=mode)},
        "pifs": {
            f"p-{name}": PIF(f"up-{name}", device, f"n-{name}", host, currently_attached=True, physical=True, PCI=f"c-{name}"),
            f"l-{name}": PIF(f"ul-{name}", device, network, host, currently_attached=True),
        },
        "pcis": {f"c-{name}": card or nic(host, ref=f"c-{name}")},
        "before": {f"s-{name}": 8},
        "after": {f"s-{name}": 8},
    }


def host(ref: str, **changes: Any) -> dict[str, dict[str, Any]]:
    """The records of one host, up for long."""
    values: dict[str, Any] = {"enabled": True, "metrics": f"m-{ref}", "other_config": {"boot_time": LONG_AGO, "agent_start_time": LONG_AGO}}
    return {"hosts": {ref: Host(f"u-{ref}", ref, **(values | changes))}, "metrics": {f"m-{ref}": HostMetrics(live=True)}}


def running(name: str, on: str, vif: int = 0, network: str = NETWORK, **changes: Any) -> dict[str, dict[str, Any]]:
    """A running VM with one VIF that holds a VF."""
    held = f"held-{name}"
    values: dict[str, Any] = {"power_state": "Running", "resident_on": on, "attached_PCIs": [held]}
    return {
        "vms": {f"v-{name}": VM(f"u-{name}", name, **(values | changes))},
        "vifs": {f"i-{name}": VIF(f"ui-{name}", str(vif), network, f"v-{name}", currently_attached=True)},
        "pcis": {held: PCI(held, on)},
    }


def reading(*parts: dict[str, dict[str, Any]], **changes: dict[str, Any]) -> Reading:
    """All parts together; *changes* replace or add records by field."""
    fields: dict[str, dict[str, Any]] = {
        name: {} for name in ("before", "sriovs", "pifs", "vlans", "hosts", "metrics", "pcis", "vifs", "vms", "after")
    }
    fields["networks"] = {NETWORK: Network("un-sriov", "SR-IOV")}
    for part in (*parts, changes):
        for name, some in part.items():
            fields[name] = fields[name] | some
    return Reading(now=NOW, **fields)


def pool(*parts: dict[str, dict[str, Any]], **changes: dict[str, Any]) -> Reading:
    """Hosts "one" and "two" with a port eth1 of 8 VFs each; VM "web" runs on "one" with a VF."""
    at_rest = (
        host("one"),
        host("two"),
        port("one", "eth1"),
        port("two", "eth1"),
        {"pcis": vfs("one", 8) | vfs("two", 8)},
        running("web", "one"),
        {"before": {"s-one-eth1": 7}, "after": {"s-one-eth1": 7}},
    )
    return reading(*at_rest, *parts, **changes)


def changed(record: Any, **changes: Any) -> Any:
    """The record with some fields changed."""
    return msgspec.structs.replace(record, **changes)


def vlan(on: str, network: str) -> dict[str, dict[str, Any]]:
    """A VLAN on top of that port's logical PIF."""
    return {
        "pifs": {"l-vlan": PIF("ul-vlan", "eth1", network, on, currently_attached=True)},
        "vlans": {"vl": VLAN(f"l-{on}-eth1", "l-vlan")},
    }
