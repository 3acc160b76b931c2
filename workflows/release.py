"""Take VFs from a VM: its VIFs on SR-IOV networks go, the VM is taken down for it if that was asked for, and runs on without them."""

from collections.abc import Sequence

from plugins.errors import GiveUp
from workflows import admission, downtime, objections, possession
from workflows.downtime import When
from workflows.objects import VIF, VM
from workflows.outcome import DONE, Done, Finish, Outcome, Refuse, Request, Wait
from workflows.ports import Gone, PoolError, Transient
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "release-vf"
GIVEN = frozenset({"vm", "vm_name", "asked", "when", "force"})


def request(pool: str, vm: VM, vifs: Sequence[str], when: str = When.next_halt, *, force: bool = False) -> Request:
    """The run that takes these VIFs (uuids, devices or MACs; none: all that take a VF) from the VM. *force*: the plug may be pulled."""
    data = {"vm": vm.uuid, "vm_name": vm.name, "asked": list(vifs), "when": str(when), "force": force}
    return Request(NAME, pool, f"vm:{vm.uuid}", f"VM {vm.name}", data)


def check(world: World, data: Data) -> Outcome:
    """See whether it can be done: what the VM is, and which of its VIFs take a VF."""
    downtime.forget_earlier_try(data, GIVEN)
    try:
        vm = world.pool.vm(data["vm"])
    except Gone:
        return Refuse(f"VM {data['vm_name']} ({data['vm']}) is not in the pool")
    against = objections_to(vm, data["asked"], data["when"])
    if against:
        return Refuse("; ".join(against))
    return DONE if chosen(vm, data["asked"]) else Finish("none of its VIFs is on an SR-IOV network")


def objections_to(vm: VM, asked: Sequence[str], when: str) -> list[str]:
    """Everything that stands against it."""
    kind = list(objections.to_kind(vm))
    if kind:
        return kind
    now = when != When.next_halt and any(vif.currently_attached for vif in chosen(vm, asked))
    against = [*objections.to_blocks(vm, now=now), *objections.to_power_state(vm, now=now)]
    meant = [vif for vif in vm.vifs if any(_is(vif, written) for written in asked)]
    ordinary = [
        f"VIF {vif.device} of VM {vm.name} is on network {vif.network_name}, which is not an SR-IOV network"
        for vif in meant
        if not vif.on_sriov
    ]
    return [*against, *unknown(vm, asked), *ordinary]


def unknown(vm: VM, asked: Sequence[str]) -> list[str]:
    """What names none of the VM's VIFs, each in a sentence with those that it has."""
    has = ", ".join(f"{one.device} ({one.MAC}, {one.uuid})" for one in vm.vifs) or "none"
    return [f"VM {vm.name} has no VIF {written}; it has {has}" for written in asked if not any(_is(vif, written) for vif in vm.vifs)]


def chosen(vm: VM, asked: Sequence[str]) -> list[VIF]:
    """The VIFs that are meant."""
    return [vif for vif in vm.sriov_vifs if not asked or any(_is(vif, written) for written in asked)]


def _is(vif: VIF, written: str) -> bool:
    return written.lower() in (vif.uuid, vif.device, vif.MAC.lower())


def note_vifs(world: World, data: Data) -> Outcome:
    """Note every field of the VIFs before one is touched."""
    vm = downtime.look(world, data)
    vifs = chosen(vm, data["asked"])
    data["vifs"] = [vif.as_note() for vif in vifs]
    data["as_it_is"] = not any(vif.currently_attached for vif in vifs)
    return Done("; ".join(f"device {vif.device}, MAC {vif.MAC}, on {vif.network_name}" for vif in vifs) or "none is left")


