"""A VM is down for a moment, by consent and at the moment that was asked for, and comes back: what assign-vf and release-vf share."""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from plugins.errors import GiveUp
from workflows import windows
from workflows.objects import VM, Condition
from workflows.outcome import DONE, LOOK_AGAIN, Done, Need, Outcome, Wait, wake_on_object
from workflows.policy import Policy
from workflows.ports import Gone, PoolError, Refused, Unknown
from workflows.tasks import carried_out
from workflows.workflow import Data
from workflows.world import World

STARTS = ("start", "start_on")
WAITING = "vfo: waits for a halt"
"""How the reason of a guard begins that only waits: a start of ours passes it (see `orchestrator.xapi.machines`)."""

SOON = timedelta(seconds=2)
UNWILLING = timedelta(seconds=30)
LATE_HALT = timedelta(minutes=5)
PARKED = timedelta(minutes=10)  # events wake it; this is for one that was lost


class When(StrEnum):
    """When a VM that runs may be shut down for its VIFs: in any maintenance window, or in one by its name, "window:NAME"."""

    now = "now"
    next_halt = "next-halt"
    window = "window"


def window_named(when: str) -> str | None:
    """The maintenance window that is meant, "" for any; None: it is not to be in a window."""
    kind, _, name = when.partition(":")
    return name if kind == When.window else None


def is_moment(when: str) -> bool:
    """Whether it is a moment as a person writes it, whatever windows there are."""
    name = window_named(when)
    return bool(name) or when in (When.now, When.next_halt, When.window)


def problem_with(when: str, windows_there: Collection[str]) -> str | None:
    """What is wrong with a moment as a person writes it, where there are these maintenance windows; None when it can be kept."""
    name = window_named(when)
    if not is_moment(when):
        return "write now, next-halt, window or window:NAME"
    if name is not None and not windows_there:
        return (
            f"there is no table [maintenance.{name}], nor any other [maintenance.NAME]" if name else "there is no table [maintenance.NAME]"
        )
    if name and name not in windows_there:
        return f"there is no table [maintenance.{name}]: there is {', '.join(sorted(windows_there))}"
    return None


def opening(policy: Policy, when: str, now: datetime) -> windows.Opening:
    """How the windows stand now in which the VM may be shut down."""
    name = window_named(when)
    return windows.look({one: window for one, window in policy.maintenance.items() if name in ("", one)}, now)


def reason(world: World, data: Data) -> str:
    """Why the VM cannot be started meanwhile, for whoever tries: it names the run."""
    begins = WAITING if data["when"] == When.next_halt else "vfo: at work"
    return f"{begins}, run {world.run_id} (`vfo run {str(world.run_id)[:8]} cancel` ends it)"


def look(world: World, data: Data) -> VM:
    """The VM as it is now; GiveUp when it is gone."""
    try:
        return world.pool.vm(data["vm"])
    except Gone:
        raise GiveUp(f"VM {data['vm_name']} is gone") from None


def condition(world: World, data: Data) -> Condition:
    """The VM as it is now without its VIFs, in one call; GiveUp when it is gone."""
    try:
        return world.pool.condition(data["vm"])
    except Gone:
        raise GiveUp(f"VM {data['vm_name']} is gone") from None


def is_at_rest(vm: Condition) -> bool:
    """Whether it is halted, and nothing is about to change that. A guest that reboots is not: xapi keeps it Running, or in an operation."""
    return vm.power_state == "Halted" and not vm.current_operations and vm.scheduled_on is None and vm.resident_on is None


def forget_earlier_try(data: Data, given: Collection[str]) -> None:
    """A run that was refused or undone and is tried again begins with nothing but what it was *given*."""
    for key in data.keys() - given:
        del data[key]


def await_moment(world: World, data: Data) -> Outcome:
    """Wait for the moment: at once, in a maintenance window, or until somebody halts the VM (its start is blocked until then)."""
    if data["when"] == When.now or data.get("as_it_is"):
        return Done("at once")
    vm = condition(world, data)
    if is_at_rest(vm) and _hold(data) in world.held:
        return Done("it is halted")
    if window_named(data["when"]) is not None and not is_at_rest(vm):
        return _window(world, data)
    if data["when"] == When.next_halt:
        if data.get("was_on") != vm.resident_on and vm.resident_on is not None:
            data["was_on"], data["booted"] = vm.resident_on, world.pool.host(vm.resident_on).boot_time
        if not set(STARTS) <= set(vm.blocked_operations):
            world.pool.block(vm.uuid, STARTS, reason(world, data), seen=vm)
    if not is_at_rest(vm):
        on = wake_on_object(world.pool.name, "vm", vm.uuid)
        return Wait("until somebody halts it; its start is blocked until then", on=on, at_most=PARKED)
    return Need((_hold(data),))


