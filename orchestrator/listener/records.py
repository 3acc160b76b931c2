"""The XenAPI records that are mirrored, with only the fields that matter, as types that msgspec decodes the wire straight into.

Fields have XenAPI's names. References are opaque strings, `OpaqueRef:NULL` for none. What a pool sends beyond this is skipped
without being decoded: that is most of it, and what makes loading a large pool quick.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

NULL = "OpaqueRef:NULL"


class Record(msgspec.Struct, frozen=True, gc=False):
    """What every class has: the uuid, which is not an RFC 4122 one."""

    uuid: str


class Pool(Record, frozen=True):
    """The pool itself: one object; the watchdog touches it."""

    master: str
    name_label: str = ""


class Host(Record, frozen=True):
    """A host; *other_config* has `agent_start_time`, when its toolstack started."""

    name_label: str = ""
    enabled: bool = False
    metrics: str = NULL
    address: str = ""
    other_config: dict[str, str] = {}


class HostMetrics(Record, frozen=True):
    """Whether a host is up. `last_updated` and memory are left out: they change all the time and mean nothing to us."""

    live: bool = False


class Network(Record, frozen=True):
    """A network of the pool; *other_config* says whether it is ours for parking."""

    name_label: str = ""
    other_config: dict[str, str] = {}


class NetworkSriov(Record, frozen=True):
    """SR-IOV enabled on one port of one host."""

    physical_PIF: str
    logical_PIF: str
    requires_reboot: bool = False
    configuration_mode: str = ""


class PIF(Record, frozen=True):
    """A host's interface on a network; those of SR-IOV and of VLANs are logical."""

    network: str
    host: str
    device: str = ""
    currently_attached: bool = False
    PCI: str = NULL


class VLAN(Record, frozen=True):
    """A VLAN: *tagged_PIF* is what it stands on, *untagged_PIF* is its own interface."""

    tagged_PIF: str
    untagged_PIF: str


class PCI(Record, frozen=True):
    """A PCI device of a host; VFs are such devices, made anew whenever SR-IOV is enabled."""

    host: str
    device_name: str = ""
    driver_name: str = ""


class VIF(Record, frozen=True):
    """A network interface of a VM, with what is wanted to make it again."""

    VM: str
    network: str
    device: str = ""
    MAC: str = ""
    currently_attached: bool = False
    MTU: int = 0
    other_config: dict[str, str] = {}
    qos_algorithm_type: str = ""
    qos_algorithm_params: dict[str, str] = {}
    locking_mode: str = ""
    ipv4_allowed: list[str] = []
    ipv6_allowed: list[str] = []
    ipv4_configuration_mode: str = ""
    ipv4_addresses: list[str] = []
    ipv4_gateway: str = ""


class VM(Record, frozen=True):
    """A VM, or one of the things that XenAPI keeps in the same class: templates, snapshots, control domains.

    *parent* is the snapshot that was taken of it, or to which it was reverted, last.
    """

    name_label: str = ""
    power_state: str = "Halted"
    is_a_template: bool = False
    is_a_snapshot: bool = False
    is_control_domain: bool = False
    resident_on: str = NULL
    scheduled_to_be_resident_on: str = NULL
    current_operations: dict[str, str] = {}
    attached_PCIs: list[str] = []
    tags: list[str] = []
    VBDs: list[str] = []
    parent: str = NULL
    snapshot_of: str = NULL


class Task(Record, frozen=True):
    """A task: work that the pool does for somebody."""

    status: str = "pending"


@dataclass(frozen=True, slots=True)
class Kind:
    """A mirrored class: the call that loads all of it, and what that answers: records by reference."""

    call: str
    table: Any


KINDS: dict[str, Kind] = {
    "pool": Kind("pool.get_all_records", dict[str, Pool]),
    "host": Kind("host.get_all_records", dict[str, Host]),
    "host_metrics": Kind("host_metrics.get_all_records", dict[str, HostMetrics]),
    "network": Kind("network.get_all_records", dict[str, Network]),
    "network_sriov": Kind("network_sriov.get_all_records", dict[str, NetworkSriov]),
    "pif": Kind("PIF.get_all_records", dict[str, PIF]),
    "vlan": Kind("VLAN.get_all_records", dict[str, VLAN]),
    "pci": Kind("PCI.get_all_records", dict[str, PCI]),
    "vif": Kind("VIF.get_all_records", dict[str, VIF]),
    "vm": Kind("VM.get_all_records", dict[str, VM]),
}
"""Every mirrored class, as events name it: in lower case. In the order in which they are loaded, what is referred to first: a VM that
is destroyed meanwhile is then seen with its VIFs, or not at all."""
