"""Put VIFs where they belong: each is tried, whatever becomes of the others."""

import functools

from workflows import parking
from workflows.objects import VM
from workflows.outcome import Done, Outcome
from workflows.parking import Place
from workflows.ports import Busy, Gone, PoolError, Transient, Unknown
from workflows.workflow import Action, Data
from workflows.world import World


def if_there(action: Action) -> Action:
    """The step, for a VM that may have been deleted: then nothing is left to do on it, and what was promised to it is free."""

    @functools.wraps(action)
    def living(world: World, data: Data) -> Outcome:
        try:
            return action(world, data)
        except Gone:
            if world.pool.vm_exists(data["vm"]):
                raise
            world.ledger.keep(data["vm"])
            return Done("the VM was deleted meanwhile: there is nothing to put back")

    return living


def restored(world: World, data: Data, seen: VM | None = None) -> Done:
    """Put the VIFs of a halted VM where they belong; what could not be is in `data["failures"]`. Raises what may pass, at the end.

    *seen*: the VM as it was looked at in the same turn, when nothing was done to it since.
    """
    vm = seen or world.pool.vm(data["vm"])
    wrong = parking.displaced(vm, data)
    failures: dict[str, str] = {}
    passing: PoolError | None = None
    for place in wrong if vm.power_state == "Halted" else ():
        try:
            put(world, vm, place)
        except (Transient, Busy, Unknown) as error:
            passing = error
        except PoolError as error:
            failures[str(place)] = f"{place} could not be put back: {error}"
    if passing is not None:
        raise passing
    data["failures"] = failures
    moved = [str(place) for place in wrong if str(place) not in failures] if vm.power_state == "Halted" else []
    return Done("; ".join([*([f"back on the network: {', '.join(moved)}"] if moved else []), *failures.values()]))


def put(world: World, vm: VM, place: Place) -> None:
    """Move the VIF where it belongs; one that is gone (its network was destroyed, or a revert lost it) is made anew with its MAC."""
    if place.vif is not None:
        world.pool.move_vif(place.vif.uuid, place.network, seen=vm)
        return
    noted = place.noted
    world.pool.create_vif(vm.uuid, place.network, noted["device"], noted["MAC"], noted.get("other_config", {}), noted)
