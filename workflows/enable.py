"""Enable SR-IOV on all hosts of a pool as [sriov.NAME] wants it: one network, half-made ports repaired, hosts rebooted one by one."""

from datetime import datetime

from plugins.errors import GiveUp
from workflows import hurts, mending, rolling, sriov
from workflows.outcome import DONE, LOOK_AGAIN, Done, Finish, Outcome, Refuse, Request, Stuck, Wait
from workflows.plan import Plan
from workflows.ports import Pool, PoolError
from workflows.rolling import Consent
from workflows.sriov import OURS, Sight, State, Target
from workflows.trying import AT_ONCE, SOON, first
from workflows.wanted import RebootPolicy, SriovPolicy
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "enable-sriov"


def request(pool: str, name: str, why: str = "") -> Request:
    """The run that makes [sriov.NAME] so in the pool; *why*: what it is asked for by, "" when a person did."""
    return Request(NAME, pool, f"sriov:{name}", f"[sriov.{name}]", {"name": name, "why": why})


def plan(pool: Pool, policy: SriovPolicy, reboot: RebootPolicy) -> Plan:
    """What would be done, and what it would hurt."""
    sight = sriov.see(pool, policy)
    refusals = sriov.refusals(sight)
    title = f"{NAME} of [sriov.{policy.name}], pool {pool.name}"
    if refusals:
        return Plan(title, (), refusals=refusals)
    if sight.is_so:
        return Plan(title, (_in_words(sight), "nothing is to be done"))
    harm = tuple(f"mind: {warning}" for warning in hurts.warnings(pool, sight, reboot))
    return Plan(title, (*hurts.sentences(sight), *harm), hurts.calls(sight, reboot))


# -- the steps ---------------------------------------------------------------------------------------------------------------


def look_first(world: World, data: Data) -> Outcome:
    """Look at every port, and say all that will hurt, before anything is touched."""
    policy = sriov.begun(world, data, frozenset({"name", "why"}))
    if not isinstance(policy, SriovPolicy):
        return policy
    sight = sriov.see(world.pool, policy)
    refusals = sriov.refusals(sight)
    if refusals:
        return Refuse("; ".join(refusals))
    if sight.is_so and all(target.host.live for target in sight.targets):
        return Finish(f"nothing to do: {_in_words(sight)}")
    data["network"] = policy.network
    data["ours"] = [target.nic.uuid for target in sight.in_state(State.ABSENT)]
    data["warnings"] = list(hurts.warnings(world.pool, sight, world.policy.reboot))
    return Done("; ".join((*hurts.sentences(sight), *(f"mind: {warning}" for warning in data["warnings"]))))


def make_networks(world: World, data: Data) -> Outcome:
    """Make the network, and those of the VLANs, where there is none of that name; each says that it is ours."""
    policy = _wanted(world, data)
    there = {network.name for network in world.pool.networks()}
    wanted = [policy.network, *(sriov.vlan_network(policy, tag) for tag in policy.vlans)]
    made = [name for name in wanted if name not in there]
    for name in made:
        world.pool.create_network(name, {OURS: str(world.run_id)})
    return Done(f"made {', '.join(made)}" if made else "the networks are there")


def unmake_networks(world: World, _data: Data) -> Outcome:
    """Take away the networks that this run made and nobody is on."""
    for network in world.pool.networks():
        if network.other_config.get(OURS) == str(world.run_id) and not network.pifs and not network.vifs:
            world.pool.destroy_network(network.uuid)
    return DONE


