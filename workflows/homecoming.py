"""Bring a VM home: its VIFs where they belong, running if it ran, its VFs seen, and nothing of ours left on it.

Every step here goes by what the pool shows and not by what was done before, so that it holds after whatever happened meanwhile: the VM
was started, reverted, renamed or migrated by somebody. A VM that is gone is no error: there is nothing to bring home.
"""

import functools
from datetime import datetime, timedelta
from typing import Any

from workflows import parking, placing, powering, promised, starting
from workflows.objects import VM, Condition
from workflows.outcome import DONE, Done, Outcome, Stuck
from workflows.placing import if_there
from workflows.workflow import Action, Data
from workflows.world import World

VFS_APPEAR_WITHIN = timedelta(minutes=1)


def one_after_the_other(world: World, data: Data, *actions: Action) -> Outcome:
    """The actions in turn, up to the first that is not done; done, with all messages, when all are."""
    messages = []
    for action in actions:
        outcome = action(world, data)
        if not isinstance(outcome, Done):
            return outcome
        messages.append(outcome.message)
    return Done("; ".join(message for message in dict.fromkeys(messages) if message))


@if_there
def bring_down(world: World, data: Data) -> Outcome:
    """Halt the VM where it runs with VIFs that are not where they belong: VIFs go to SR-IOV networks on halted VMs only."""
    return _brought_down(world, data, world.pool.vm(data["vm"]))


def _brought_down(world: World, data: Data, vm: VM) -> Outcome:
    """As `bring_down`, of the VM as it was just seen."""
    if moving := powering.at_rest(world, vm):
        return moving
    wrong = [place for place in parking.displaced(vm, data) if str(place) not in data.get("failures", {})]
    if vm.power_state == "Halted":
        if data.pop("watched_since", None):  # the guest has done late what it was asked for
            data.pop("ran_again", None)
        return powering.halt(world, data, vm) or DONE
    if not wrong:
        return DONE
    said = ", ".join(str(place) for place in wrong)
    if data.get("at_next_halt"):
        return powering.change_of(world, vm, f"{said} can be put right when somebody halts the VM", timedelta(hours=1))
    data["ran"] = True  # if it was found halted, somebody has started it since
    data.pop("ran_again", None)
    try:
        return powering.halt(world, data, vm) or Done(f"it ran with {said} off the network, and was halted")
    except powering.Unwilling as error:
        data.pop(powering.UNWILLING)
        data.pop(powering.ASKED, None)
        return _stuck(world, f"the VM runs with {said} off the network and is to be shut down for a moment, but {error}")


@if_there
def start_again(world: World, data: Data) -> Outcome:
    """Start the VM if it ran: where it ran, else by the policy's fallbacks, in their order."""
    return starting.started(world, data)


@if_there
def verify(world: World, data: Data) -> Outcome:
    """See that it runs if it ran, that every VIF is where it belongs, and that it holds its VFs."""
    return _verified(world, data, world.pool.vm(data["vm"]))


def _put_in_order(world: World, data: Data, vm: VM) -> tuple[Outcome, VM]:
    """Bring it down, its VIFs back and it up again, as far as that goes in this turn; and the VM as it is by then.

    What was seen of it holds until something is done to it, and it is looked at anew then, and only then.
    """
    outcome = _brought_down(world, data, vm)
    if not isinstance(outcome, Done):
        return outcome, vm
    if vm.power_state != "Halted" and parking.displaced(vm, data):
        vm = world.pool.vm(vm.uuid)
    moved = vm.power_state == "Halted" and bool(parking.displaced(vm, data))
    outcome = one_after_the_other(
        world,
        data,
        lambda _world, _data: outcome,
        functools.partial(placing.restored, seen=vm),
        functools.partial(starting.started, seen=None if moved else vm),
    )
    done = moved or (data["ran"] and vm.power_state != "Running")
    return outcome, world.pool.vm(vm.uuid) if done and isinstance(outcome, Done) else vm


