"""The stages of a host before its reboot: noted, barred, emptied, asked to reboot."""

import json
from collections.abc import Callable

from workflows import booting, guests
from workflows.booting import Memo
from workflows.guests import AT_A_TIME, HALTED, RUNNING, Guest
from workflows.objects import Host
from workflows.outcome import Need, Outcome, Wait
from workflows.ports import Busy, Gone, PoolError, Refused, Transient, Unknown
from workflows.tasks import Failed, Pending
from workflows.trying import AT_ONCE, SOON, first
from workflows.world import World


def survey(world: World, memo: Memo) -> Outcome | None:
    """Note its VMs, its VFs and its boot."""
    host = world.pool.host(memo["uuid"])
    known = {guest["vm"] for guest in memo["guests"]}
    found = [guest for guest in guests.survey(world.pool, host, world.policy.reboot) if guest["vm"] not in known]
    trouble = _in_the_way(host, memo, found)
    if trouble and "booted" in memo:
        memo["turned_back"] = ", ".join(trouble)
        return Wait(f"{host.name} is not rebooted: {memo['turned_back']}", at_most=AT_ONCE)
    if trouble:
        memo["over"] = True
        return Wait(f"{host.name} is not rebooted now: {', '.join(trouble)}", at_most=SOON * 6)
    needed = {f"vm:{guest['vm']}" for guest in found} - world.held
    if needed:
        return Need(tuple(sorted(needed)))
    memo["guests"] = [*memo["guests"], *({**guest, "turn": turn} for turn, guest in enumerate(found))]
    memo.setdefault("was_enabled", host.enabled)
    memo.setdefault("booted", [host.boot_time, host.agent_start_time])
    memo.setdefault("ports", [nic.sriov for nic in booting.nics(world, memo) if nic.attached or nic.requires_reboot])
    if "waking" not in memo:
        memo["waking"] = guests.started_by_the_boot(world.pool, known)
    return None


def _in_the_way(host: Host, memo: Memo, found: list[Guest]) -> list[str]:
    """Why it is not to be rebooted as it stands."""
    said = [f"{guest['name']} is paused" for guest in found if guest["paused"]]
    if not host.live:
        said.append("it went away by itself")
    if not host.enabled and host.resident_vms and "booted" not in memo:
        said.append("it is disabled by somebody, and VMs run on it")
    return said


def bar(world: World, memo: Memo) -> Outcome | None:
    """Let no VM start there any more."""
    mark = {"run": str(world.run_id), "since": world.now.isoformat(), "was_enabled": memo["was_enabled"]}
    world.pool.note_host(memo["uuid"], booting.AT_WORK, json.dumps(mark))
    for guest in memo["waking"]:
        try:
            world.pool.block(guest["vm"], guests.STARTS, booting.reason(world))
        except Gone:
            continue
    if world.pool.host(memo["uuid"]).enabled:
        world.pool.disable_host(memo["uuid"])
    return None


def empty(world: World, memo: Memo) -> Outcome | None:
    """Move what can move, shut down what cannot, and start that elsewhere where there is room."""
    moving = [guest for guest in memo["guests"] if guest["how"] == "move" and guest["state"] == RUNNING]
    if moving:
        return _each(memo, moving, lambda guest: guests.move(world, guest, memo["uuid"])) or _noted(memo, "moved")
    stopping = [guest for guest in memo["guests"] if guest["how"] == "stop" and guest["state"] == RUNNING]
    last = [guest for guest in stopping if guest["rank"] == max(one["rank"] for one in stopping)]
    if last:
        run_id = str(world.run_id)
        return _each(memo, last, lambda guest: guests.stop(world, guest, memo["uuid"], run_id)) or _noted(memo, "shut down")
    homeless = [guest for guest in memo["guests"] if guest["state"] == HALTED and not guest.get("waits")]
    return _rehome(world, homeless) if homeless else None


def _each(memo: Memo, chosen: list[Guest], act: Callable[[Guest], Wait | PoolError | None]) -> Wait | None:
    """Some at a time; the first that refuses turns the host back."""
    waits = []
    for guest in chosen[:AT_A_TIME]:
        came = act(guest)
        if isinstance(came, Gone):
            came = Wait(f"{guest['name']} is looked for", at_most=SOON)
        if isinstance(came, PoolError):
            memo["turned_back"] = f"{guest['name']}: {came}"
            return Wait(f"{memo['name']} is not rebooted: {memo['turned_back']}", at_most=AT_ONCE)
        if came is not None:
            waits.append(came)
    return first(waits) if waits else None


def _noted(memo: Memo, what: str) -> Wait:
    return Wait(f"{memo['name']}: {what}", at_most=AT_ONCE)


def _rehome(world: World, homeless: list[Guest]) -> Wait | None:
    """Start them on other hosts; one for which there is no room waits until this host is back."""
    waits = []
    for guest in sorted(homeless, key=lambda one: int(one["rank"]))[:AT_A_TIME]:
        came = guests.start(world, guest, None)
        if isinstance(came, PoolError):
            guest["waits"] = str(came)
            guest.pop("task", None)
        elif came is not None:
            waits.append(came)
    return first(waits) if waits else Wait("started elsewhere where there was room", at_most=AT_ONCE)


def reboot(world: World, memo: Memo) -> Outcome | None:
    """Reboot it."""
    host = world.pool.host(memo["uuid"])
    if memo.get("asked") or booting.has_gone(host, memo):
        memo["asked"] = True
        return None
    if "task" in memo:
        return _asked(world, memo)
    if host.resident_vms:
        memo["stage"] = survey.__name__
        return Wait(f"{host.name} is not empty: somebody came", at_most=AT_ONCE)
    if "going" not in memo:
        memo["going"] = world.now.isoformat()
        return Wait(f"{host.name} is empty, and reboots now", at_most=AT_ONCE)
    try:
        memo["task"] = world.pool.begin_reboot(memo["uuid"])
    except Refused as error:
        memo["turned_back"] = str(error)
        return Wait(f"{host.name} does not reboot: {error}", at_most=AT_ONCE)
    return Wait(f"{host.name} was asked to reboot", at_most=AT_ONCE)


def _asked(world: World, memo: Memo) -> Wait | None:
    """How the call ended: once it was heard it is never made again."""
    state = world.pool.task(memo["task"])
    if isinstance(state, Pending):
        return Wait(f"{memo['name']} is asked to reboot", at_most=SOON)
    del memo["task"]
    if not isinstance(state, Failed):
        memo["asked"] = True
        return None
    if not isinstance(state.error, Transient | Busy | Unknown):
        memo["turned_back"] = str(state.error)
    return Wait(f"{memo['name']} does not reboot: {state.error}", at_most=SOON)
