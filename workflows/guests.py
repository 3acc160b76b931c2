"""The VMs of a host that is to be emptied: which can move, which must stop, and how each is brought back. Notes are plain JSON."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from workflows import promised, room
from workflows.objects import VM, Host
from workflows.outcome import Wait, wake_on_object
from workflows.ports import Gone, Pool, PoolError
from workflows.trying import AT_ONCE, attempt, over
from workflows.wanted import RebootPolicy
from workflows.world import World

Guest = dict[str, Any]

AT_A_TIME = 3
LATE = timedelta(minutes=1)
RESTART = "vfo:restart"
STARTS = ("start", "start_on")
RUNNING, HALTED, ELSEWHERE, BACK, LOST, FAILED = "running", "halted", "elsewhere", "back", "gone", "failed"


def survey(pool: Pool, host: Host, policy: RebootPolicy) -> list[Guest]:
    """What is to become of each VM that is on the host: "move" or "stop", and why it must stop. Changes nothing.

    A VM that holds a VF, or any other device of the host, cannot move (VM_HAS_PCI_ATTACHED); nor can one that no other host has room
    for. (With HA on, get_vms_which_prevent_evacuation names every unprotected VM too: so only its reasons are used.)
    """
    reasons = pool.evacuation_blockers(host.uuid) if host.resident_vms else {}
    found = []
    for uuid in host.resident_vms:
        try:
            vm = pool.vm(uuid)
        except Gone:
            continue
        found.append(_guest(pool, host, vm, " ".join(reasons.get(uuid, ())), policy))
    return sorted(found, key=lambda guest: (guest["rank"], guest["name"]))


def _guest(pool: Pool, host: Host, vm: VM, reason: str, policy: RebootPolicy) -> Guest:
    why = ""
    if vm.held:
        vfs = sum(device.is_vf for device in vm.held)
        why = f"holds {vfs} VF{'s' if vfs != 1 else ''}" if vfs else "holds a device of the host"
    elif not set(pool.possible_hosts(vm.uuid)) - {host.uuid}:
        why = f"no other host can take it ({reason})" if reason else "no other host can take it"
    return {
        "vm": vm.uuid,
        "name": vm.name,
        "how": "stop" if why else "move",
        "why": why,
        "rank": policy.rank(vm.tags),
        "state": RUNNING,
        "paused": vm.power_state == "Paused",
        "vifs": wants(vm),
    }


def wants(vm: VM) -> list[dict[str, str]]:
    """Its VIFs that take a VF, as `workflows.room` is told of them."""
    return [{"network": vif.network} for vif in vm.sriov_vifs]


def in_words(pool: Pool, host: Host, policy: RebootPolicy) -> list[str]:
    """What a reboot of the host would do to its VMs, for people; empty when none is there."""
    found = survey(pool, host, policy) if host.live else []
    stop = [f"{guest['name']} ({guest['why']})" for guest in found if guest["how"] == "stop"]
    move = [guest["name"] for guest in found if guest["how"] == "move"]
    said = [f"{', '.join(stop)} must stop and start again"] if stop else []
    return [*said, *([f"{', '.join(move)} must move"] if move else [])]


def started_by_the_boot(pool: Pool, besides: Iterable[str]) -> list[Guest]:
    """Halted VMs that xapi would start when a host boots (other_config:auto_poweron), although nobody asked for it now."""
    left_out = set(besides)
    return [
        {"vm": vm.uuid, "name": vm.name}
        for vm in pool.vms()
        if vm.power_state == "Halted" and vm.other_config.get("auto_poweron") == "true" and vm.uuid not in left_out
    ]


def restart_note(vm: VM) -> dict[str, str] | None:
    """What our note says of the reboot that the VM was shut down for: *vm*, *run*, *host*; None: there is none, or it is another VM's."""
    try:
        note = json.loads(vm.other_config.get(RESTART, "{}"))
    except ValueError:
        return None
    ours = isinstance(note, dict) and note.get("vm") == vm.uuid and not vm.is_snapshot and not vm.is_template
    return {key: str(note.get(key, "")) for key in ("vm", "run", "host")} if ours else None


def look(pool: Pool, guest: Guest) -> VM | None:
    """The VM now; None, and noted so, when it is gone."""
    try:
        return pool.vm(guest["vm"])
    except Gone:
        guest["state"] = LOST
        return None


# -- away from the host ------------------------------------------------------------------------------------------------------


def move(world: World, guest: Guest, host: str) -> Wait | PoolError | None:
    """Migrate it to a host that can take it; None when it is not on the host any more."""
    vm = look(world.pool, guest)
    if vm is None or vm.resident_on != host:
        guest["state"] = LOST if vm is None else ELSEWHERE
        return None
    if "target" not in guest:
        targets = sorted(set(world.pool.possible_hosts(vm.uuid)) - {host})
        if not targets:
            return NoRoom(vm.name)
        guest["target"] = targets[guest["turn"] % len(targets)]
    since = datetime.fromisoformat(guest.setdefault("moving", world.now.isoformat()))

    def is_so() -> bool:
        return world.pool.vm(vm.uuid).resident_on != host

    came = attempt(world, guest, f"migration of {vm.name}", lambda: world.pool.begin_migrate(vm.uuid, guest["target"]), is_so)
    if came is None:
        guest["state"] = ELSEWHERE
    elif isinstance(came, Wait) and world.now - since >= world.policy.reboot.patience:
        if "task" in guest:
            world.pool.cancel_task(guest.pop("task"))
        return TooSlow(vm.name, "move", world.policy.reboot)
    return came


