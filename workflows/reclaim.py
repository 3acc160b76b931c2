"""Get the VFs of a VM that is gone back, or those that a port has lost: settle, forget our traces, prove it by the arithmetic.

VFs that are lost are got back by the cures (`workflows/cures.py`), mildest first; the arithmetic judges each of them. The run ends
wherever the numbers add up.
"""

from datetime import datetime, timedelta
from typing import Any

from plugins.values import VFLeaked
from workflows import accounting, cures, proof, replug, rolling
from workflows.accounts import PortAccount
from workflows.outcome import DONE, Done, Finish, Outcome, Request, Stuck, Wait
from workflows.policy import ReclaimPolicy
from workflows.ports import PortLook
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "reclaim-vfs"


def request_for_port(pool: str, port: str, name: str) -> Request:
    """The run that accounts for a port's VFs without a VM having been deleted."""
    return Request(NAME, pool, f"port:{port}", f"port {name}", {"ports": [port]})


def settle(world: World, data: Data) -> Outcome:
    """Wait for the grace period, and until no start, migration or boot is in flight on the ports concerned."""
    vm = data.get("vm")
    if vm and world.pool.vm_exists(vm):
        return Finish("the VM is there again (restored or imported with its uuid): nothing was forgotten, nothing was touched")
    begun = proof.since_when(world, data, "settling_since", data.get("seen_at"))
    grace_ends = begun + world.policy.reclaim.grace
    if vm and world.now < grace_ends:
        return Wait(f"grace period until {grace_ends:%H:%M:%S} UTC", at_most=grace_ends - world.now)
    return proof.motion(world, data, proof.concerned(world, data)) or DONE


def forget_our_traces(world: World, data: Data) -> Outcome:
    """Forget what we keep of the VM: its VIFs and what was promised to it."""
    if not data.get("vm"):
        return Done("no VM is concerned")
    if "forget" not in world.policy.reclaim.allow:
        return Done("to forget what was kept of it is not allowed")
    forgotten = world.ledger.forget_vm(data["vm"])
    return Done("forgot " + ", ".join(forgotten) if forgotten else "nothing else was kept of it")


def prove_free(world: World, data: Data) -> Outcome:
    """Look until the numbers of every port concerned add up, or until enough looks agree that VFs are lost."""
    cures.begin_anew(data)
    looks = proof.concerned(world, data)
    world.ledger.let_go(world.run_id)
    moving = proof.motion(world, data, looks)
    if moving:
        return moving
    accounts = [(look, world.ledger.learn(look)) for look in looks]
    short = [(look, account) for look, account in accounts if accounting.missing(look, account) > account.leaked]
    if short:
        return _look_again_or_hold(world, data, short)
    data["looks"] = {}
    return proof.proven(world, data, accounts)


def let_go(world: World, _data: Data) -> Outcome:
    """Hold no VF as leaked any more: somebody gave the run up."""
    world.ledger.let_go(world.run_id)
    return DONE


def tell_somebody(world: World, data: Data) -> Outcome:
    """Look once more: what no cure got back needs a person, who is given the evidence."""
    found = proof.lost(world, data)
    if not isinstance(found, list):
        return found
    tried = [f"{cure['cure']}: {cure['came_to']}" for cure in data["cures"]]
    looks = f"neither free nor used by anybody, in {world.policy.reclaim.looks} looks"
    return Stuck(
        "; ".join([f"leaked VFs: {proof.in_words(found)}: {looks}", *tried]),
        next_command=f"vfo run {world.run_id} retry",
        evidence={"held": {one.look.name: one.count for one in found}, "looks": data["looks"], "cures": data["cures"]},
        retry_at=prove_free.__name__,
    )


def _look_again_or_hold(world: World, data: Data, short: list[tuple[PortLook, PortAccount]]) -> Outcome:
    """VFs are missing that no other run holds: a look more, or, when enough looks agree, keep them as leaked."""
    looks: dict[str, list[dict[str, Any]]] = {look.port: [*data.get("looks", {}).get(look.port, ())] for look, _ in short}
    pause = _pause(world.policy.reclaim)
    for look, account in short:
        seen = looks[look.port]
        if not seen or not timedelta() <= world.now - datetime.fromisoformat(seen[-1]["at"]) < pause or seen[-1]["epoch"] != look.epoch:
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
    held = {}
    for look in short:
        leaked = min(figures["missing"] for figures in data["looks"][look.port])
        count = world.ledger.hold_leaks(look.port, leaked, world.run_id)
        if count:
            held[look.name] = count
            evidence = {"looks": data["looks"][look.port]}
            world.announce(VFLeaked(world.run_id, world.pool.name, look.name, count, evidence, world.now))
    if not held:
        data["looks"] = {}
        return Wait("the missing VFs are held by other runs: one more look", at_most=timedelta(milliseconds=100))
    said = ", ".join(f"{count} of {name}" for name, count in held.items())
    return Done(f"leaked VFs: {said}: neither free nor used by anybody, in {world.policy.reclaim.looks} looks")


RECLAIM = Workflow(
    NAME,
    "Get the VFs of a VM that is gone back, or those that a port has lost",
    (
        Step(settle, timeout=None),
        Step(forget_our_traces),
        Step(prove_free, undo=let_go, timeout=None),
        Step(cures.reset_holders, timeout=None),
        Step(replug.make_vfs_anew, undo=replug.open_again, timeout=None),
        Step(cures.restart_toolstack, timeout=None),
        Step(cures.reboot_host, undo=rolling.put_back, timeout=None),
        Step(tell_somebody, timeout=None),
    ),
)