def enable_ports(world: World, data: Data) -> Outcome:
    """Enable every port, on all hosts at once; what failed attempts left half made is repaired. One that fails keeps no other from it."""
    memos = data.setdefault("ports", {})
    if waits := mending.at_work(world, memos):
        return waits
    sight = _sight(world, data)
    network = sight.network
    if network is None:
        raise GiveUp(f"network {sight.policy.network!r} is gone")
    elsewhere = sight.in_state(State.ELSEWHERE)
    if elsewhere:
        raise GiveUp(f"{', '.join(target.name for target in elsewhere)} was enabled on another network meanwhile")
    begun, failed = [], {}
    for target in (one for one in sight.targets if one.host.live):
        came = mending.bring_up(world, target, network.uuid, memos.setdefault(target.nic.uuid, {}))
        if isinstance(came, Wait):
            begun.append(came)
        elif came is not None:
            failed[target.name] = came
    if begun:
        return first(begun)
    data["ports"], data["to_reboot"] = {}, sorted(target.nic.host for target in sight.in_state(State.REBOOT))
    if failed:
        said = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        others = ", ".join(target.name for target in sight.in_state(State.UP, State.REBOOT)) or "none"
        return Stuck(f"{said} (enabled: {others})", f"vfo run {world.run_id} retry", {"failed": failed})
    return Done(_in_words(sight))


def disable_ports(world: World, data: Data) -> Outcome:
    """Disable the ports that this run enabled; one that VMs use by now is left, and said."""
    memos = data.setdefault("undone", {})
    if waits := mending.at_work(world, data.get("ports", {})) or mending.at_work(world, memos):
        return waits
    policy, fabric = world.policy.sriov.get(data["name"]), world.pool.fabric()
    hosts = {host.uuid: host for host in fabric.hosts}
    network = next((one for one in fabric.networks if one.name == data["network"]), None)
    ours = [nic for nic in fabric.nics if nic.uuid in data["ours"] and network is not None and nic.network == network.uuid]
    targets, begun, kept = [Target(nic, hosts[nic.host], State.UP) for nic in ours if nic.host in hosts], [], []
    used = mending.users(world, targets)
    for target in targets:
        try:
            for tag, _ in target.nic.tagged:
                world.pool.remove_vlan(target.nic.logical_PIF or "", tag)
            came = mending.take_down(world, target, memos.setdefault(target.nic.uuid, {}), used)
        except PoolError as error:
            came = str(error)
        if isinstance(came, Wait):
            begun.append(came)
        elif came is not None:
            kept.append(f"{target.name}: {came}")
    if begun:
        return first(begun)
    if kept:
        why = "is wanted still" if policy else "is not wanted any more"
        return Stuck(f"SR-IOV stays on {'; '.join(kept)} (it {why})", f"vfo run {world.run_id} retry", {"kept": kept})
    return DONE


def reboot_hosts(world: World, data: Data) -> Outcome:
    """Reboot the hosts whose driver wants it, one at a time, the coordinator last; only by consent."""
    if rolling.at_work(data):
        return rolling.go_on(world, data)
    if data.get("to_reboot") == []:  # the step before has just seen every port, and `prove` does again
        return Done("no host had to be rebooted")
    sight = _sight(world, data)
    policy = sight.policy
    due = {target.nic.host for target in sight.in_state(State.REBOOT)}
    if waits := _others_are_made(world, data, sight, due):
        return waits
    consent = Consent(policy.reboot, policy.maintenance, policy.max_unavailable)
    outcome = rolling.roll(world, data, due, consent)
    if isinstance(outcome, Done):
        names = [host.name for host in sight.hosts if host.uuid in rolling.rebooted(data)]
        return Done(f"rebooted {', '.join(names)}" if names else "no host had to be rebooted")
    return outcome


def _others_are_made(world: World, data: Data, sight: Sight, due: set[str]) -> Wait | None:
    """Wait while other ports of these hosts are being enabled, so that a host reboots once for all; what is half made for good is not."""
    making = [f"{nic.host_name}/{nic.device}" for nic in sight.nics if nic.host in due and nic.sriov and nic.mode == "unknown"]
    if not making:
        data.pop("making_since", None)
        return None
    since = datetime.fromisoformat(data.setdefault("making_since", world.now.isoformat()))
    if world.now - since >= world.policy.reboot.vfs_within:
        return None
    return Wait(f"{', '.join(making)} is being enabled, and a host reboots once for all its ports", at_most=SOON)