def stop(world: World, guest: Guest, host: str, run_id: str) -> Wait | PoolError | None:
    """Shut it down: as the policy says, cleanly, or hard when it took too long or refused; None when it is down or was moved."""
    vm = look(world.pool, guest)
    if vm is None or vm.resident_on not in (host, None) or vm.power_state == "Suspended":
        guest["state"] = LOST if vm is None else ELSEWHERE
        return None
    if vm.power_state == "Halted":  # one that somebody else halted stays so
        over(world, guest)
        guest["state"] = HALTED if "stopping" in guest else LOST
        return None
    if "stopping" not in guest and guest["vifs"]:
        room.promise(world, guest, host)  # where it is, should there be no room elsewhere: no run of ours gives its VFs away meanwhile
    if "stopping" not in guest:  # what must be known after a crash, also without our database, is written before the VM is touched
        world.pool.note(vm.uuid, RESTART, json.dumps({"vm": vm.uuid, "run": run_id, "host": host}))
        guest["stopping"] = world.now.isoformat()
        return Wait(f"{vm.name} is to shut down", at_most=AT_ONCE)
    return _shut_down(world, guest, vm)


def _shut_down(world: World, guest: Guest, vm: VM) -> Wait | PoolError | None:
    """Ask the guest; pull its plug when it does not listen and the policy says so."""
    pool, policy = world.pool, world.policy.reboot

    def halted() -> bool:
        return pool.vm(vm.uuid).power_state == "Halted"

    if guest.get("hard"):
        return attempt(world, guest, f"hard shutdown of {vm.name}", lambda: pool.begin_hard_shutdown(vm.uuid), halted)
    came = attempt(world, guest, f"shutdown of {vm.name}", lambda: pool.begin_clean_shutdown(vm.uuid), halted)
    late = world.now - datetime.fromisoformat(guest["stopping"]) >= policy.patience
    if came is None or (isinstance(came, Wait) and not late):
        return came
    error = came if isinstance(came, PoolError) else TooSlow(vm.name, "shut down", policy)
    if policy.shutdown == "clean":
        return error
    guest["hard"] = True
    guest.pop("task", None)
    return Wait(f"{vm.name} does not shut down ({error}): its plug is pulled", at_most=AT_ONCE)


class TooSlow(PoolError):
    """The guest took longer than the policy's patience."""

    def __init__(self, name: str, what: str, policy: RebootPolicy) -> None:
        super().__init__("GUEST_TOO_SLOW", (name,), f"{name} did not {what} within {policy.patience}")


# -- back again --------------------------------------------------------------------------------------------------------------


def start(world: World, guest: Guest, host: str | None) -> Wait | PoolError | None:
    """Start it, on the host where that can be, else wherever there is room; None when it runs, is gone, or was not halted by us."""
    vm = look(world.pool, guest)
    if vm is None:
        return None
    if vm.power_state != "Halted" and (late := _may_still_halt(world, guest, vm)):
        return late
    if vm.power_state != "Halted":
        world.pool.erase(vm.uuid, RESTART)
        promised.let_go(world, vm.uuid, guest.get("taken_from"))
        guest.pop("task", None)
        guest["state"] = BACK if vm.resident_on == host else ELSEWHERE
        guest["on"] = vm.resident_on
        return None
    if "stopping" not in guest:
        guest["state"] = LOST
        return None
    if "task" not in guest:
        place = _place(world, guest, host)
        if isinstance(place, NoRoom):
            return place
        guest["start_on"] = place

    def is_so() -> bool:
        return world.pool.vm(vm.uuid).power_state != "Halted"

    came = attempt(world, guest, f"start of {vm.name}", lambda: world.pool.begin_start(vm.uuid, guest["start_on"]), is_so)
    return start(world, guest, host) if came is None else came


def _place(world: World, guest: Guest, host: str | None) -> "str | NoRoom | None":
    """Where it is to start: on *host* if that can be, else where it leaves VFs that are promised to others; None: wherever xapi says."""
    possible = world.pool.possible_hosts(guest["vm"])
    if not guest["vifs"]:
        return (host if host in possible else None) if possible else NoRoom(guest["name"])
    asked = {**guest, "host": host}
    with_room = [one for one in room.hosts(world, asked) if one in possible]
    return next((one for one in with_room if room.promise(world, asked, one)), NoRoom(guest["name"]))


def _may_still_halt(world: World, guest: Guest, vm: VM) -> Wait | None:
    """A guest that was asked and has not shut down may do so although that was cancelled (recorded on a running xapi): it is watched."""
    if guest["state"] != RUNNING or "stopping" not in guest:
        return None
    if task := guest.pop("task", None):
        world.pool.cancel_task(task)
    watched = datetime.fromisoformat(guest.setdefault("watched", world.now.isoformat()))
    if world.now - watched >= LATE:
        return None
    return Wait(
        f"{vm.name} was asked to shut down, and may still do so", on=wake_on_object(world.pool.name, "vm", vm.uuid), at_most=LATE / 6
    )


class NoRoom(PoolError):
    """No host can take the VM now."""

    def __init__(self, name: str) -> None:
        super().__init__("NO_HOSTS_AVAILABLE", (name,), f"no host has room for {name} now")