def _verified(world: World, data: Data, vm: VM) -> Outcome:
    """As `verify`, of the VM as it was just seen."""
    halted = data["ran"] and vm.power_state != "Running" and not data.get("ran_again")
    if (parking.displaced(vm, data) and not data.get("failures")) or halted:
        outcome, vm = _put_in_order(world, data, vm)
        if not isinstance(outcome, Done):
            return outcome
    wrong = parking.displaced(vm, data)
    if wrong:
        failures = data.pop("failures", {})
        return _stuck(world, "; ".join(failures.values() or [f"{place} is not where it belongs" for place in wrong]))
    if vm.power_state == "Running" and (waiting := _without_vfs(world, data, vm)):
        return waiting
    where = "it runs again" if vm.power_state == "Running" else "it is halted, as before" if not data["ran"] else "somebody halted it again"
    said = [*parking.differences(vm, data), *starting.in_words(data)]
    return Done("; ".join([f"{where}, {len(data['vifs'])} VIFs as they were" if not said else where, *said]))


def _without_vfs(world: World, data: Data, vm: VM) -> Outcome | None:
    """Wait, and then call a person, while the running VM holds fewer VFs than it has VIFs for; None when it has them."""
    held = sum(pci.is_vf and not pci.gone for pci in vm.held)
    if held >= len(vm.sriov_vifs):
        data.pop("without_vfs_since", None)
        return None
    missing = f"the VM runs with {held} of {len(vm.sriov_vifs)} VFs"
    since = data.setdefault("without_vfs_since", world.now.isoformat())
    if world.now - datetime.fromisoformat(since) < VFS_APPEAR_WITHIN:
        return powering.change_of(world, vm, missing, timedelta(seconds=5))
    del data["without_vfs_since"]
    return _stuck(world, f"{missing}: shut it down and start it", evidence={"held": [pci.pci_id for pci in vm.held]})


@if_there
def leave_nothing(world: World, data: Data) -> Outcome:
    """Take our block, our note and the promise away. A VM on its fallback network keeps the note: it says where the VIFs belong."""
    return _left_nothing(world, data, world.pool.condition(data["vm"]))


def _left_nothing(world: World, data: Data, vm: Condition) -> Outcome:
    """As `leave_nothing`, of the VM as it was just seen."""
    ours = starting.reason_of(world, data)
    if ours in vm.blocked_operations.values():
        world.pool.unblock(data["vm"], ours)
    if data.get("stand_in"):
        data["in_service"] = True
        world.pool.note(data["vm"], parking.NOTE, parking.note_of(data.get("blocked_by") or world.run_id, data))
    else:
        world.pool.erase(data["vm"], parking.NOTE)
    if not (data.get("stand_in") and data.get("until")):
        promised.let_go(world, data["vm"], data.get("taken_from") or data.get("blocked_by"))
    return Done("nothing of ours is left on the VM" if not data.get("stand_in") else "only the note of where its VIFs belong is left on it")


@if_there
def come_home(world: World, data: Data) -> Outcome:
    """All of it, whatever state the VM is in."""
    data.pop("at_next_halt", None)
    outcome, vm = _put_in_order(world, data, world.pool.vm(data["vm"]))
    if not isinstance(outcome, Done):
        return outcome
    return one_after_the_other(
        world,
        data,
        lambda _world, _data: outcome,
        lambda world, data: _verified(world, data, vm),
        watch,
        lambda world, data: _left_nothing(world, data, vm),
    )


def watch(world: World, data: Data) -> Outcome:
    """A guest that was asked to shut down and did not may still do so: watch it for a while, and start it again then."""
    if powering.ASKED not in data or not data["ran"]:
        return DONE
    vm = world.pool.vm(data["vm"])
    watched = datetime.fromisoformat(data.setdefault("watched_since", world.now.isoformat()))
    left = watched + world.policy.backup.late_halt - world.now
    if left > timedelta():
        return powering.change_of(world, vm, "the guest was asked to shut down and may still do so: it is watched", left)
    return DONE


def _stuck(world: World, reason: str, evidence: dict[str, Any] | None = None) -> Stuck:
    return Stuck(reason, next_command=f"vfo run {world.run_id} retry", evidence=evidence or {})
