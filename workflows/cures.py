"""The cures of lost VFs, one step each, mildest first: what a client of a pool can do about a VF that is neither free nor used.

Every cure needs its consent in the policy (`[reclaim] allow`), acts on nothing that is in use, and is judged by the arithmetic: the run
ends where the numbers add up again, and goes on to the next cure where they do not. To make a port's VFs anew has a module of its own
(`workflows/replug.py`).
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from workflows import proof, rolling
from workflows.objects import VM
from workflows.outcome import Done, Outcome, Wait, wake_on_object
from workflows.ports import Busy, Denied, Gone, LockedOut, PortLook, Refused
from workflows.proof import Lost
from workflows.rolling import Consent
from workflows.workflow import Data
from workflows.world import World

RESET, REPLUG, RESTART, REBOOT = "power-state-reset", "reinit-port", "restart-toolstack", "reboot-in-window"
NOT_ALLOWED = "not allowed"
AT_ONCE = timedelta()
LIKELY, FEW = 8, 2  # of the VMs that last took VFs of a port so many are likely to hold what is lost; and of those that nothing is known of
RESTARTED_WITHIN = timedelta(minutes=10)

Cure = Callable[[World, Data, list[Lost]], Outcome]


def begin_anew(data: Data) -> None:
    """No cure was tried yet: a run that was stuck climbs the whole ladder again."""
    data["cures"] = []
    for key in ("holders", "restart", "idle_since", "replugged"):
        data.pop(key, None)


def has_more_to_try(evidence: Mapping[str, Any], allowed: Collection[str]) -> bool:
    """Whether a run that is stuck with this evidence was not allowed a cure that is allowed by now."""
    return any(cure["came_to"] == NOT_ALLOWED and cure["cure"] in allowed for cure in evidence.get("cures", ()))


def climb(world: World, data: Data, name: str, cure: Cure) -> Outcome:
    """One rung: the cure, where it is allowed and something is still lost."""
    if name not in world.policy.reclaim.allow:
        return failed(world, data, name, NOT_ALLOWED)
    found = proof.lost(world, data)
    if not isinstance(found, list):
        return found
    try:
        return cure(world, data, found)
    except LockedOut:
        raise
    except (Denied, Refused) as no:  # the next cure may still do; given up, the same would begin anew with the next look
        return failed(world, data, name, f"the pool does not let us: {no}", [one.look for one in found])


def acted(world: World, data: Data, name: str, what: str) -> Wait:
    """The cure did something: it is on record, and the next look judges it."""
    data["cures"] = [*data["cures"], {"cure": name, "at": world.now.isoformat(), "came_to": what, "acted": True}]
    return Wait(what, at_most=AT_ONCE)


def failed(world: World, data: Data, name: str, came_to: str, looks: list[PortLook] | None = None) -> Done:
    """The cure did not get everything back: what it came to is kept as evidence, and the next one is tried."""
    entry: dict[str, Any] = {"cure": name, "at": world.now.isoformat(), "came_to": came_to}
    if looks:
        entry["looks"] = proof.evidence(world, looks)
    data["cures"] = [*data.get("cures", ()), entry]
    return Done(f"{name}: {came_to}")


# -- power-state-reset ---------------------------------------------------------------------------------------------


def reset_holders(world: World, data: Data) -> Outcome:
    """Reset the power state of the halted VMs that most likely hold the lost VFs, one after the other (power-state-reset)."""
    return climb(world, data, RESET, _reset_next)


def _reset_next(world: World, data: Data, found: list[Lost]) -> Outcome:
    """One VM, then a look: what a VM that is halted still holds is released (xapi: force_state_reset on a Halted VM)."""
    holders = data.setdefault("holders", {"left": _likely(world, found), "reset": []})
    while holders["left"]:
        uuid = holders["left"].pop(0)
        name = _reset(world, uuid)
        if name:
            holders["reset"].append(name)
            return acted(world, data, RESET, f"reset {name}, which may have held it")
    looks = [one.look for one in found]
    if holders["reset"]:
        return failed(world, data, RESET, f"{proof.in_words(found)} still lost after resetting {', '.join(holders['reset'])}", looks)
    return failed(world, data, RESET, "no halted VM is likely to hold them", looks)


def _likely(world: World, found: list[Lost]) -> list[str]:
    """The halted VMs (uuids) that may hold one of the lost VFs, the likeliest first.

    That is one that says that it holds a device; then one that last took VFs of the port, newest first (a start that failed counts). A VM
    whose VIF is on the port's network and of which no port is known is one only where there are but few of those: the rest is guessing.
    """
    last = world.ledger.last_ports()
    order = {uuid: number for number, uuid in enumerate(last)}
    halted = sorted(filter(is_at_rest, world.pool.vms()), key=lambda vm: order.get(vm.uuid, len(order)))
    ports, networks = {one.look.port for one in found}, {network for one in found for network in one.look.networks}
    says_so = [vm.uuid for vm in halted if any(pci.is_vf or pci.gone for pci in vm.held)]
    took = [vm.uuid for vm in halted if ports.intersection(last.get(vm.uuid, ()))]
    unknown = [vm.uuid for vm in halted if not last.get(vm.uuid) and any(vif.network in networks for vif in vm.vifs)]
    return list(dict.fromkeys([*says_so, *took[:LIKELY], *(unknown if len(unknown) <= FEW else [])]))


def is_at_rest(vm: VM) -> bool:
    """Whether it is a VM that is halted, with nothing under way: never a control domain, and nothing that runs or is about to."""
    real = not (vm.is_template or vm.is_snapshot or vm.is_control_domain)
    still = vm.power_state == "Halted" and not vm.current_operations and vm.scheduled_on is None and vm.resident_on is None
    return real and still


def _reset(world: World, uuid: str) -> str | None:
    """The name of the VM, which was reset; None when it is not at rest any more, or the pool will not."""
    try:
        vm = world.pool.vm(uuid)
        if not is_at_rest(vm):
            return None
        world.pool.power_state_reset(uuid)
    except (Gone, Busy, Refused):  # it went, or somebody started it: then it holds nothing that is lost
        return None
    return f"VM {vm.name} ({uuid})"


# -- restart-toolstack ---------------------------------------------------------------------------------------------


def restart_toolstack(world: World, data: Data) -> Outcome:
    """Restart the coordinator's toolstack, which drops every reservation of the pool, and wait until it is back (restart-toolstack)."""
    return climb(world, data, RESTART, _restart)


