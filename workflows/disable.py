"""Disable SR-IOV where [sriov.NAME] has it: the mirror of enable. Never under a VM; what VIFs there are on the network is said before."""

from collections.abc import Iterator, Mapping

from plugins.errors import GiveUp
from workflows import mending, sriov
from workflows.objects import NIC
from workflows.outcome import DONE, Done, Finish, Outcome, Refuse, Request, Stuck, Wait
from workflows.plan import Plan
from workflows.ports import Pool
from workflows.sriov import OURS, Sight, State, Target
from workflows.trying import Memo, first
from workflows.wanted import SriovPolicy
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "disable-sriov"


def request(pool: str, name: str, *, force: bool = False) -> Request:
    """The run that takes [sriov.NAME] away in the pool; *force*: also where halted VMs have VIFs on the network: they cannot start then."""
    return Request(NAME, pool, f"sriov:{name}", f"[sriov.{name}]", {"name": name, "force": force})


def plan(pool: Pool, policy: SriovPolicy, *, force: bool) -> Plan:
    """What would be done."""
    sight = sriov.see(pool, policy)
    title = f"{NAME} of [sriov.{policy.name}], pool {pool.name}"
    there = _enabled(sight)
    if not there:
        return Plan(title, (f"no port has SR-IOV on network {policy.network!r}: nothing is to be done",))
    sentences = [f"remove VLAN {tag} from {target.name}" for target in there for tag, _ in target.nic.tagged]
    sentences += [f"disable SR-IOV on {', '.join(target.name for target in there)}", *_afterwards([target.nic for target in there])]
    sentences += [f"remove network {name!r}, which is ours, if nobody is on it" for name in _our_networks(sight)]
    calls = ["VLAN.destroy"] if any(target.nic.tagged for target in there) else []
    calls += ["network_sriov.destroy", *(["network.destroy"] if _our_networks(sight) else [])]
    return Plan(title, tuple(sentences), tuple(calls), tuple(_users(pool, sight, force=force)))


# -- the steps ---------------------------------------------------------------------------------------------------------------


def look_first(world: World, data: Data) -> Outcome:
    """Look at every port and at who is on the network, before anything is touched."""
    policy = sriov.begun(world, data, frozenset({"name", "force"}))
    if not isinstance(policy, SriovPolicy):
        return policy
    sight = sriov.see(world.pool, policy)
    there = _enabled(sight)
    if not there and not _our_networks(sight):
        return Finish(f"no port has SR-IOV on network {policy.network!r}")
    users = list(_users(world.pool, sight, force=data.get("force", False)))
    if users:
        return Refuse("; ".join(users))
    data["network"] = policy.network
    data["afterwards"] = list(_afterwards([target.nic for target in there]))
    data["had"] = {target.nic.uuid: [list(one) for one in target.nic.tagged] for target in there}
    return Done(f"{', '.join(target.name for target in there) or 'no port'} has SR-IOV on network {policy.network!r}, and no VM runs there")


def disable_ports(world: World, data: Data) -> Outcome:
    """Take the VLANs and SR-IOV away from every port; one that fails keeps no other from it."""
    memos = data.setdefault("ports", {})
    if waits := mending.at_work(world, memos):
        return waits
    begun, failed = [], {}
    targets = _had(world, data)
    used = mending.users(world, targets)
    for target in targets:
        came = _taken_down(world, target, memos.setdefault(target.nic.uuid, {}), used)
        if isinstance(came, Wait):
            begun.append(came)
        elif came is not None:
            failed[target.name] = came
    if begun:
        return first(begun)
    data["ports"] = {}
    if failed:
        said = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        return Stuck(said, f"vfo run {world.run_id} retry", {"failed": failed})
    return Done(f"disabled on {', '.join(target.name for target in targets)}")


def _taken_down(world: World, target: Target, memo: Memo, used: Mapping[str, str]) -> Wait | str | None:
    if not target.host.live and target.nic.sriov:
        return f"{target.host.name} is away"
    for tag, _ in target.nic.tagged:
        world.pool.remove_vlan(target.nic.logical_PIF or "", tag)
    return mending.take_down(world, target, memo, used)


