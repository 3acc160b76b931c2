"""One host: emptied, rebooted, back with its VFs, its VMs started again. Stage by stage; each is recorded before the next begins.

Every stage looks before it acts and may run twice: the process may die anywhere, and so may the coordinator. A stage gives None when what
it is for is so. What goes wrong before the reboot turns the host back into service; what goes wrong after it never reboots it again.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from workflows import guests
from workflows.guests import AT_A_TIME, FAILED, HALTED, LOST, RUNNING, Guest
from workflows.objects import NIC, Host
from workflows.outcome import Need, Outcome, Stuck, Wait, wake_on_object
from workflows.ports import Busy, Gone, PoolError, Refused, Transient, Unknown
from workflows.tasks import Failed, Pending
from workflows.trying import AT_ONCE, SOON, first
from workflows.world import World

AT_WORK = "vfo:reboot"
IN_VAIN = "vfo:rebooted-in-vain"
GOING = frozenset({"shutdown", "reboot"})

Memo = dict[str, Any]


def fresh(host: Host) -> Memo:
    """What is known of a host whose turn it is."""
    return {"uuid": host.uuid, "name": host.name, "stage": STAGES[0].__name__, "guests": [], "guarded": []}


def lost(uuid: str, name: str, host: Host | None, waiting: list[Guest]) -> Memo:
    """What is known of a host whose run was lost, by its mark: from there it is brought back. *host* None: it is not in the pool."""
    memo: Memo = {
        "uuid": uuid,
        "name": name,
        "stage": come_back.__name__,
        "guests": waiting,
        "turned_back": "its run was lost",
        "by_will": True,
    }
    if host is None:
        return {**memo, "ejected": True, "stage": start_again.__name__}
    return {**memo, "was_enabled": _mark(host).get("was_enabled", False)}


def run_at(host: Host) -> str:
    """The run that has the host at work, by the mark on it; "" when none has."""
    return str(_mark(host).get("run", ""))


def _mark(host: Host) -> dict[str, Any]:
    try:
        found = json.loads(host.other_config.get(AT_WORK, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def turn_back(memo: Memo) -> None:
    """The run is given up: it is not rebooted, if that has not begun; from here on the stages bring it back."""
    memo["turned_back"] = memo.get("turned_back") or "given up"
    memo["by_will"] = True


def go_on(world: World, memo: Memo) -> Outcome | None:
    """The stage that the host is at; None when the last one is over. That a stage is over is recorded before the next one begins."""
    names = [stage.__name__ for stage in STAGES]
    position = names.index(memo["stage"])
    if memo.get("turned_back") and position < names.index("come_back"):
        position = names.index("come_back")
        memo["stage"] = names[position]
        return Wait(f"{memo['name']} is brought back: {memo['turned_back']}", at_most=AT_ONCE)
    try:
        outcome = STAGES[position](world, memo)
    except Gone:
        outcome = _ejected(world, memo)
    if outcome is not None:
        return outcome
    if position + 1 == len(names):
        return None
    memo["stage"] = names[position + 1]
    summary = (STAGES[position + 1].__doc__ or "").splitlines()[0].rstrip(".")
    return Wait(f"{memo['name']}: {summary[0].lower()}{summary[1:]}", at_most=AT_ONCE)


def _ejected(world: World, memo: Memo) -> Outcome:
    """A host that is not in the pool any more does not come back: what waits for it starts elsewhere. Raises `Gone` when it is there."""
    if any(host.uuid == memo["uuid"] for host in world.pool.hosts()) or memo.get("ejected"):
        raise Gone("HANDLE_INVALID", (memo["uuid"],))
    memo["ejected"] = True
    memo["stage"] = start_again.__name__
    return Wait(f"{memo['name']} is not in the pool any more", at_most=AT_ONCE)


# -- before the reboot ------------------------------------------------------------------------------------------------------


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
    memo.setdefault("ports", [nic.sriov for nic in _nics(world, memo) if nic.attached or nic.requires_reboot])
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
    world.pool.note_host(memo["uuid"], AT_WORK, json.dumps(mark))
    for guest in memo["waking"]:
        try:
            world.pool.block(guest["vm"], guests.STARTS, _reason(world))
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
    if memo.get("asked") or _has_gone(host, memo):
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


def _has_gone(host: Host, memo: Memo) -> bool:
    """Whether it goes down, is down, or has come back: by its own boot time, never by ours."""
    return not host.live or bool(GOING.intersection(host.current_operations)) or _booted_anew(host, memo)


def _booted_anew(host: Host, memo: Memo) -> bool:
    boot, agent = memo["booted"]
    return host.agent_start_time > agent and (host.boot_time > boot or not host.boot_time)


# -- and back ----------------------------------------------------------------------------------------------------------------


def come_back(world: World, memo: Memo) -> Outcome | None:
    """Wait until it is really back: live, booted anew, its toolstack started anew."""
    host = world.pool.host(memo["uuid"])
    rebooted = memo.get("asked") or ("going" in memo and ("task" in memo or _has_gone(host, memo)))
    goes = bool(GOING.intersection(host.current_operations))
    if host.live and not goes and (not rebooted or _booted_anew(host, memo)):
        return None
    memo["asked"] = memo.get("asked") or bool(rebooted)
    since = _since(world, memo, "away_since")
    wait = world.policy.reboot.back_within
    if world.now - since < wait:
        on = wake_on_object(world.pool.name, "host", memo["uuid"])
        return Wait(f"{host.name} reboots", on=on, at_most=min(SOON, wait))
    del memo["away_since"]
    halted = [guest["name"] for guest in memo["guests"] if guest["state"] == HALTED]
    left = f"; these VMs wait for it: {', '.join(halted)}" if halted else ""
    reason = f"{host.name} did not come back within {wait}: look at its console{left}"
    return Stuck(reason, f"vfo run {world.run_id} retry", {"host": host.name, "halted": halted})


def open_again(world: World, memo: Memo) -> Outcome | None:
    """Let VMs start there again."""
    if memo.get("was_enabled") and not world.pool.host(memo["uuid"]).enabled:
        world.pool.enable_host(memo["uuid"])
        if not world.pool.host(memo["uuid"]).enabled:
            return Wait(f"{memo['name']} is not enabled yet", at_most=SOON)
    return None


def see_vfs(world: World, memo: Memo) -> Outcome | None:
    """Wait until its VFs are there."""
    memo["missing"] = missing = _missing(world, memo) if memo.get("asked") else []
    if not missing or memo.get("by_will") or world.now - _since(world, memo, "no_vfs_since") >= world.policy.reboot.vfs_within:
        return None
    return Wait(f"{', '.join(missing)}: no VFs yet", at_most=SOON)


def _missing(world: World, memo: Memo) -> list[str]:
    """The ports, by name, that should have VFs and have none."""
    with_vfs = {look.port for look in world.pool.look_at_ports() if look.remaining + len(look.users) > 0}
    wanted = [nic for nic in _nics(world, memo) if nic.sriov in memo.get("ports", ())]
    bare = [nic for nic in wanted if nic.requires_reboot or not nic.attached or nic.sriov not in with_vfs]
    return [f"{nic.host_name}/{nic.device}" for nic in bare]


def start_again(world: World, memo: Memo) -> Outcome | None:
    """Start the VMs that wait for it, in the order that the policy says."""
    waiting = [guest for guest in memo["guests"] if guest["how"] == "stop" and guest["state"] in (RUNNING, HALTED)]
    now = [guest for guest in waiting if guest["rank"] == min(one["rank"] for one in waiting)]
    waits = [wait for guest in now[:AT_A_TIME] if (wait := _started(world, memo, guest))]
    if waits:
        return first(waits)
    return Wait(f"{memo['name']}: its VMs start", at_most=AT_ONCE) if waiting else None


def _started(world: World, memo: Memo, guest: Guest) -> Wait | None:
    """One VM: every one is tried, whatever becomes of the others."""
    came = guests.start(world, guest, memo["uuid"])
    if not isinstance(came, PoolError):
        return came
    guest.pop("task", None)
    if world.now - _since(world, guest, "no_start_since") < world.policy.reboot.vfs_within:
        return Wait(f"{guest['name']} does not start yet: {came}", at_most=SOON)
    guest.update(state=FAILED, why=str(came))
    return None


def tidy(world: World, memo: Memo) -> Outcome | None:
    """Take away what we left, and say what is not as it was."""
    for guest in memo.get("waking", ()):
        try:
            world.pool.unblock(guest["vm"], _reason(world))
        except Gone:
            continue
    for guest in memo["guests"]:
        if guest["state"] != FAILED:
            world.ledger.keep(guest["vm"])
    if not memo.get("ejected"):
        world.pool.note_host(memo["uuid"], AT_WORK, None)
        if memo.get("asked"):
            world.pool.note_host(memo["uuid"], IN_VAIN, _in_vain(world, memo))
    return _what_is_not_so(world, memo)


def _in_vain(world: World, memo: Memo) -> str | None:
    """What is left on a host that came back without VFs, so that nobody's run reboots it again by itself; None when all are there."""
    if not memo.get("missing"):
        return None
    return json.dumps({"run": str(world.run_id), "at": f"{world.now:%Y-%m-%d %H:%M} UTC", "ports": memo["missing"]})


