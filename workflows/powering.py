"""Halt a VM with its guest's help, with patience, and by force only where the policy says so."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from plugins.errors import GiveUp
from workflows.objects import Condition
from workflows.outcome import Wait, wake_on_object
from workflows.ports import Refused, Unknown
from workflows.tasks import carried_out, over
from workflows.workflow import Data
from workflows.world import World

CLEAN = "clean shutdown"
HARD = "hard shutdown"
ASKED = "asked_to_halt_at"
UNWILLING = "unwilling"
SOON = timedelta(seconds=5)
CHANGING = frozenset({"clean_shutdown", "hard_shutdown", "shutdown", "start", "start_on", "clean_reboot", "hard_reboot", "pool_migrate"})


class Unwilling(GiveUp):
    """The guest does not shut down, and the policy does not allow force."""


def at_rest(world: World, vm: Condition) -> Wait | None:
    """Wait while something that changes the power state is in progress on the VM; None when nothing is."""
    moving = sorted(CHANGING.intersection(vm.current_operations))
    return change_of(world, vm, f"{', '.join(moving)} in progress on the VM", SOON) if moving else None


def change_of(world: World, vm: Condition, message: str, at_most: timedelta) -> Wait:
    """Wait for a change of the VM."""
    return Wait(message, on=wake_on_object(world.pool.name, "vm", vm.uuid), at_most=at_most)


def halt(world: World, data: Data, vm: Condition) -> Wait | None:
    """Halt the VM, as it was just read; None: it is halted. Raises `Unwilling`."""
    if vm.power_state == "Halted":
        for key in (ASKED, UNWILLING):
            data.pop(key, None)
        for what in (CLEAN, HARD):
            over(data, what)
        return at_rest(world, vm)
    if vm.power_state != "Running":
        return change_of(world, vm, f"the VM is {vm.power_state}: it must run or be halted", timedelta(minutes=1))
    if UNWILLING not in data:
        waiting = _ask(world, data, vm)
        if waiting is not None or UNWILLING not in data:
            return waiting
        vm = world.pool.condition(vm.uuid)  # the refusal may have been: it is halted already
        if vm.power_state == "Halted":
            return halt(world, data, vm)
    if moving := at_rest(world, vm):
        return moving
    if world.policy.backup.shutdown != "hard":
        raise Unwilling(str(data[UNWILLING]))
    return carried_out(world, data, HARD, lambda: world.pool.begin_hard_shutdown(vm.uuid), _halted(world, vm))


def _ask(world: World, data: Data, vm: Condition) -> Wait | None:
    """Ask the guest; what it will not do, or has not done when the policy's patience is over, is noted in the data."""
    data.setdefault(ASKED, world.now.isoformat())
    patience = world.policy.backup.shutdown_patience
    left = datetime.fromisoformat(data[ASKED]) + patience - world.now
    if left <= timedelta():
        data[UNWILLING] = f"the guest did not shut down within {patience}"
        if task := data.pop(f"task:{CLEAN}", None):
            world.pool.cancel_task(task)
        return change_of(world, vm, f"{data[UNWILLING]}: the shutdown is cancelled", SOON)
    try:
        waiting = carried_out(world, data, CLEAN, lambda: world.pool.begin_clean_shutdown(vm.uuid), _halted(world, vm))
    except Refused as error:  # no tools in the guest, no acknowledgment, blocked by somebody
        data[UNWILLING] = f"the guest does not shut down: {error}"
        return None
    except Unknown as error:
        if error.code != "VM_SHUTDOWN_TIMEOUT":
            raise
        data[UNWILLING] = f"the guest does not shut down: {error}"
        return None
    return replace(waiting, at_most=min(waiting.at_most, left)) if waiting else None


def _halted(world: World, vm: Condition) -> Callable[[], bool]:
    """Look whether it is halted; the first look is the one that was just taken."""
    seen = [vm]
    return lambda: (seen.pop().power_state if seen else world.pool.power_state(vm.uuid)) == "Halted"
