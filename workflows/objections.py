"""Why a VM cannot get a VF, or give one back: each reason in a sentence, with what to do about it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from workflows import addressing
from workflows.objects import VM, Network, PoolFacts
from workflows.ports import PortLook

AT_ONCE = ("Running", "Halted")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: *network* is that of the VIF.

    *mac* and *device* are "" where they are to be chosen. *now*: it is not to wait for a halt.
    """

    network: str
    mac: str
    device: str
    now: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the pool for it; *vms* are all real VMs."""

    facts: PoolFacts
    networks: Sequence[Network]
    vms: Sequence[VM]

    def name(self, network: str) -> str:
        """What the network (a uuid) is called."""
        return next((one.name for one in self.networks if one.uuid == network), network)


def to_kind(vm: VM) -> Iterator[str]:
    """What the VM is."""
    if vm.is_control_domain:
        yield f"{vm.name} is a control domain: it has the ports themselves"
    elif vm.is_snapshot:
        yield f"{vm.name} is a snapshot: it never runs; name its VM"
    elif vm.is_template:
        yield f"{vm.name} is a template: it never runs; name a VM made of it, or write an [[assign]] rule for a tag"


def to_protection(vm: VM) -> Iterator[str]:
    """HA and VFs exclude each other (xapi: VM_HAS_SRIOV_VIF)."""
    if vm.ha_restart_priority == "restart":
        yield (
            f"VM {vm.name} is protected by HA, which restarts no VM with a VF:"
            f' xe vm-param-set uuid={vm.uuid} ha-restart-priority="" ends the protection'
        )


def to_blocks(vm: VM, *, now: bool) -> Iterator[str]:
    """Somebody says hands off (VM.blocked_operations stops everybody). Our own blocks end with their runs."""
    others = {operation: why for operation, why in vm.blocked_operations.items() if not why.startswith("vfo:")}
    if now and vm.power_state == "Running":
        for operation in sorted({"start", "clean_shutdown"}.intersection(others)):
            yield f"VM {vm.name}: {operation} is blocked by somebody: {others[operation] or 'no reason given'}"


def to_power_state(vm: VM, *, now: bool) -> Iterator[str]:
    """A VIF on a network with VFs takes effect when the VM is shut down and started, neither paused nor suspended."""
    if now and vm.power_state not in AT_ONCE:
        yield f"VM {vm.name} is {vm.power_state.lower()}: resume it or shut it down first, or use --when next-halt"


def to_network(asked: Asked, seen: Seen) -> Iterator[str]:
    """The licence, and what the network is."""
    if seen.facts.restricted:
        yield f"the licence of pool {seen.facts.name} does not include SR-IOV (restrict_network_sriov)"
    network = next((one for one in seen.networks if one.uuid == asked.network), None)
    if network is None:
        yield f"network {asked.network} is not in the pool"
    elif not network.is_sriov:
        yield f"network {network.name} is not an SR-IOV network, nor a VLAN on one: `vfo sriov enable` makes one, `vfo vfs` lists them"


def to_ports(network: str, below: str, names: tuple[str, str], looks: Iterable[PortLook]) -> Iterator[str]:
    """Whether any port carries the network, and the one *below* it as well ("" for none); *names* are those of the two."""
    carrying = [look for look in looks if look.attached and network in look.networks]
    if not carrying:
        yield f"network {names[0]} has SR-IOV, but no port of it is attached on any host: `vfo sriov status` says why"
    elif below and not any(below in look.networks for look in carrying):
        yield f"network {names[0]} is not a VLAN on {names[1]}"


def to_address(vm: VM, asked: Asked, vms: Iterable[VM]) -> Iterator[str]:
    """The device and the MAC."""
    there = next((vif for vif in vm.vifs if asked.device and vif.device == asked.device), None)
    wanted = addressing.at(vm, asked.network, asked.device, asked.mac)
    if there is not None and wanted is None:
        yield (
            f"device {asked.device} of VM {vm.name} is taken: by its VIF {there.MAC} on network {there.network_name}, which keeps all"
            f" it has when it is moved: with the VM halted, xe vif-move uuid={there.uuid} network-uuid={asked.network}"
        )
    if not asked.device and wanted is None and addressing.free_device(vm) is None:
        yield f"VM {vm.name} has a VIF on each of its {len(addressing.DEVICES)} devices already"
    if asked.mac and wanted is None:
        yield from (f"MAC {asked.mac} is in use: by {holder}" for holder in addressing.holders(asked.mac, vms))


def to_assignment(vm: VM, asked: Asked, seen: Seen) -> list[str]:
    """Everything that stands against giving the VM a VF, but for room."""
    kind = list(to_kind(vm))
    if kind:
        return kind
    against = [*to_protection(vm), *to_blocks(vm, now=asked.now), *to_power_state(vm, now=asked.now), *to_network(asked, seen)]
    return against + list(to_address(vm, asked, seen.vms))