def _window(world: World, data: Data) -> Outcome:
    stands, name = opening(world.policy, data["when"], world.now), window_named(data["when"])
    if stands.lasts(world.now, world.policy.assignment.shutdown):
        return Done(f"window {stands.name} is open until {stands.closes:%Y-%m-%d %H:%M} UTC")
    if stands.opens is None:
        raise GiveUp(f"no maintenance window will ever open: [maintenance.{name or 'NAME'}] says when they do")
    on = wake_on_object(world.pool.name, "vm", data["vm"])
    which = f"maintenance window {name}" if name else "a maintenance window"
    return Wait(f"until {which} opens at {stands.opens:%Y-%m-%d %H:%M} UTC", on=on, at_most=stands.opens - world.now)


def unguard(world: World, data: Data) -> Outcome:
    """Let the VM be started by everybody again."""
    try:
        world.pool.unblock(data["vm"], reason(world, data))
    except Gone:
        return Done("the VM is gone, and its guard with it")
    return DONE


def guard(world: World, data: Data) -> Outcome:
    """Have the VM for this run alone, block its start, and note whether it runs: before it is touched."""
    if _hold(data) not in world.held:
        return Need((_hold(data),))
    vm = condition(world, data)
    if vm.current_operations:
        busy = f"VM {vm.name} is in {', '.join(sorted(vm.current_operations))}"
        return Wait(busy, on=wake_on_object(world.pool.name, "vm", vm.uuid), at_most=SOON)
    if vm.is_template or vm.is_snapshot:
        raise GiveUp(f"{vm.name} is a template by now")
    if vm.power_state not in ("Running", "Halted"):
        raise GiveUp(f"VM {vm.name} is {vm.power_state.lower()} by now")
    world.pool.block(vm.uuid, STARTS, reason(world, data), seen=vm)
    data["ran"] = vm.power_state == "Running" or _booted_with_its_host(world, data, vm)
    return Done("it runs" if data["ran"] else "it is halted, and stays so")


def _booted_with_its_host(world: World, data: Data, vm: Condition) -> bool:
    """Whether xapi would have started it when its host booted (other_config:auto_poweron), and our guard was in its way."""
    if data["when"] != When.next_halt or vm.other_config.get("auto_poweron") != "true" or not data.get("was_on"):
        return False
    try:
        booted = world.pool.host(data["was_on"]).boot_time
    except Gone:
        return False
    return booted > float(data["booted"])


def shut_down(world: World, data: Data) -> Outcome:
    """Shut the VM down cleanly, with patience; by force only where that was allowed."""
    if not data["ran"]:
        return Done("it is halted")
    if data.get("as_it_is"):
        data["ran"] = False
        return Done("it may run on: none of the VIFs is attached")
    return bring_down(world, data) or Done("it is halted")


def bring_down(world: World, data: Data) -> Wait | None:
    """Bring the VM down; None when it is. Raises GiveUp when it does not go cleanly and force was not allowed."""
    uuid = data["vm"]
    _assert_willing(world, data)
    if data.get("by_force"):
        return carried_out(world, data, "hard shutdown", lambda: world.pool.begin_hard_shutdown(uuid), lambda: _is(world, data, "Halted"))
    data.setdefault("down_since", world.now.isoformat())
    left = datetime.fromisoformat(data["down_since"]) + world.policy.assignment.shutdown - world.now
    try:
        waiting = carried_out(world, data, "shutdown", lambda: world.pool.begin_clean_shutdown(uuid), lambda: _is(world, data, "Halted"))
    except (Refused, Unknown) as error:
        if not _is_unwilling(error):
            raise
        if isinstance(error, Refused):  # it never will, so nobody has to wait for it
            del data["down_since"]
        return _force(world, data, f"it does not shut down cleanly ({error})")
    if waiting is None:
        del data["down_since"]
        return None
    if left > timedelta():
        return Wait(waiting.message, on=waiting.on, at_most=min(left, LOOK_AGAIN))
    world.pool.cancel_task(data["task:shutdown"])
    return _force(world, data, f"it has not shut down cleanly for {world.policy.assignment.shutdown}")


