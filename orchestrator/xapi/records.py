"""XenAPI's records as far as a look at the ports needs them: one struct a class, XenAPI's own field names."""

from collections.abc import Iterator

import msgspec

NULL = "OpaqueRef:NULL"
VF_NAME = "Virtual Function"


class Sriov(msgspec.Struct, frozen=True):
    """A network_sriov: SR-IOV enabled (or half enabled) on one port."""

    uuid: str
    physical_PIF: str
    logical_PIF: str
    requires_reboot: bool = False
    configuration_mode: str = "unknown"


class PIF(msgspec.Struct, frozen=True):
    """A NIC, a VLAN on one, or the logical side of SR-IOV."""

    uuid: str
    device: str
    network: str
    host: str
    currently_attached: bool = False
    physical: bool = False
    capabilities: list[str] = []
    PCI: str = NULL


class Network(msgspec.Struct, frozen=True):
    """A network."""

    uuid: str
    name_label: str = ""


class VLAN(msgspec.Struct, frozen=True):
    """*untagged_PIF* is the VLAN's own PIF, *tagged_PIF* the one it stands on."""

    tagged_PIF: str
    untagged_PIF: str


class Host(msgspec.Struct, frozen=True):
    """A host; its other_config has boot_time and agent_start_time, in seconds of its clock."""

    uuid: str
    name_label: str
    address: str = ""
    enabled: bool = True
    metrics: str = NULL
    other_config: dict[str, str] = {}
    chipset_info: dict[str, str] = {}
    license_params: dict[str, str] = {}

    def since(self, key: str) -> float:
        """When that happened, in seconds of the epoch; 0 when the host does not say."""
        try:
            return float(self.other_config.get(key, "0"))
        except ValueError:
            return 0.0


class Pool(msgspec.Struct, frozen=True):
    """The pool: its coordinator, and what its licence takes away."""

    uuid: str
    name_label: str
    master: str
    restrictions: dict[str, str] = {}


class HostMetrics(msgspec.Struct, frozen=True):
    """Whether the host's heartbeat is heard."""

    live: bool = False


class PCI(msgspec.Struct, frozen=True):
    """A PCI device of a host; VFs are ordinary ones, and only their name tells. *pci_id* is its address, "0000:04:10.1"."""

    uuid: str
    host: str
    class_name: str = ""
    vendor_name: str = ""
    device_name: str = ""
    driver_name: str = ""
    pci_id: str = ""

    @property
    def bus(self) -> str:
        """Domain and bus of its address, which sort as they are numbered."""
        return self.pci_id.rpartition(":")[0]

    @property
    def is_vf(self) -> bool:
        """Whether its name says that it is a virtual function (xapi keeps physical_function to itself)."""
        return VF_NAME in self.device_name


class VIF(msgspec.Struct, frozen=True):
    """A virtual NIC of a VM."""

    uuid: str
    device: str
    network: str
    VM: str
    currently_attached: bool = False
    current_operations: dict[str, str] = {}


class VM(msgspec.Struct, frozen=True):
    """A VM, as far as it tells where its VFs are."""

    uuid: str
    name_label: str
    power_state: str
    resident_on: str = NULL
    scheduled_to_be_resident_on: str = NULL
    current_operations: dict[str, str] = {}
    attached_PCIs: list[str] = []


class Reading(msgspec.Struct, frozen=True):
    """Everything of one look, by ref; capacities by network_sriov, before and after the rest was read.

    *now* is the coordinator's clock in seconds, which is what the hosts' boot times are held against.
    *vms* are those whose VIFs hold, or are about to hold or release, a VF; one that was destroyed meanwhile is missing.
    """

    now: float
    before: dict[str, int]
    sriovs: dict[str, Sriov]
    pifs: dict[str, PIF]
    networks: dict[str, Network]
    vlans: dict[str, VLAN]
    hosts: dict[str, Host]
    metrics: dict[str, HostMetrics]
    pcis: dict[str, PCI]
    vifs: dict[str, VIF]
    vms: dict[str, VM]
    after: dict[str, int]


def networks_of(logical: str, pifs: dict[str, PIF], vlans: dict[str, VLAN]) -> frozenset[str]:
    """The networks on which a VIF takes a VF by this logical PIF: its own, and those of the VLANs on top of it."""

    def found() -> Iterator[str]:
        if logical in pifs:
            yield pifs[logical].network
        for vlan in vlans.values():
            if vlan.tagged_PIF == logical and vlan.untagged_PIF in pifs:
                yield pifs[vlan.untagged_PIF].network

    return frozenset(found())


def all_sriov_networks(sriovs: dict[str, Sriov], pifs: dict[str, PIF], vlans: dict[str, VLAN]) -> frozenset[str]:
    """Every network of the pool on which a VIF takes a VF."""
    return frozenset().union(*(networks_of(sriov.logical_PIF, pifs, vlans) for sriov in sriovs.values()))
