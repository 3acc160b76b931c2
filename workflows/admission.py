"""Whether there are VFs for a VM: free in the pool's own numbers, promised to nobody else, and not what a halted VM will need."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from workflows.objects import VM, Guest
from workflows.ports import PortLook
from workflows.world import World


@dataclass(frozen=True, slots=True)
class Place:
    """A host (uuid) where VFs are promised to the VM, and the names of the ports."""

    host: str
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Full:
    """No host has them: *reason* says what was seen of each port. *moving*: the numbers are in motion, and another look may differ."""

    reason: str
    moving: bool


def demand(vm: VM, more: str | None = None, less: Iterable[str] = ()) -> Counter[str]:
    """The networks (uuids) on which the VM takes VFs when it starts, and how many: *more* is a network besides, *less* VIFs left out."""
    left_out = set(less)
    networks = Counter(vif.network for vif in vm.sriov_vifs if vif.uuid not in left_out)
    return networks + Counter([more] if more else [])


def ask(world: World, vm: VM, networks: Mapping[str, int], seen: tuple[Sequence[PortLook], Sequence[VM | Guest]]) -> Place | Full:
    """Promise the VM all the VFs that it needs on one host: where it runs if that has them, else where most are free.

    *seen* are all ports and all VMs, read after whatever was promised to them before: those that are halted and have VIFs on the networks
    will want their VFs when they start. They count unless policy says otherwise.
    """
    looks, vms = [look for look in seen[0] if look.attached], seen[1]
    wanted = _wanted_by_halted(vm, vms, looks) if world.policy.assignment.count_halted else Counter()
    for host in _hosts(world, vm, looks, networks):
        here = [look for look in looks if look.host == host]
        if _promised(world, vm, networks, here, _left_for(wanted, here, looks, world)):
            return Place(host, tuple(look.name for look in here if _needed(look, networks)))
    concerned = [look for look in looks if _needed(look, networks)]
    return Full(_in_words(world, concerned, wanted), any(look.in_flight for look in concerned))


def _promised(world: World, vm: VM, networks: Mapping[str, int], here: Sequence[PortLook], kept: Mapping[str, int]) -> bool:
    """Promise on every port of one host that is needed, or on none."""
    needed = [(replace(look, remaining=look.remaining - kept[look.port]), _needed(look, networks)) for look in here]
    begun = False
    for look, count in ((look, count) for look, count in needed if count):
        if not world.ledger.promise(look, vm.uuid, count, world.run_id):
            if begun:
                world.ledger.keep(vm.uuid, world.run_id)
            return False
        begun = True
    return True


def _needed(look: PortLook, networks: Mapping[str, int]) -> int:
    """How many VFs of the port the VM takes on the port's host."""
    return sum(count for network, count in networks.items() if network in look.networks)


def _hosts(world: World, vm: VM, looks: Sequence[PortLook], networks: Mapping[str, int]) -> list[str]:
    """Hosts that have a port for each of the networks, and could start the VM if any can.

    Where it runs comes first, then where VFs are promised to it already, then where most are free.
    """
    hosts = {look.host for look in looks}
    able = {host for host in hosts if all(any(look.host == host and network in look.networks for look in looks) for network in networks)}
    if vm.resident_on in able and not starts_vms(world, str(vm.resident_on)):
        able.discard(str(vm.resident_on))
    if vm.resident_on is None:
        possible = able.intersection(world.pool.possible_hosts(vm.uuid))
        able = possible or able
    free = {host: min((look.remaining for look in looks if look.host == host and _needed(look, networks)), default=0) for host in able}
    promised = world.ledger.promised_to(vm.uuid)
    given = {look.host for look in looks if look.port in promised}
    return sorted(able, key=lambda host: (host != vm.resident_on, host not in given, -free[host], host))


def starts_vms(world: World, host: str) -> bool:
    """Whether the host takes VMs: one that is disabled runs those that it has, and starts none."""
    found = world.pool.host(host)
    return found.enabled and found.live


def _wanted_by_halted(vm: VM, vms: Iterable[VM | Guest], looks: Sequence[PortLook]) -> Counter[tuple[str, ...]]:
    """What halted VMs will want, by the ports that could give it to them. A VM that a run of ours has in hand has a promise instead."""
    wanted: Counter[tuple[str, ...]] = Counter()
    for other in vms:
        if other.uuid == vm.uuid or other.power_state != "Halted" or in_hand(other):
            continue
        for network in other.networks:
            wanted[tuple(sorted(look.port for look in looks if network in look.networks))] += 1
    del wanted[()]
    return wanted


def in_hand(vm: VM | Guest) -> bool:
    """Whether a run of ours keeps the VM from being started by others."""
    return any(reason.startswith("vfo:") for reason in vm.blocked_operations.values())


def _left_for(wanted: Counter[tuple[str, ...]], here: Sequence[PortLook], looks: Sequence[PortLook], world: World) -> dict[str, int]:
    """How many free VFs of each port *here* must be left for halted VMs, when the ports elsewhere give them all they can."""
    left = dict.fromkeys((look.port for look in here), 0)
    elsewhere = {look.port: look for look in looks if look.port not in left}
    for ports, count in wanted.items():
        mine = next((port for port in ports if port in left), None)
        if mine is not None:
            others = sum(max(0, one.remaining - world.ledger.account(one).promised) for port, one in elsewhere.items() if port in ports)
            left[mine] += max(0, count - others)
    return left


def _in_words(world: World, looks: Iterable[PortLook], wanted: Counter[tuple[str, ...]]) -> str:
    said, looks = [], list(looks)
    for look in looks:
        promised = world.ledger.account(look).promised
        said.append(f"{look.name}: {look.remaining} free" + (f", {promised} promised" if promised else ""))
    ports = {look.port for look in looks}
    halted = sum(count for among, count in wanted.items() if ports.intersection(among))
    return "no VF is to be had: " + ("; ".join(said) or "no port") + (f"; halted VMs will want {halted}" if halted else "")
