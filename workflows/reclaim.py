"""Get the VFs of a VM that is gone back, or those that a port has lost: settle, forget our traces, prove it by the arithmetic, say so."""

from datetime import datetime, timedelta
from typing import Any

from plugins.values import VFFreed, VFLeaked
from workflows import accounting
from workflows.outcome import DONE, Done, Finish, Outcome, Request, Stuck, Wait
from workflows.policy import ReclaimPolicy
from workflows.ports import PortAccount, PortLook
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "reclaim-vfs"
POLL = timedelta(seconds=2)
NOTHING_THERE = "none of its ports has VFs any more: there is nothing to free"


def request_for_port(pool: str, port: str, name: str) -> Request:
    """The run that accounts for a port's VFs without a VM having been deleted."""
    return Request(NAME, pool, f"port:{port}", f"port {name}", {"ports": [port]})


def settle(world: World, data: Data) -> Outcome:
    """Wait for the grace period, and until no start, migration or boot is in flight on the ports concerned."""
    vm = data.get("vm")
    if vm and world.pool.vm_exists(vm):
        return Finish("the VM is there again (restored or imported with its uuid): nothing was forgotten, nothing was touched")
    begun = _since(world, data, "settling_since", data.get("seen_at"))
    grace_ends = begun + world.policy.reclaim.grace
    if vm and world.now < grace_ends:
        return Wait(f"grace period until {grace_ends:%H:%M:%S} UTC", at_most=grace_ends - world.now)
    return _motion(world, data, _concerned(world, data)) or DONE


def forget_our_traces(world: World, data: Data) -> Outcome:
    """Forget what we keep of the VM: its VIFs and what was promised to it."""
    if not data.get("vm"):
        return Done("no VM is concerned")
    forgotten = world.ledger.forget_vm(data["vm"])
    return Done("forgot " + ", ".join(forgotten) if forgotten else "nothing else was kept of it")


def prove_free(world: World, data: Data) -> Outcome:
    """Look until the numbers of every port concerned add up, or until enough looks agree that VFs are missing."""
    looks = _concerned(world, data)
    world.ledger.let_go(world.run_id)
    moving = _motion(world, data, looks)
    if moving:
        return moving
    accounts = [(look, world.ledger.learn(look)) for look in looks]
    short = [(look, account) for look, account in accounts if accounting.missing(look, account) > account.leaked]
    if short:
        return _look_again_or_hold(world, data, short)
    data["proof"] = [accounting.figures(look, account) for look, account in accounts]
    data["looks"] = {}
    data["words"] = "; ".join(accounting.in_words(*pair) for pair in accounts) or NOTHING_THERE
    return Done(data["words"])


def let_go(world: World, _data: Data) -> Outcome:
    """Hold no VF as leaked any more: somebody gave the run up."""
    world.ledger.let_go(world.run_id)
    return DONE


def say_so(world: World, data: Data) -> Outcome:
    """Tell the observers, once for each port, that the VFs are proven free."""
    for figures in data.get("proof", ()) if data.get("vm") else ():
        world.announce(
            VFFreed(
                run_id=world.run_id,
                pool=world.pool.name,
                vm=data["vm"],
                vm_name=data.get("vm_name", ""),
                port=figures["name"],
                free=figures["remaining"],
                total=figures["total"],
                at=world.now,
            )
        )
    return Done("proven: " + data["words"])


def _concerned(world: World, data: Data) -> list[PortLook]:
    """A fresh look at the ports the VM last held VFs of; when that is not known, at every port of its VIFs' networks.

    A port whose logical PIF is not attached has no VFs, and is left out.
    """
    looks = [look for look in world.pool.look_at_ports() if look.attached]
    if data.get("ports"):
        return [look for look in looks if look.port in data["ports"]]
    networks = {vif["network"] for vif in data.get("vifs", ())}
    return [look for look in looks if look.network in networks]


def _motion(world: World, data: Data, looks: list[PortLook]) -> Outcome | None:
    """Wait while a look cannot be trusted; after the policy's patience a person is told; None when every look can."""
    reasons = [f"{look.name}: {reason}" for look in looks for reason in look.in_flight]
    if not reasons:
        data.pop("in_motion_since", None)
        return None
    since = _since(world, data, "in_motion_since", None)
    if world.now - since < world.policy.reclaim.settle:
        return Wait("; ".join(reasons), at_most=POLL)
    del data["in_motion_since"]
    return Stuck(
        f"no look at the ports could be trusted for {world.policy.reclaim.settle}: {'; '.join(reasons)}",
        next_command=f"vfo run {world.run_id} retry",
        evidence={"in_flight": reasons, "since": since.isoformat()},
    )


def _look_again_or_hold(world: World, data: Data, short: list[tuple[PortLook, PortAccount]]) -> Outcome:
    """VFs are missing that no other run holds: a look more, or, when enough looks agree, keep them as leaked."""
    looks: dict[str, list[dict[str, Any]]] = {look.port: [*data.get("looks", {}).get(look.port, ())] for look, _ in short}
    pause = _pause(world.policy.reclaim)
    for look, account in short:
        seen = looks[look.port]
        if not seen or world.now - datetime.fromisoformat(seen[-1]["at"]) >= pause or seen[-1]["epoch"] != look.epoch:
            looks[look.port] = [*(one for one in seen if one["epoch"] == look.epoch), accounting.figures(look, account)]
    data["looks"] = looks
    if any(len(seen) < world.policy.reclaim.looks for seen in looks.values()):
        return Wait("; ".join(accounting.in_words(*pair) for pair in short), at_most=max(pause, timedelta(milliseconds=100)))
    return _hold(world, data, [look for look, _ in short])


def _pause(policy: ReclaimPolicy) -> timedelta:
    """The looks are spread evenly over a grace period."""
    return policy.grace / max(1, policy.looks - 1)


def _hold(world: World, data: Data, short: list[PortLook]) -> Outcome:
    """Become the holder of the leaked VFs; when other runs hold all of them meanwhile, ours are free after all."""
    looks = data["looks"]
    data["looks"] = {}
    held = {}
    for look in short:
        leaked = min(figures["missing"] for figures in looks[look.port])
        count = world.ledger.hold_leaks(look.port, leaked, world.run_id)
        if count:
            held[look.name] = count
            evidence = {"looks": looks[look.port]}
            world.announce(VFLeaked(world.run_id, world.pool.name, look.name, count, evidence, world.now))
    if not held:
        return Wait("the missing VFs are held by other runs: one more look", at_most=timedelta(milliseconds=100))
    said = ", ".join(f"{count} of {name}" for name, count in held.items())
    return Stuck(
        f"leaked VFs: {said}: neither free nor used by anybody, in {world.policy.reclaim.looks} looks",
        next_command=f"vfo run {world.run_id} retry",
        evidence={"held": held, "looks": looks},
    )


def _since(world: World, data: Data, key: str, known: str | None) -> datetime:
    """The moment noted under *key*; noted now (or as *known*) the first time."""
    data.setdefault(key, known or world.now.isoformat())
    return datetime.fromisoformat(data[key])


RECLAIM = Workflow(
    NAME,
    "Get the VFs of a VM that is gone back, or those that a port has lost",
    (
        Step(settle, timeout=None),
        Step(forget_our_traces),
        Step(prove_free, undo=let_go, timeout=None),
        Step(say_so),
    ),
)