def enable_again(world: World, data: Data) -> Outcome:
    """Enable the ports that this run disabled, with their VLANs."""
    memos, waits = data.setdefault("again", {}), []
    if waiting := mending.at_work(world, data.get("ports", {})) or mending.at_work(world, memos):
        return waiting
    network = next((one for one in world.pool.networks() if one.name == data["network"]), None)
    if network is None:
        raise GiveUp(f"network {data['network']!r} is gone")
    for target in (one for one in _had(world, data) if one.host.live):
        came = mending.bring_up(world, target, network.uuid, memos.setdefault(target.nic.uuid, {}))
        if isinstance(came, str):
            raise GiveUp(f"{target.name}: {came}")
        if came is not None:
            waits.append(came)
        else:
            for tag, on in data["had"][target.nic.uuid]:
                world.pool.create_vlan(target.nic.logical_PIF or "", tag, on)
    return first(waits) if waits else DONE


def remove_networks(world: World, data: Data) -> Outcome:
    """Take away the networks that were made by us, where nobody is on them any more."""
    names = {data["network"]}
    policy = world.policy.sriov.get(data["name"])
    if policy is not None:
        names |= {sriov.vlan_network(policy, tag) for tag in policy.vlans}
    removed = []
    for network in world.pool.networks():
        if network.name in names and OURS in network.other_config and not network.pifs and not network.vifs:
            world.pool.destroy_network(network.uuid)
            removed.append(network.name)
    return Done(f"removed {', '.join(removed)}" if removed else "no network of ours was left")


def prove(world: World, data: Data) -> Outcome:
    """Look that no port of them has SR-IOV any more."""
    left = [target.name for target in _had(world, data) if target.nic.sriov]
    if left:
        return Stuck(f"SR-IOV is on {', '.join(left)} again: somebody enabled it", f"vfo run {world.run_id} retry", {"ports": left})
    return Done("; ".join(("no port of them has SR-IOV", *data["afterwards"])))


def _enabled(sight: Sight) -> list[Target]:
    return [target for target in sight.targets if target.nic.sriov is not None and target.state is not State.ELSEWHERE]


def _had(world: World, data: Data) -> list[Target]:
    """The ports that had SR-IOV when the run began, as they are now."""
    fabric = world.pool.fabric()
    hosts = {host.uuid: host for host in fabric.hosts}
    network = next((one for one in fabric.networks if one.name == data["network"]), None)
    nics = [nic for nic in fabric.nics if nic.uuid in data["had"] and nic.host in hosts]
    return [Target(nic, hosts[nic.host], sriov.state_of(nic, network)) for nic in nics]


def _our_networks(sight: Sight) -> list[str]:
    names = {sight.policy.network, *(sriov.vlan_network(sight.policy, tag) for tag in sight.policy.vlans)}
    return [network.name for network in sight.all_networks if network.name in names and OURS in network.other_config]


def _users(pool: Pool, sight: Sight, *, force: bool) -> Iterator[str]:
    """VMs with VIFs there. Xapi refuses under a running one alone, and does not look at a halted one, which could not start any more."""
    networks = {target.nic.network for target in _enabled(sight)} | {on for target in _enabled(sight) for _, on in target.nic.tagged}
    there = [vm for vm in pool.guests() if networks.intersection(vm.networks)]
    running = [vm.name for vm in there if vm.power_state != "Halted"]
    if running:
        yield f"VMs run with VFs of network {sight.policy.network!r}: {', '.join(running)} (vfo release, or shut them down)"
    halted = [vm.name for vm in there if vm.power_state == "Halted"]
    if halted and not force:
        yield f"halted VMs have VIFs on it and could not start any more: {', '.join(halted)} (--force does it nevertheless)"


def _afterwards(nics: list[NIC]) -> Iterator[str]:
    """What stays of it."""
    modprobe = sorted(f"{nic.host_name}/{nic.device}" for nic in nics if nic.mode == "modprobe")
    manual = sorted(f"{nic.host_name}/{nic.device}" for nic in nics if nic.mode == "manual")
    if modprobe:
        yield f"the VFs of {', '.join(modprobe)} stay until their hosts boot the next time, and do no harm"
    if manual:
        yield f"the VFs of {', '.join(manual)} were set by hand on the host, and stay"


DISABLE = Workflow(
    NAME,
    "Disable SR-IOV where [sriov.NAME] of the configuration has it",
    (
        Step(look_first, timeout=None),
        Step(disable_ports, undo=enable_again, timeout=None),
        Step(remove_networks),
        Step(prove),
    ),
)
