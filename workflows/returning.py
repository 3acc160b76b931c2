"""The stages of a host from its reboot on: back, in service, with its VFs, its VMs started again, and our marks taken away."""

import json

from workflows import booting, guests, promised
from workflows.booting import Memo
from workflows.guests import AT_A_TIME, FAILED, HALTED, LOST, RUNNING, Guest
from workflows.outcome import Outcome, Stuck, Wait, wake_on_object
from workflows.ports import Gone, PoolError
from workflows.trying import AT_ONCE, SOON, first
from workflows.world import World


def come_back(world: World, memo: Memo) -> Outcome | None:
    """Wait until it is really back: live, booted anew, its toolstack started anew."""
    host = world.pool.host(memo["uuid"])
    rebooted = memo.get("asked") or ("going" in memo and ("task" in memo or booting.has_gone(host, memo)))
    goes = bool(booting.GOING.intersection(host.current_operations))
    if host.live and not goes and (not rebooted or booting.booted_anew(host, memo)):
        return None
    memo["asked"] = memo.get("asked") or bool(rebooted)
    since = booting.since(world, memo, "away_since")
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
    if not missing or memo.get("by_will") or world.now - booting.since(world, memo, "no_vfs_since") >= world.policy.reboot.vfs_within:
        return None
    return Wait(f"{', '.join(missing)}: no VFs yet", at_most=SOON)


def _missing(world: World, memo: Memo) -> list[str]:
    """The ports, by name, that should have VFs and have none."""
    with_vfs = {look.port for look in world.pool.look_at_ports() if look.remaining + len(look.users) > 0}
    wanted = [nic for nic in booting.nics(world, memo) if nic.sriov in memo.get("ports", ())]
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
    if world.now - booting.since(world, guest, "no_start_since") < world.policy.reboot.vfs_within:
        return Wait(f"{guest['name']} does not start yet: {came}", at_most=SOON)
    guest.update(state=FAILED, why=str(came))
    return None


def tidy(world: World, memo: Memo) -> Outcome | None:
    """Take away what we left, and say what is not as it was."""
    for guest in memo.get("waking", ()):
        try:
            world.pool.unblock(guest["vm"], booting.reason(world))
        except Gone:
            continue
    for guest in memo["guests"]:
        if guest["state"] != FAILED:
            promised.let_go(world, guest["vm"], guest.get("taken_from"))
    if not memo.get("ejected"):
        world.pool.note_host(memo["uuid"], booting.AT_WORK, None)
        if memo.get("asked"):
            world.pool.note_host(memo["uuid"], booting.IN_VAIN, _in_vain(world, memo))
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
