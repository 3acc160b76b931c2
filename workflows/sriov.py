"""What is wanted of SR-IOV held against what the pool has: how each port stands, and what stands in the way. Reads only."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from workflows.objects import NIC, Host, Network, PoolFacts
from workflows.outcome import Need, Refuse
from workflows.ports import Pool
from workflows.wanted import SriovPolicy
from workflows.workflow import Data
from workflows.world import World

OURS = "vfo:sriov"


class State(StrEnum):
    """How a port stands, in words for people."""

    ABSENT = "not enabled"
    HALF_MADE = "half made"
    DETACHED = "its logical PIF is not attached"
    REBOOT = "its host must be rebooted"
    ELSEWHERE = "enabled on another network"
    UP = "enabled"


def state_of(nic: NIC, network: Network | None) -> State:
    """How the port stands for the network; None: there is no such network yet.

    Mode unknown is a create that failed, or one that still works (xapi_network_sriov.ml): the pool port tells them apart when it acts.
    """
    if nic.sriov is None:
        return State.ABSENT
    if network is None or nic.network != network.uuid:
        return State.ELSEWHERE
    if nic.requires_reboot:
        return State.REBOOT
    if nic.attached and nic.mode != "unknown":
        return State.UP
    return State.HALF_MADE if nic.mode == "unknown" else State.DETACHED


@dataclass(frozen=True, slots=True)
class Target:
    """A port on which SR-IOV is wanted, its host, and how it stands."""

    nic: NIC
    host: Host
    state: State

    @property
    def name(self) -> str:
        """Host and device, as people write it."""
        return f"{self.host.name}/{self.nic.device}"


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a pool for one [sriov.NAME]: *networks* of that name, the *targets*, and all that decides about them."""

    policy: SriovPolicy
    facts: PoolFacts
    hosts: tuple[Host, ...]
    nics: tuple[NIC, ...]
    all_networks: tuple[Network, ...]
    targets: tuple[Target, ...]

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks that bear the name: one, or none yet; two are one too many."""
        return tuple(network for network in self.all_networks if network.name == self.policy.network)

    @property
    def network(self) -> Network | None:
        """The network."""
        return self.networks[0] if self.networks else None

    def in_state(self, *states: State) -> tuple[Target, ...]:
        """The targets that stand so."""
        return tuple(target for target in self.targets if target.state in states)

    @property
    def missing_vlans(self) -> tuple[tuple[Target, int], ...]:
        """The VLANs that are wanted on ports that are up, and are not there."""
        up = [target for target in self.targets if target.state is State.UP]
        return tuple((target, tag) for target in up for tag in self.policy.vlans if tag not in {there for there, _ in target.nic.tagged})

    @property
    def is_so(self) -> bool:
        """Whether everything is as it is wanted, as far as it can be now: a host that is away is looked at when it is back."""
        living = [target for target in self.targets if target.host.live]
        return bool(living) and all(target.state is State.UP for target in living) and not self.missing_vlans


def thing(name: str) -> str:
    """What a run must have for itself to make [sriov.NAME] so, or to take it away."""
    return f"sriov:{name}"


def begun(world: World, data: Data, asked: frozenset[str]) -> SriovPolicy | Need | Refuse:
    """How a run about `data["name"]` begins: what an earlier try left is gone but for what was *asked*, and it has the table for itself.

    The policy it is to go by; `Refuse` when the configuration has no such table any more.
    """
    for key in data.keys() - asked:
        del data[key]
    if thing(data["name"]) not in world.held:
        return Need((thing(data["name"]),))
    policy = world.policy.sriov.get(data["name"])
    missing = f"the running `vfo serve` has no table [sriov.{data['name']}] in its configuration, which it reads when it starts"
    return policy or Refuse(f"{missing}: if the table is there by now, restart it, and ask again")


def vlan_network(policy: SriovPolicy, tag: int) -> str:
    """The name of the network of a VLAN."""
    return f"{policy.network} vlan {tag}"


def see(pool: Pool, policy: SriovPolicy) -> Sight:
    """Look at the pool."""
    fabric = pool.fabric()
    hosts, nics, networks = {host.uuid: host for host in fabric.hosts}, fabric.nics, fabric.networks
    network = next((one for one in networks if one.name == policy.network), None)
    wanted = [nic for nic in nics if nic.host in hosts and nic.capable and policy.wants(nic)]
    targets = tuple(Target(nic, hosts[nic.host], state_of(nic, network)) for nic in wanted)
    return Sight(policy, fabric.facts, tuple(hosts.values()), nics, networks, targets)


# -- what forbids it -----------------------------------------------------------------------------------------------------------


def refusals(sight: Sight) -> tuple[str, ...]:
    """Why it cannot be made so at all, each in a sentence; empty when it can be tried."""
    return (*_of_the_pool(sight), *_of_the_choice(sight), *_of_the_network(sight), *_of_the_ports(sight))


def _of_the_pool(sight: Sight) -> Iterator[str]:
    if sight.facts.restricted:
        yield "the pool's licence does not allow SR-IOV networks (restrict_network_sriov)"
    names = [host.name for host in sight.hosts]
    for wanted in sight.policy.hosts or ():
        if wanted not in names and wanted not in {host.uuid for host in sight.hosts}:
            yield f"there is no host {wanted!r} in the pool"
        if names.count(wanted) > 1:
            uuids = ", ".join(host.uuid for host in sight.hosts if host.name == wanted)
            yield f"{names.count(wanted)} hosts are named {wanted!r}: write the uuid ({uuids})"


def _of_the_choice(sight: Sight) -> Iterator[str]:
    """A network takes one port of each host, and ports of one vendor and device only (NETWORK_HAS_INCOMPATIBLE_SRIOV_PIFS)."""
    fitting = [nic for nic in sight.nics if sight.policy.wants(nic)]
    if not fitting:
        yield f"no port fits {sight.policy.ports}"
    elif not sight.targets:
        names = ", ".join(f"{nic.host_name}/{nic.device}" for nic in fitting)
        yield f"none of the ports that fit can do SR-IOV, as far as XenAPI tells: {names} (BIOS, firmware; on the host: lspci -v)"
    for host in sight.hosts:
        here = [target.nic.device for target in sight.targets if target.nic.host == host.uuid]
        if len(here) > 1:
            yield f"{len(here)} ports of {host.name} fit ({', '.join(here)}), and a network takes one of each host: choose by device"
    kinds = {(nic.vendor, nic.device_name): nic for nic in (*_on_the_network(sight), *(target.nic for target in sight.targets))}
    if len(kinds) > 1:
        said = "; ".join(f"{nic.host_name}/{nic.device} is {nic.device_name or 'unknown'}" for nic in kinds.values())
        yield f"a network takes ports of one vendor and device only: {said}"


def _on_the_network(sight: Sight) -> list[NIC]:
    return [nic for nic in sight.nics if sight.network is not None and nic.network == sight.network.uuid]


def _of_the_network(sight: Sight) -> Iterator[str]:
    for name in (sight.policy.network, *(vlan_network(sight.policy, tag) for tag in sight.policy.vlans)):
        same = [network.uuid for network in sight.all_networks if network.name == name]
        if len(same) > 1:
            yield f"{len(same)} networks are named {name!r} ({', '.join(same)}): rename all but one"
    network = sight.network
    if network is not None and network.is_parking:
        yield f"network {network.name!r} is where VIFs are parked"
    elif network is not None and network.pifs and not network.is_sriov:
        yield f"network {network.name!r} is an ordinary one: {network.pifs} PIFs are on it that are not SR-IOV"
    for nic in _on_the_network(sight):
        if nic.uuid not in {target.nic.uuid for target in sight.targets} and any(nic.host == target.nic.host for target in sight.targets):
            yield f"{nic.host_name} is on network {sight.policy.network!r} already, with {nic.device}"


def _of_the_ports(sight: Sight) -> Iterator[str]:
    for target in sight.targets:
        if target.state is State.ELSEWHERE:
            there = next((network.name for network in sight.all_networks if network.uuid == target.nic.network), "another network")
            yield f"{target.name} has SR-IOV already, on network {there!r}"
        if not target.nic.managed:
            yield f"{target.name} is not managed by xapi"
        if target.host.iommu is False:
            yield f"the IOMMU of {target.host.name} is off: no VM could be given a VF (VT-d or AMD-Vi in the BIOS)"