def _is_unwilling(error: PoolError) -> bool:
    """Whether the guest does not do as it is asked; a shutdown that was cut off is another matter: the VM must be looked at."""
    return isinstance(error, Refused) or error.code == "VM_SHUTDOWN_TIMEOUT"


def _force(world: World, data: Data, why: str) -> Wait:
    """Note what follows, before it is done."""
    if data.get("force"):
        data["by_force"] = True
        return Wait(f"{why}: the plug is pulled, as allowed", at_most=timedelta())
    data["unwilling"] = {"why": why, "at": world.now.isoformat()}
    return Wait(why, at_most=timedelta())


def _assert_willing(world: World, data: Data) -> None:
    """GiveUp for a guest that has just shown that it does not shut down; at a later try it is asked again."""
    unwilling = data.get("unwilling")
    if unwilling and world.now - datetime.fromisoformat(unwilling["at"]) < UNWILLING:
        raise GiveUp(f"{unwilling['why']}; --force-shutdown would pull the plug")
    if unwilling:
        del data["unwilling"]
        data.pop("down_since", None)


def bring_back(world: World, data: Data) -> Outcome:
    """Start the VM again, if it was this run that shut it down."""
    if not data.get("ran"):
        return Done("it was not shut down")
    try:
        ending = _end_of_shutdown(world, data) or _late_halt(world, data)
        if ending is not None:
            return ending
        world.pool.unblock(data["vm"], reason(world, data))
        data["host"] = None
        return bring_up(world, data) or Done("it runs again")
    except (Gone, GiveUp) as error:
        if world.pool.vm_exists(data["vm"]):
            raise
        return Done(f"there is no VM to start any more: {error}")


def _end_of_shutdown(world: World, data: Data) -> Wait | None:
    """A shutdown that was begun and given up may yet halt the VM: cancel it, and wait until it has ended either way."""
    for key in ("task:shutdown", "task:hard shutdown"):
        if key in data:
            world.pool.cancel_task(data.pop(key))
    vm = world.pool.condition(data["vm"])
    downward = sorted(operation for operation in vm.current_operations if "shutdown" in operation)
    if downward:
        return Wait(f"until its {downward[0]} has ended", on=wake_on_object(world.pool.name, "vm", vm.uuid), at_most=SOON)
    return None


def _late_halt(world: World, data: Data) -> Wait | None:
    """A guest that was asked to shut down, and did not in time, may yet do so after the shutdown was cancelled: then it must be started."""
    if "down_since" not in data or not _is(world, data, "Running"):
        return None
    left = datetime.fromisoformat(data.setdefault("watched_since", world.now.isoformat())) + LATE_HALT - world.now
    if left <= timedelta():
        return None
    on = wake_on_object(world.pool.name, "vm", data["vm"])
    return Wait("it was asked to shut down, and may yet do so", on=on, at_most=min(left, LOOK_AGAIN))


def open_start(world: World, data: Data) -> Outcome:
    """Remove the guard: the VM's VIFs are as they should be, and everybody may start it."""
    try:
        world.pool.unblock(data["vm"], reason(world, data))
    except Gone:
        raise GiveUp(f"VM {data['vm_name']} is gone") from None
    return DONE


def start(world: World, data: Data) -> Outcome:
    """Start the VM again where its VFs are promised; anywhere, when it cannot start there."""
    if not data["ran"]:
        return Done("it was not shut down")
    return bring_up(world, data) or Done("it runs")


def bring_up(world: World, data: Data) -> Wait | None:
    """Start the VM, on the host in *data* first; None when it runs."""
    uuid, host = data["vm"], data.get("host")
    try:
        return carried_out(world, data, "start", lambda: world.pool.begin_start(uuid, host), lambda: _is(world, data, "Running"))
    except Refused as error:
        if host is None:
            raise
        data["host"] = None
        return Wait(f"it cannot start where its VFs are promised ({error}): tried anywhere", at_most=timedelta())


def _is(world: World, data: Data, power_state: str) -> bool:
    try:
        return world.pool.power_state(data["vm"]) == power_state
    except Gone:
        raise GiveUp(f"VM {data['vm_name']} is gone") from None


def _hold(data: Data) -> str:
    return f"vm:{data['vm']}"
