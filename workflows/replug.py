"""The cure "reinit-port": make the VFs of a port anew, in the moment in which nobody uses it.

In mode sysfs, unplugging the logical PIF destroys the VFs with whatever was reserved on them, and plugging it makes them anew, clean
(xapi: PIF.unplug, PIF.plug of an SR-IOV logical PIF). Nobody's VF is taken: the step waits until the port is idle, and xapi itself refuses
to unplug a port in use (VIF_IN_USE). For the seconds between the two, VMs that could start on this host alone are kept from it by a block
that says whose it is; xapi puts every other VM on another host by itself. What is blocked is on record before the first block.
"""

from datetime import timedelta

from plugins.errors import RetryLater
from workflows import cures, proof
from workflows.cures import AT_ONCE, REBOOT, REPLUG, RESTART
from workflows.outcome import DONE, Done, Need, Outcome, Wait, wake_on_object
from workflows.ports import Busy, Denied, Gone, LockedOut, PortLook, Refused
from workflows.proof import Lost
from workflows.tasks import carried_out
from workflows.workflow import Data
from workflows.world import World

STARTS = ("start", "start_on")
IDLE_AGAIN = timedelta(minutes=10)  # a VIF that goes wakes the run; this is for a wake that was lost
PROMISED = timedelta(minutes=1)


def make_vfs_anew(world: World, data: Data) -> Outcome:
    """Make the VFs of a port in mode sysfs anew, as soon as nobody uses it: unplug and plug its logical PIF (reinit-port)."""
    if "closed" in data:
        return _go_on(world, data)
    return cures.climb(world, data, REPLUG, _when_idle)


def open_again(world: World, data: Data) -> Outcome:
    """Let VMs start again, and plug the port if it was unplugged."""
    if "closed" not in data:
        return DONE
    _unblock(world, data)
    look = _seen(world, data)
    if look is not None and not look.attached:
        waiting = _plug(world, data)
        if waiting:
            return waiting
    name = data.pop("closed")["name"]
    return Done(f"{name} is open again")


def _when_idle(world: World, data: Data, found: list[Lost]) -> Outcome:
    """Choose a port that nobody uses, and note what will be blocked for it; wait while there is none."""
    able = [one for one in found if one.look.mode == "sysfs" and one.look.port not in data.get("replugged", ())]
    if not able:
        anew = "its VFs were made anew, and that was not enough"
        why = anew if data.get("replugged") else "where the mode is not sysfs, only a reboot makes VFs anew"
        return cures.failed(world, data, REPLUG, why, [one.look for one in found])
    idle = [one.look for one in able if not one.look.users and not one.promised]
    if not idle:
        return _wait_for_idle(world, data, able)
    look = idle[0]
    if f"port:{look.port}" not in world.held:
        return Need((f"port:{look.port}",))
    data["closed"] = {
        "port": look.port,
        "name": look.name,
        "pif": _logical_PIF(world, look),
        "vms": _bound_to(world, look),
        "reason": f"vfo: run {world.run_id} makes the VFs of {look.name} anew, in a moment",
        "next": "block",
    }
    data.pop("idle_since", None)
    return Wait(f"nobody uses {look.name}: its VFs are made anew", at_most=AT_ONCE)


def _wait_for_idle(world: World, data: Data, able: list[Lost]) -> Outcome:
    """As long as it takes; where the policy has a stronger cure, for as long as it lets a port settle."""
    since = proof.since_when(world, data, "idle_since", None)
    stronger = world.policy.reclaim.allow & {RESTART, REBOOT}
    said = "; ".join(f"{one} lost: made anew when nobody uses the port, now {_who(one)}" for one in able)
    if stronger and world.now - since >= world.policy.reclaim.settle:
        return cures.failed(world, data, REPLUG, f"in use for {world.policy.reclaim.settle}: {said}", [one.look for one in able])
    most = min(IDLE_AGAIN, world.policy.reclaim.settle) if stronger else IDLE_AGAIN
    user = next((one.look.users[0] for one in able if one.look.users), None)
    if user is None:
        return Wait(said, at_most=min(most, PROMISED))
    return Wait(said, on=wake_on_object(world.pool.name, "vif", user.vif), at_most=most)


def _who(one: Lost) -> str:
    users = ", ".join(dict.fromkeys(user.vm_name for user in one.look.users))
    return f"{users} does" if users else f"{one.promised} are promised"


def _logical_PIF(world: World, look: PortLook) -> str:
    return next((nic.logical_PIF for nic in world.pool.nics() if nic.sriov == look.port and nic.logical_PIF), "")


