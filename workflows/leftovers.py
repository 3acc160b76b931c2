"""What is found in a pool that no run sees to any more: notes of reboots that are over, VIFs that are parked and nobody knows why."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID

from workflows import booting, guests, parking, put_right, restoring
from workflows.objects import VIF, VM, Host
from workflows.outcome import DONE, Done, Finish, Need, Outcome, Refuse, Request, Stuck, Wait
from workflows.plan import Plan
from workflows.ports import Gone, Pool
from workflows.restoring import MarkedDisk
from workflows.tracking import Account
from workflows.trying import SOON
from workflows.workflow import Data
from workflows.world import World

IsOver = Callable[[UUID], bool | None]


@dataclass(frozen=True, slots=True)
class Found:
    """All that bears something of ours in a pool; *parking*: the networks (uuids) that are ours for parking; *disks* of restores.

    *accounts*: the disks that are kept to know what changed since.
    """

    pool: str
    marked: Collection[VM]
    hosts: Collection[Host]
    parking: frozenset[str]
    disks: Collection[MarkedDisk] = ()
    accounts: Collection[Account] = ()


def see(pool: Pool) -> Found:
    """Look for it."""
    marked = pool.marked()
    networks = pool.networks() if marked else ()
    return Found(
        pool.name,
        marked,
        pool.hosts(),
        frozenset(network.uuid for network in networks if network.is_parking),
        pool.marked_disks(),
        pool.accounts(),
    )


def requests(workflow: str, found: Found, is_over: IsOver, besides: Collection[str]) -> list[Request]:
    """Runs of *workflow* for hosts with the mark of a reboot that is over, and VMs with a VIF parked without a note; *besides* subjects."""
    wanted = []
    for host in found.hosts:
        if _has_ended(booting.run_at(host), is_over):
            data = {"host": host.uuid, "host_name": host.name, "run": booting.run_at(host)}
            wanted.append(Request(workflow, found.pool, f"host:{host.uuid}", f"host {host.name}", data))
    odd = [vm for vm in found.marked if f"vm:{vm.uuid}" not in besides and _parked(vm, found.parking)]
    parked = [(vm, {"vm": vm.uuid, "vm_name": vm.name, "parked": True}) for vm in odd]
    return [*wanted, *(Request(workflow, found.pool, f"vm:{vm.uuid}", f"VM {vm.name}", data) for vm, data in parked)]


def restart_of(vm: VM, is_over: IsOver) -> str:
    """The run that is over and whose note of a reboot is still on the VM: by its end it had seen to the VM. "" when there is none.

    Of a run that this database does not know the note may be all that says that the VM is to run again: `vfo recover` goes by it.
    """
    note = guests.restart_note(vm)
    return note["run"] if note is not None and _has_ended(note["run"], is_over) else ""


def is_of(vm: VM, run: str) -> str:
    """The run, if the note of a reboot that is on the VM is still that run's; else ""."""
    note = guests.restart_note(vm)
    return run if note is not None and note["run"] == run else ""


def _has_ended(run: str, is_over: IsOver) -> bool:
    try:
        return is_over(UUID(run)) is True
    except ValueError:
        return False


def _parked(vm: VM, networks: Collection[str]) -> list[VIF]:
    """The VIFs of a VM that are parked, when no note says where they belong; those of snapshots stay parked."""
    if vm.is_snapshot or vm.is_template or parking.read(vm) is not None or restoring.read(vm.other_config) is not None:
        return []  # of one that bears the mark of a restore all is known
    return [vif for vif in vm.vifs if vif.network in networks]


def plan(request: Request) -> Plan:
    """What the run of one of these requests would do."""
    title = f"{request.workflow} of {request.title}"
    if "host" in request.data:
        return Plan(title, ("take off the mark of a reboot that is over",), ("host.remove_from_other_config",))
    said = "have the VIFs that are parked without a note put back where our rows saw them last; else say which, for a person to move"
    return Plan(title, (said,))


def look_at_host(world: World, data: Data) -> Outcome:
    """Have the host for this run alone: nothing of ours reboots it then."""
    thing = f"host:{data['host']}"
    if thing not in world.held:
        return Need((thing,))
    try:
        host = world.pool.host(data["host"])
    except Gone:
        return Finish("it is gone, and what we left on it with it")
    if booting.run_at(host) != data["run"]:
        return Finish("nothing is left behind any more")
    return Done("left behind: the mark of a reboot")


def clear_host(world: World, data: Data) -> Outcome:
    """Take the mark off. Whether the host is enabled is left as it is: the run that is over has seen to that."""
    try:
        world.pool.note_host(data["host"], booting.AT_WORK, None)
    except Gone:
        return Done("it is gone, and what we left on it with it")
    return Done("the mark of a reboot is gone")


def look_at_parked(world: World, data: Data) -> Outcome:
    """Look twice, since a run may just have put them back; then put-right follows, or a person where it is not known where they belong."""
    try:
        vm = world.pool.vm(data["vm"])
    except Gone:
        return Finish("it is gone, and its VIFs with it")
    left = _parked(vm, [network.uuid for network in world.pool.networks() if network.is_parking])
    if not left:
        return Finish("its VIFs are where they belong, or a note says where that is")
    if not data.get("again"):
        data["again"] = True
        return Wait("its VIFs are on our parking network, and no note says where they belong: looked at once more", at_most=SOON)
    data["again"] = False
    said = put_right.judge(world.pool, vm, {}, world.now, world.ledger.homes(vm.uuid))
    if isinstance(said, Done):
        return Done(said.message, follow_up=(put_right.request(world.pool.name, vm.uuid, vm.name),))
    which = ", ".join(f"{vif.device} ({vif.MAC})" for vif in left)
    because = said.reason if isinstance(said, Refuse) else said.message
    reason = f"VIFs {which} of VM {vm.name} are on our parking network: {because}; then retry this run"
    evidence = {"vifs": [vif.as_note() for vif in left]}
    return Stuck(reason, f"xe vif-move uuid={left[0].uuid} network-uuid=...", evidence)


def leave_parked(_world: World, _data: Data) -> Outcome:
    """Nothing is left to do here: the run of put-right that follows sees to them."""
    return DONE