def secure(world: World, data: Data) -> Outcome:
    """With the VM in hand: promise it the VFs of the VIFs that it keeps, for when it starts again."""
    vm = downtime.look(world, data)
    keeps = admission.demand(vm, less=[note["uuid"] for note in data["vifs"]])
    if not data["ran"] or data["as_it_is"] or not keeps:
        return Done("nothing has to be promised")
    place = admission.ask(world, vm, keeps, (world.pool.look_at_ports(), world.pool.guests()))
    if isinstance(place, admission.Full):
        return Wait(place.reason, at_most=downtime.SOON)
    data["host"] = place.host
    return Done(f"promised of {', '.join(place.ports)}")


def let_go(world: World, data: Data) -> Outcome:
    """What this run promised the VM is promised no more."""
    world.ledger.keep(data["vm"], world.run_id)
    return DONE


def destroy_vifs(world: World, data: Data) -> Outcome:
    """Destroy the VIFs that were noted; each is tried, also when another cannot be."""
    failed: list[tuple[str, PoolError]] = []
    for note in data["vifs"]:
        try:
            world.pool.destroy_vif(note["uuid"])
        except Transient:
            raise
        except PoolError as error:
            failed.append((note["device"], error))
    there = {vif.uuid for vif in downtime.look(world, data).vifs}
    left = [note["device"] for note in data["vifs"] if note["uuid"] in there]
    if failed and left:
        raise failed[0][1]
    return Wait(f"VIFs {', '.join(left)} are still there", at_most=downtime.SOON) if left else Done("the VIFs are gone")


def restore_vifs(world: World, data: Data) -> Outcome:
    """Create the VIFs anew that are gone, as they were noted (their uuids are new ones); before the VM is started again.

    They go for good while the VM is down, since an attached VIF of a running VM cannot be destroyed: parked instead, the VM would start
    with one on the parking network.
    """
    try:
        vm = world.pool.vm(data["vm"])
    except Gone:
        return Done("the VM is gone")
    there, devices = {vif.uuid for vif in vm.vifs}, {vif.device for vif in vm.vifs}
    lost = [note for note in data["vifs"] if note["uuid"] not in there and note["device"] not in devices]
    if lost and vm.power_state != "Halted":
        waiting = downtime.bring_down(world, data)
        data["ran"] = True
        if waiting is not None:
            return waiting
    for note in lost:
        world.pool.create_vif(vm.uuid, note["network"], note["device"], note["MAC"], note["other_config"], note)
    bare = [note["device"] for note in lost if note["ipv4_configuration_mode"] not in ("", "None")]
    if bare:
        raise GiveUp(f"VIFs {', '.join(bare)} were created anew without the IPv4 addresses set on them: the run's data has them")
    return Done(f"{len(lost)} VIFs were created anew" if lost else "the VIFs are there")


def verify(world: World, data: Data) -> Outcome:
    """See that the VIFs are gone, and that the VM holds the VFs of those that it keeps and no other."""
    vm = downtime.look(world, data)
    there = {vif.uuid for vif in vm.vifs}
    left = [note["device"] for note in data["vifs"] if note["uuid"] in there]
    if left:
        return Wait(f"VIFs {', '.join(left)} are still there", at_most=downtime.SOON)
    if vm.power_state == "Running":
        attached = sum(vif.currently_attached for vif in vm.sriov_vifs)
        if len(possession.vfs(vm)) != attached:
            return Wait(f"it has {attached} VIFs that take a VF, and holds {len(possession.vfs(vm))}", at_most=downtime.SOON)
    world.ledger.keep(data["vm"], world.run_id)
    return Done(f"{len(data['vifs'])} VFs are given back")


RELEASE = Workflow(
    NAME,
    "Take VFs from a VM",
    (
        Step(check),
        Step(note_vifs),
        Step(downtime.await_moment, undo=downtime.unguard, timeout=None),
        Step(downtime.guard, timeout=None),
        Step(secure, undo=let_go),
        Step(downtime.shut_down, undo=downtime.bring_back),
        Step(destroy_vifs, undo=restore_vifs),
        Step(downtime.open_start),
        Step(downtime.start),
        Step(verify),
    ),
)