def tag_ports(world: World, data: Data) -> Outcome:
    """Put the VLANs on top of every port."""
    if not _wanted(world, data).vlans:
        return Done("no VLAN is wanted")
    sight = _sight(world, data)
    networks = {network.name: network.uuid for network in sight.all_networks}
    missing = [(target.nic.logical_PIF, tag) for target, tag in sight.missing_vlans if target.host.live]
    if not missing:
        return Done(f"{len(sight.policy.vlans)} VLANs on each port")
    noted = [list(one) for one in data.setdefault("tagged", [])]
    unnoted = [list(one) for one in missing if list(one) not in noted]
    if unnoted:
        data["tagged"] = [*noted, *unnoted]
        return Wait(f"{len(missing)} VLANs are to be made", at_most=AT_ONCE)
    for logical, tag in missing:
        world.pool.create_vlan(logical or "", tag, networks[sriov.vlan_network(sight.policy, tag)])
    return Wait(f"{len(missing)} VLANs were made", at_most=AT_ONCE)


def untag_ports(world: World, data: Data) -> Outcome:
    """Take away the VLANs that this run made."""
    there = {nic.logical_PIF for nic in world.pool.nics()}
    for logical, tag in data.get("tagged", ()):
        if logical in there:
            world.pool.remove_vlan(logical, tag)
    return DONE


def prove(world: World, data: Data) -> Outcome:
    """Look until every port is up and has VFs; a host that is away is waited for."""
    sight = _sight(world, data)
    away = [target.name for target in sight.targets if not target.host.live]
    if away:
        data["awaited"] = sorted({*data.get("awaited", ()), *away})
        return Wait(f"{', '.join(away)}: the host is away, and its port follows when it is back", at_most=LOOK_AGAIN)
    with_vfs = {look.port for look in world.pool.look_at_ports() if look.remaining + len(look.users) > 0}
    short = [target for target in sight.targets if target.state is not State.UP or target.nic.sriov not in with_vfs]
    if not short:
        return Done(_in_words(sight))
    if all(target.name in data.get("awaited", ()) for target in short):
        back = ", ".join(target.name for target in short)
        again = request(world.pool.name, data["name"], f"{back}: the host is back")
        return Done(f"{_in_words(sight)}; {back} came back meanwhile: a run of its own follows", follow_up=(again,))
    said = ", ".join(f"{target.name} ({target.state if target.state is not State.UP else 'no VFs'})" for target in short)
    tries = data["tries"] = data.get("tries", 0) + 1
    if tries * SOON < world.policy.reboot.vfs_within:
        return Wait(f"not so yet: {said}", at_most=SOON)
    del data["tries"]
    return Stuck(f"not so: {said}", f"vfo run {world.run_id} retry", {"ports": [target.name for target in short]})


def _sight(world: World, data: Data) -> Sight:
    """What is wanted by now, and what there is."""
    return sriov.see(world.pool, _wanted(world, data))


def _wanted(world: World, data: Data) -> SriovPolicy:
    """What is wanted by now. Raises `GiveUp` when it is not wanted any more, or on another network."""
    policy = world.policy.sriov.get(data["name"])
    if policy is None:
        raise GiveUp(f"[sriov.{data['name']}] is not in the configuration any more")
    if policy.network != data["network"]:
        raise GiveUp(f"[sriov.{data['name']}] wants network {policy.network!r} now, it was {data['network']!r}")
    return policy


def _in_words(sight: Sight) -> str:
    return "; ".join(f"{target.name}: {target.state}{f', mode {target.nic.mode}' if target.nic.mode else ''}" for target in sight.targets)


ENABLE = Workflow(
    NAME,
    "Enable SR-IOV on every host of a pool, as [sriov.NAME] of the configuration wants it",
    (
        Step(look_first, timeout=None),
        Step(make_networks, undo=unmake_networks),
        Step(enable_ports, undo=disable_ports, timeout=None),
        Step(reboot_hosts, undo=rolling.put_back, timeout=None),
        Step(tag_ports, undo=untag_ports),
        Step(prove, timeout=None),
    ),
)