def _restart(world: World, data: Data, found: list[Lost]) -> Outcome:
    """Guests run on; connections and tasks are cut (xapi: release_locks when the coordinator's toolstack starts)."""
    restart = data.get("restart")
    if restart is None:
        coordinator = world.pool.host(world.pool.facts().coordinator)
        data["restart"] = {"host": coordinator.uuid, "name": coordinator.name, "started": coordinator.agent_start_time}
        return Wait(f"the toolstack of {coordinator.name} is restarted next", at_most=AT_ONCE)
    host = world.pool.host(restart["host"])
    if host.agent_start_time > restart["started"]:
        if not (host.live and host.enabled):
            return Wait(f"{host.name} comes back", on=wake_on_object(world.pool.name, "host", host.uuid), at_most=proof.POLL)
        if not restart.get("back"):  # what was found may have been found before it was: the next look judges
            data["restart"] = {**restart, "back": True}
            return Wait(f"the toolstack of {host.name} was restarted: its ports are looked at again", at_most=AT_ONCE)
        return failed(world, data, RESTART, f"{proof.in_words(found)} still lost after that of {host.name}", [one.look for one in found])
    if "asked" not in restart:
        restart["asked"] = world.now.isoformat()
        world.pool.restart_toolstack(host.uuid)
        acted(world, data, RESTART, f"the toolstack of {host.name} was restarted")
    elif world.now - datetime.fromisoformat(restart["asked"]) > RESTARTED_WITHIN:
        return failed(world, data, RESTART, f"{host.name} does not say that its toolstack started anew, after {RESTARTED_WITHIN}")
    return Wait(f"the toolstack of {host.name} restarts", on=wake_on_object(world.pool.name, "host", host.uuid), at_most=proof.POLL)


# -- reboot-in-window ----------------------------------------------------------------------------------------------


def reboot_host(world: World, data: Data) -> Outcome:
    """Reboot the hosts whose ports lost VFs, in a maintenance window: emptied before, back with their VFs and VMs (reboot-in-window)."""
    if rolling.at_work(data):
        return rolling.go_on(world, data)
    return climb(world, data, REBOOT, _reboot)


def _reboot(world: World, data: Data, found: list[Lost]) -> Outcome:
    """A boot makes a host's VFs anew, whoever boots it: the arithmetic notices. The run reboots each host once, however it ended."""
    looks = [one.look for one in found]
    if not world.policy.maintenance:
        return failed(world, data, REBOOT, "no maintenance window is in the configuration", looks)
    outcome = rolling.roll(world, data, sorted({look.host for look in looks}), Consent("window"))
    if isinstance(outcome, Done):
        return failed(world, data, REBOOT, f"{proof.in_words(found)} still lost after the reboot", looks)
    return outcome
