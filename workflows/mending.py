"""Bring SR-IOV up on one port, from whatever it was left in: made, plugged, or destroyed and made anew. What was tried is noted."""

from collections.abc import Callable, Iterable, Mapping

from plugins.errors import RetryLater
from workflows.outcome import Wait, wake_on_task
from workflows.ports import Busy, Denied, Gone, LockedOut, PoolError, Refused, Transient, Unknown
from workflows.sriov import State, Target
from workflows.tasks import Failed, Pending
from workflows.trying import AT_ONCE, SOON, Memo, first
from workflows.world import World

CREATE, PLUG, DESTROY = "network_sriov.create", "PIF.plug", "network_sriov.destroy"
OFTEN = {CREATE: 2, PLUG: 2, DESTROY: 2}
"""How often each is tried in all: a create that fails leaves a half-made record, which is plugged, then destroyed and made anew once."""


def bring_up(world: World, target: Target, network: str, memo: Memo) -> Wait | str | None:
    """One move towards a port that is up, or waits for a reboot (None then); the reason, in words, when nothing is left to try."""
    if target.state in (State.UP, State.REBOOT):
        memo.clear()
        return None
    cure = _cure(target.state, memo.setdefault("tried", []))
    if cure is None:
        return str((memo.get("errors") or [f"it is {target.state}"])[-1])
    return _begun(world, target, memo, cure, _call(world, target, network, cure))


def _cure(state: State, tried: list[str]) -> str | None:
    """What to try next in this state; None: everything was tried.

    The way out of a half-made record is PIF.plug of the logical PIF, or to destroy it and create anew (xapi_network_sriov.ml).
    """
    ladder = {State.ABSENT: (CREATE,), State.DETACHED: (PLUG,), State.HALF_MADE: (PLUG, DESTROY)}[state]
    often = OFTEN | ({PLUG: 1} if state is State.HALF_MADE else {})
    return next((cure for cure in ladder if tried.count(cure) < often[cure]), None)


def _call(world: World, target: Target, network: str, cure: str) -> Callable[[], str]:
    nic = target.nic
    if cure == CREATE:
        return lambda: world.pool.begin_enable(nic.uuid, network)
    if cure == PLUG:
        return lambda: world.pool.begin_plug(nic.logical_PIF or "")
    return lambda: world.pool.begin_disable(nic.sriov or "")


def _begun(world: World, target: Target, memo: Memo, cure: str, begin: Callable[[], str]) -> Wait:
    """Begin it; what is refused counts as tried, what is busy does not."""
    memo["name"] = target.name
    try:
        memo["task"] = begin()
    except (RetryLater, Busy) as later:  # a create is under way, by us before a crash or by somebody else: the record may be its
        return Wait(f"{target.name}: {later}", at_most=SOON)
    except LockedOut:
        raise
    except (Refused, Gone) as error:
        memo["errors"] = [*memo.get("errors", ()), f"{cure}: {in_words(error)}"]
        memo["tried"].append(cure)
        return Wait(f"{target.name}: {cure}: {error}", at_most=AT_ONCE)
    memo["tried"].append(cure)
    return Wait(f"{target.name}: {cure}", on=wake_on_task(world.pool.name, memo["task"]))


def at_work(world: World, memos: Mapping[str, Memo]) -> Wait | None:
    """Wait while anything that was begun works, before the ports are looked at at all; what failed is noted, and on record at once."""
    waits = [wait for memo in memos.values() if "task" in memo and (wait := _waited(world, memo))]
    return first(waits) if waits else None


def _waited(world: World, memo: Memo) -> Wait | None:
    state, name = world.pool.task(memo["task"]), memo.get("name", "a port")
    what = (memo.get("tried") or ["it"])[-1]
    if isinstance(state, Pending):
        return Wait(f"{name}: {what} is at work", on=wake_on_task(world.pool.name, memo["task"]))
    del memo["task"]
    if not isinstance(state, Failed):
        return None
    memo["errors"] = [*memo.get("errors", ()), f"{what}: {in_words(state.error)}"]
    if isinstance(state.error, Transient | Busy | Unknown):
        memo["tried"] = memo.get("tried", [])[:-1]
        return Wait(f"{name}: {what}: {state.error}", at_most=SOON)
    return Wait(f"{name} is looked at again", at_most=AT_ONCE)


def in_words(error: PoolError) -> str:
    """The error without references to objects, which mean nothing to people."""
    return " ".join((error.code, *(detail for detail in error.details if not detail.startswith("OpaqueRef:"))))


def users(world: World, targets: Iterable[Target]) -> dict[str, str]:
    """Who uses the ports: network_sriov (uuid) to the names of VMs. Nothing is read where none of them has SR-IOV."""
    there = {target.nic.sriov for target in targets} - {None}
    looks = world.pool.look_at_ports() if there else ()
    return {look.port: ", ".join(dict.fromkeys(user.vm_name for user in look.users)) for look in looks if look.port in there and look.users}


def take_down(world: World, target: Target, memo: Memo, used: Mapping[str, str]) -> Wait | str | None:
    """Destroy the port's network_sriov; None when there is none. The reason when a VM uses it, as *used* says, or it was refused."""
    sriov, before = target.nic.sriov, {**memo}
    memo.clear()
    if sriov is None:
        return None
    if before.get("tried"):  # it has ended, and the port is as it was
        refused = before.get("errors", [None])[-1]
        return refused or Wait(f"{target.name}: {DESTROY} ended, and it is not so yet", at_most=SOON)
    if sriov in used:
        return f"in use by {used[sriov]}"
    memo["tried"] = []
    try:
        return _begun(world, target, memo, DESTROY, lambda: world.pool.begin_disable(sriov))
    except LockedOut:
        raise
    except Denied as error:
        return str(error)
