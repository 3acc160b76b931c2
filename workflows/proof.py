"""Looking at the ports that a run of reclaim-vfs is about: whether a look can be trusted, what it proves, and what is lost."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from plugins.values import VFFreed
from workflows import accounting
from workflows.accounts import PortAccount
from workflows.outcome import Finish, Outcome, Stuck, Wait
from workflows.ports import PortLook
from workflows.workflow import Data
from workflows.world import World

POLL = timedelta(seconds=2)
NOTHING_THERE = "none of its ports has VFs any more: there is nothing to free"

Accounts = list[tuple[PortLook, PortAccount]]


@dataclass(frozen=True, slots=True)
class Lost:
    """VFs of a port that are lost, *count* of them held by the run that looks; *promised*: how many of the free ones are promised."""

    look: PortLook
    promised: int
    count: int

    def __str__(self) -> str:
        """As a person reads it."""
        return f"{self.count} of {self.look.name}"


def concerned(world: World, data: Data) -> list[PortLook]:
    """A fresh look at the ports the VM last held VFs of; when that is not known, at every port of its VIFs' networks, or at every port.

    A port whose logical PIF is not attached has no VFs, and is left out.
    """
    looks = [look for look in world.pool.look_at_ports() if look.attached]
    if data.get("ports"):
        return [look for look in looks if look.port in data["ports"]]
    networks = {vif["network"] for vif in data.get("vifs", ())}
    return [look for look in looks if networks.intersection(look.networks)] if networks else looks


def motion(world: World, data: Data, looks: list[PortLook]) -> Outcome | None:
    """Wait while a look cannot be trusted; after the policy's patience a person is told; None when every look can."""
    reasons = [f"{look.name}: {reason}" for look in looks for reason in look.in_flight]
    if not reasons:
        data.pop("in_motion_since", None)
        return None
    since = since_when(world, data, "in_motion_since", None)
    if world.now - since < world.policy.reclaim.settle:
        return Wait("; ".join(reasons), at_most=POLL)
    del data["in_motion_since"]
    return Stuck(
        f"no look at the ports could be trusted for {world.policy.reclaim.settle}: {'; '.join(reasons)}",
        next_command=f"vfo run {world.run_id} retry",
        evidence={"in_flight": reasons, "since": since.isoformat()},
    )


def lost(world: World, data: Data) -> Outcome | list[Lost]:
    """What is still lost at a fresh look: the run holds exactly that afterwards. The run's end when nothing is; Wait while in motion."""
    looks = concerned(world, data)
    moving = motion(world, data, looks)
    if moving:
        return moving
    accounts = [(look, world.ledger.learn(look)) for look in looks]
    found = [Lost(look, account.promised, _hold(world, look, account)) for look, account in accounts]
    still = [one for one in found if one.count]
    return still or proven(world, data, [(look, world.ledger.account(look)) for look in looks])


def _hold(world: World, look: PortLook, account: PortAccount) -> int:
    return world.ledger.hold_leaks(look.port, accounting.missing(look, account), world.run_id)


def proven(world: World, data: Data, accounts: Accounts) -> Finish:
    """The numbers of every port add up: the run ends here, with the proof. After a deletion the observers are told, once for each port."""
    world.ledger.let_go(world.run_id)
    data["proof"] = [accounting.figures(look, account) for look, account in accounts]
    for look, account in accounts if data.get("vm") else ():
        world.announce(
            VFFreed(
                run_id=world.run_id,
                pool=world.pool.name,
                vm=data["vm"],
                vm_name=data.get("vm_name", ""),
                port=look.name,
                free=look.remaining,
                total=account.total,
                at=world.now,
            )
        )
    words = "; ".join(accounting.in_words(*pair) for pair in accounts) or NOTHING_THERE
    done = [cure["came_to"] for cure in data.get("cures", ()) if cure.get("acted")]
    return Finish(f"proven: {words}" + (f" ({done[-1]})" if done else ""))


def since_when(world: World, data: Data, key: str, known: str | None) -> datetime:
    """The moment noted under *key*; noted now (or as *known*) the first time, and anew when the clock was set back behind it."""
    noted = datetime.fromisoformat(data.setdefault(key, known or world.now.isoformat()))
    if noted > world.now:
        data[key] = world.now.isoformat()
    return min(noted, world.now)


def in_words(lost: list[Lost]) -> str:
    """What is lost, for a person."""
    return ", ".join(map(str, lost))


def evidence(world: World, looks: list[PortLook]) -> list[dict[str, Any]]:
    """The looks as figures."""
    return [accounting.figures(look, world.ledger.account(look)) for look in looks]