def _bound_to(world: World, look: PortLook) -> list[str]:
    """The halted VMs (uuids) that would take a VF of the port and can start on its host alone."""
    takers = [vm for vm in world.pool.vms() if cures.is_at_rest(vm) and any(vif.network in look.networks for vif in vm.vifs)]
    return [vm.uuid for vm in takers if world.pool.possible_hosts(vm.uuid) == (look.host,)]


def _go_on(world: World, data: Data) -> Outcome:
    """Block, unplug, plug, unblock: which of them is next is on record before it is done, and each looks whether it is so already."""
    closed = data["closed"]
    look = _seen(world, data)
    if look is None or not closed["pif"]:
        return _leave(world, data, cures.failed(world, data, REPLUG, f"SR-IOV is not enabled on {closed['name']} any more"))
    return {"block": _keep_out, "unplug": _unplug, "plug": _plug_and_let_in}[closed["next"]](world, data, look)


def _keep_out(world: World, data: Data, look: PortLook) -> Outcome:
    """Keep new users away; one who came before the block is let be, and waited for again."""
    try:
        for vm in data["closed"]["vms"]:
            _block(world, vm, data["closed"]["reason"])
    except LockedOut:
        raise
    except (Denied, Refused) as no:
        return _leave(world, data, cures.failed(world, data, REPLUG, f"no VM can be kept from starting: {no}", [look]))
    after = _seen(world, data)
    if after is None or after.users or after.in_flight:
        return _leave(world, data, Wait(f"{look.name} is in use after all", at_most=proof.POLL))
    data["closed"]["next"] = "unplug"
    return Wait(f"{look.name} is unplugged next", at_most=AT_ONCE)


def _unplug(world: World, data: Data, look: PortLook) -> Outcome:
    """Take the VFs down; xapi refuses where somebody came to use one, and is asked nothing else from here on than to end what was begun."""
    closed, what = data["closed"], f"unplugging {look.name}"
    try:
        waiting = carried_out(world, data, what, lambda: world.pool.begin_unplug(closed["pif"]), lambda: not _is_plugged(world, data))
    except LockedOut:
        raise
    except (Busy, Refused, Denied) as refused:
        if not _is_plugged(world, data):
            raise RetryLater(f"{what}: {refused}") from refused
        if isinstance(refused, Busy):
            return _leave(world, data, Wait(f"{look.name} is in use after all: {refused}", at_most=proof.POLL))
        return _leave(world, data, cures.failed(world, data, REPLUG, f"the pool does not unplug {look.name}: {refused}", [look]))
    if waiting:
        return waiting
    closed["next"] = "plug"
    return Wait(f"{look.name} is unplugged", at_most=AT_ONCE)


def _plug_and_let_in(world: World, data: Data, look: PortLook) -> Outcome:
    """Make the VFs anew, and let VMs start again."""
    waiting = _plug(world, data)
    if waiting:
        return waiting
    data["replugged"] = [*data.get("replugged", ()), look.port]
    return _leave(world, data, cures.acted(world, data, REPLUG, f"{look.name} was plugged anew: its VFs are new"))


def _leave(world: World, data: Data, outcome: Outcome) -> Outcome:
    """Let VMs start again; nothing is begun any more."""
    _unblock(world, data)
    del data["closed"]
    return outcome


def _plug(world: World, data: Data) -> Wait | None:
    closed = data["closed"]
    what = f"plugging {closed['name']}"
    return carried_out(world, data, what, lambda: world.pool.begin_plug(closed["pif"]), lambda: _is_plugged(world, data))


def _is_plugged(world: World, data: Data) -> bool:
    look = _seen(world, data)
    return look is not None and look.attached


def _seen(world: World, data: Data) -> PortLook | None:
    return next((look for look in world.pool.look_at_ports() if look.port == data["closed"]["port"]), None)


def _block(world: World, vm: str, reason: str) -> None:
    try:
        world.pool.block(vm, STARTS, reason)
    except Gone:  # it was deleted: then it starts nowhere
        return


def _unblock(world: World, data: Data) -> None:
    """Every VM is tried, also when one fails; the first failure is the step's, which is then tried again."""
    failures = []
    for vm in data["closed"]["vms"]:
        try:
            world.pool.unblock(vm, data["closed"]["reason"])
        except Gone:  # it was deleted, and the block with it
            continue
        except Exception as error:  # noqa: BLE001 - raised below, when the others had their turn
            failures.append(error)
    if failures:
        raise failures[0]
