"""Bring a host back in service, and the VMs that were shut down for its reboot, by the marks in the pool alone: its run is lost."""

from collections.abc import Collection, Iterable

from workflows import booting, guests, rebooting
from workflows.guests import Guest
from workflows.objects import VM, Host
from workflows.outcome import Done, Finish, Need, Outcome, Refuse, Request
from workflows.ports import Gone
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "bring-back"


def requests(pool: str, hosts: Iterable[Host], marked: Iterable[VM], at_work: Collection[str]) -> list[Request]:
    """A run for each host that bears our mark, or for which a VM waits; *at_work*: the runs (ids) that see to theirs themselves."""
    there = {host.uuid: host for host in hosts}
    wanted = {host.uuid for host in there.values() if booting.AT_WORK in host.other_config and booting.run_at(host) not in at_work}
    notes = [note for vm in marked if (note := guests.restart_note(vm)) is not None]
    wanted |= {note["host"] for note in notes if note["run"] not in at_work}
    names = {uuid: there[uuid].name if uuid in there else "that is gone" for uuid in wanted}
    return [Request(NAME, pool, f"host:{uuid}", f"host {names[uuid]}", {"host": uuid, "name": names[uuid]}) for uuid in sorted(wanted)]


def look(world: World, data: Data) -> Outcome:
    """Have the host and its VMs for this run alone, and see by the marks what they should be."""
    marked = [vm for vm in world.pool.marked() if (note := guests.restart_note(vm)) is not None and note["host"] == data["host"]]
    needed = {f"host:{data['host']}", *(f"vm:{vm.uuid}" for vm in marked)} - world.held
    if needed:
        return Need(tuple(sorted(needed)))
    try:
        host = world.pool.host(data["host"])
    except Gone:
        host = None
    if host is None and not marked:
        return Refuse("the host is not in the pool any more, and no VM waits for it")
    if not marked and host is not None and booting.AT_WORK not in host.other_config:
        return Finish("nothing of ours is on the host")
    waiting = [_waiting(world, vm) for vm in marked]
    data["memo"] = rebooting.lost(data["host"], data["name"], host, waiting)
    names = ", ".join(vm.name for vm in marked if vm.power_state == "Halted") or "no VM"
    return Done(f"{names} waits to be started again")


def _waiting(world: World, vm: VM) -> Guest:
    return {
        "vm": vm.uuid,
        "name": vm.name,
        "how": "stop",
        "why": "",
        "rank": world.policy.reboot.rank(vm.tags),
        "state": guests.HALTED if vm.power_state == "Halted" else guests.RUNNING,
        "vifs": guests.wants(vm),
        "stopping": world.now.isoformat(),
        "taken_from": (guests.restart_note(vm) or {}).get("run"),
    }


def bring_back(world: World, data: Data) -> Outcome:
    """Wait until the host is up, let VMs start there, start those that wait, and take our marks away."""
    outcome = rebooting.go_on(world, data["memo"])
    return outcome if outcome is not None else Done("the host is in service, and its VMs run")


BRING_BACK = Workflow(
    NAME,
    "Bring a host and its VMs back in service after a reboot whose run was lost",
    (Step(look, timeout=None), Step(bring_back, timeout=None)),
)
