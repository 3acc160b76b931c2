"""Get a VM back: its record, disks and VIFs anew from a restore point, with its MACs, and with its VFs by assign-vf.

Nothing is ever restored over a VM. What is made bears the run's mark until it is whole; up to then giving up destroys all of it, from then
on nothing: a VM that is whole stays, also when its VF cannot be had or it does not start.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from plugins.errors import GiveUp
from plugins.values import RestorePoint
from workflows import assign, downtime, possession, restore_examining, restore_points, tasks
from workflows.assign import Wish
from workflows.outcome import PARENT, Done, Need, Outcome, Refuse, Request, Stuck, Wait, wake_on_end
from workflows.ports import Gone, Refused
from workflows.restore_filling import end_filling, fill
from workflows.restore_making import attach, hand_over, look, make_disks, make_vifs, make_vm, take_away
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "restore-vm"
GIVEN = frozenset({"product", "id", "name", "SR", "networks", "new_macs", "start", "apart"})
LOOK_AGAIN = timedelta(minutes=5)  # the end of a child wakes its parent; this is for a wake that was lost


def request(pool: str, product: str, point: RestorePoint, asked: restore_examining.Asked) -> Request:
    """The run that makes the VM *asked.name* from the point in that pool."""
    data: dict[str, Any] = {
        "product": product, "id": point.id, "name": asked.name, "SR": asked.SR, "networks": dict(asked.networks or {}),
        "new_macs": asked.new_macs, "start": asked.starts,
    }  # fmt: skip
    return Request(NAME, pool, f"restore:{asked.name}", f"VM {asked.name}", data)


def asked_of(world: World, data: Data) -> restore_examining.Asked:
    """What the run is asked for."""
    return restore_examining.Asked(
        data["name"], data["SR"], data["networks"], data["new_macs"], starts=data["start"],
        fallback=world.policy.backup.fallback_network, apart=data.get("apart", False),
    )  # fmt: skip


def examine(world: World, data: Data) -> Outcome:
    """See that the restore point is there, and that a VM of it has a name, SRs, networks and MACs in this pool."""
    downtime.forget_earlier_try(data, GIVEN)
    fits = [point for point in restore_points.services(world).plugins.points(data["product"]) if point.id == data["id"]]
    if not fits:
        return Refuse(f"product {data['product']} has no restore point {data['id']}: `vfo backup list` shows what there is")
    found = restore_examining.examine(world.pool, fits[0], asked_of(world, data))
    if found.against:
        return Refuse("; ".join(found.against))
    macs = sorted({f"mac:{vif['MAC']}" for vif in found.vifs if vif["MAC"]})
    if not {f"vm-name:{data['name']}", *macs} <= world.held:
        return Need((f"vm-name:{data['name']}", *macs))
    data |= {"point": restore_points.as_data(fits[0]), "SRs": dict(found.SRs), "vifs": list(found.vifs), "beside": found.beside}
    return Done(f"{fits[0].vm_name} as of {fits[0].taken_at:%Y-%m-%d %H:%M} UTC: {len(fits[0].disks)} disks, {len(found.vifs)} VIFs")


# -- VFs and the start -----------------------------------------------------------------------------------------


def give_vfs(world: World, data: Data) -> Outcome:
    """Have assign-vf give it the VIFs that take VFs, each with its MAC and device; where one cannot be had, a person is needed."""
    wanted = [vif for vif in data["vifs"] if vif["on_sriov"]]
    if data.pop("no_vf", None):
        data["tries"] = data.get("tries", 1) + 1
    runs = restore_points.services(world).runs
    for vif in wanted:
        child = _child(world, data, vif)
        seen = runs.look(child)
        if seen is None or not seen.over:
            said = f"assign-vf gives it VIF {vif['device']} on {vif['network_name']}"
            follow = (_assigning(world, data, vif, child),) if seen is None else ()
            return Wait(said, on=wake_on_end(child), at_most=LOOK_AGAIN, lets_go=_for_assigning(world), follow_up=follow)
        if seen.status != "done":
            return _no_vf(world, data, vif, f"run {child} (assign-vf) is {seen.status}: {seen.reason}")
    return Done(f"{len(wanted)} VIFs that take VFs" if wanted else "none of its VIFs takes a VF")


def _for_assigning(world: World) -> tuple[str, ...]:
    """What assign-vf must have for itself: the VM and the MACs."""
    return tuple(sorted(thing for thing in world.held if thing.startswith(("mac:", "vm:"))))


def _child(world: World, data: Data, vif: Mapping[str, Any]) -> UUID:
    return uuid5(world.run_id, f"assign {vif['device']} {data.get('tries', 1)}")


def _assigning(world: World, data: Data, vif: Mapping[str, Any], child: UUID) -> Request:
    params = vif.get("qos_algorithm_params", {}) if vif.get("qos_algorithm_type") == "ratelimit" else {}
    kbps = int(params.get("kbps", "0") or 0)
    wish = Wish(vif["network"], vif["network_name"], mac=vif["MAC"], device=vif["device"], qos_kbps=kbps)
    wanted = assign.request(world.pool.name, data["vm"], data["name"], wish)
    return Request(wanted.workflow, wanted.pool, wanted.subject, wanted.title, {**wanted.data, PARENT: str(world.run_id)}, child)


def _no_vf(world: World, data: Data, vif: Mapping[str, Any], why: str) -> Stuck:
    data["no_vf"] = True
    reason = f"VM {data['name']} ({data['vm']}) is restored, and has no VIF {vif['device']} on {vif['network_name']}: {why}"
    return Stuck(reason, f"vfo run {world.run_id} retry", {"vif": dict(vif)})


def start(world: World, data: Data) -> Outcome:
    """Start it, where that was asked for, and see that it holds its VFs; a VM that does not start stays as it is."""
    if not data["start"]:
        return Done(f"VM {data['name']} ({data['vm']}) is restored, and halted")
    try:
        waiting = tasks.carried_out(
            world, data, "start", lambda: world.pool.begin_start(data["vm"]), lambda: world.pool.power_state(data["vm"]) == "Running"
        )
    except Refused as error:
        again = f"vfo run {world.run_id} retry"
        return Stuck(f"VM {data['name']} ({data['vm']}) is restored, and does not start: {error}", again, {"error": str(error)})
    except Gone:
        raise GiveUp(f"VM {data['name']} was restored, and somebody has deleted it") from None
    return waiting or _runs(world, data)


def _runs(world: World, data: Data) -> Outcome:
    vm = look(world, data)
    for vif in vm.sriov_vifs:
        outcome = possession.seen(world, data, vm, vif.uuid)
        if not isinstance(outcome, Done):
            return outcome
    return Done(f"VM {vm.name} ({vm.uuid}) is restored and runs" + f", with {len(possession.vfs(vm))} VFs" * bool(vm.sriov_vifs))


MAKING = (
    Step(examine, timeout=timedelta(hours=12)),
    Step(make_vm, undo=take_away),
    Step(make_disks),
    Step(fill, undo=end_filling, timeout=None),
    Step(attach),
    Step(make_vifs),
)
"""A VM made of a restore point, whole or not at all."""

RESTORE = Workflow(
    NAME,
    "Get a VM back from a restore point",
    (
        *MAKING,
        Step(hand_over),
        Step(give_vfs, timeout=None),
        Step(start),
    ),
)
