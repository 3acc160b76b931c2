"""Bring SR-IOV up on one port, from whatever it was left in: made, plugged, or destroyed and made anew. What was tried is noted."""

from collections.abc import Callable

from plugins.errors import RetryLater
from workflows.outcome import Wait, wake_on_task
from workflows.ports import Busy, Gone, LockedOut, PoolError, Refused, Transient, Unknown
from workflows.sriov import State, Target
from workflows.tasks import Failed, Pending
from workflows.trying import AT_ONCE, SOON, Memo, attempt
from workflows.world import World

CREATE, PLUG, DESTROY = "network_sriov.create", "PIF.plug", "network_sriov.destroy"
OFTEN = {CREATE: 2, PLUG: 2, DESTROY: 2}
"""How often each is tried in all: a create that fails leaves a half-made record, which is plugged, then destroyed and made anew once."""


def bring_up(world: World, target: Target, network: str, memo: Memo) -> Wait | str | None:
    """One move towards a port that is up, or waits for a reboot (None then); the reason, in words, when nothing is left to try."""
    if "task" in memo:
        return _waited(world, target, memo)
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


def _waited(world: World, target: Target, memo: Memo) -> Wait:
    state = world.pool.task(memo["task"])
    if isinstance(state, Pending):
        return Wait(f"{target.name}: {(memo.get('tried') or ['it'])[-1]} is at work", on=wake_on_task(world.pool.name, memo["task"]))
    del memo["task"]
    if isinstance(state, Failed):
        tried = memo["tried"][-1]
        memo["errors"] = [*memo.get("errors", ()), f"{tried}: {in_words(state.error)}"]
        if isinstance(state.error, Transient | Busy | Unknown):
            memo["tried"].pop()
            return Wait(f"{target.name}: {tried}: {state.error}", at_most=SOON)
    return Wait(f"{target.name} is looked at again", at_most=AT_ONCE)


def in_words(error: PoolError) -> str:
    """The error without references to objects, which mean nothing to people."""
    return " ".join((error.code, *(detail for detail in error.details if not detail.startswith("OpaqueRef:"))))


def take_down(world: World, target: Target, memo: Memo) -> Wait | PoolError | None:
    """Destroy the port's network_sriov; None when there is none. An error when a VM uses it, or when it is refused."""
    sriov = target.nic.sriov
    if sriov is None:
        memo.clear()
        return None
    users = [user.vm_name for look in world.pool.look_at_ports() if look.port == sriov for user in look.users]
    if users and "task" not in memo:
        return Refused("VIF_IN_USE", (sriov,), f"in use by {', '.join(dict.fromkeys(users))}")

    def is_gone() -> bool:
        return not any(nic.sriov == sriov for nic in world.pool.nics())

    return attempt(world, memo, f"{target.name}: {DESTROY}", lambda: world.pool.begin_disable(sriov), is_gone)