def _what_is_not_so(world: World, memo: Memo) -> Stuck | None:
    """Stuck where VFs or VMs are missing after the boot, or where the host was not rebooted; None when all is well, or was given up."""
    failed = {guest["name"]: guest["why"] for guest in memo["guests"] if guest["state"] == FAILED}
    missing = [] if memo.get("by_will") else memo.get("missing", [])
    bare = _without_vfs(world, memo)
    trouble = [f"{memo['name']} came back without VFs on {', '.join(missing)}"] if missing else []
    trouble += [f"{name} does not start: {why}" for name, why in failed.items()]
    trouble += [f"{name} runs without its VF" for name in bare]
    command = f"vfo run {world.run_id} retry"
    if trouble:
        _once_more(memo)
        return Stuck("; ".join(trouble), command, {"host": memo["name"], "missing": missing, "failed": failed, "without_vf": bare})
    memo["over"] = bool(memo.get("turned_back") or memo.get("ejected"))
    if memo["over"] and not memo.get("by_will"):
        why = memo.get("turned_back") or "it is not in the pool any more"
        ending = "" if memo.get("ejected") else ", and is in service again"
        return Stuck(f"{memo['name']} was not rebooted{ending}: {why}", command, {"host": memo["name"], "why": why})
    return None


def _once_more(memo: Memo) -> None:
    """When the run is taken up again everything after the boot is looked at again; the host is not rebooted again."""
    memo["stage"] = open_again.__name__
    memo.pop("no_vfs_since", None)
    for guest in memo["guests"]:
        guest.pop("no_start_since", None)
        if guest["state"] == FAILED:
            guest["state"] = HALTED


def _without_vfs(world: World, memo: Memo) -> list[str]:
    """VMs that we started and that hold fewer VFs than they have SR-IOV VIFs."""
    bare = []
    for guest in memo["guests"]:
        if guest["how"] == "stop" and guest["vifs"] and guest["state"] not in (LOST, FAILED, RUNNING):
            vm = guests.look(world.pool, guest)
            if vm is not None and vm.power_state == "Running" and len([one for one in vm.held if not one.gone]) < len(vm.sriov_vifs):
                bare.append(vm.name)
    return bare


def _nics(world: World, memo: Memo) -> list[NIC]:
    return [nic for nic in world.pool.nics() if nic.host == memo["uuid"] and nic.sriov is not None]


def _since(world: World, memo: Memo, key: str) -> datetime:
    return datetime.fromisoformat(memo.setdefault(key, world.now.isoformat()))


def _reason(world: World) -> str:
    return f"vfo: a host reboots (run {world.run_id})"


STAGES: tuple[Callable[[World, Memo], Outcome | None], ...] = (
    survey, bar, empty, reboot, come_back, open_again, see_vfs, start_again, tidy,
)  # fmt: skip
