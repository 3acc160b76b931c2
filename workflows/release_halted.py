"""Take the VFs from a VM that stays halted: its VIFs on SR-IOV networks go when it was not started for as long as the policy says.

A halted VM holds no VF, but its VIFs want one at the next start, and admission counts it (`[assign] count_halted`). XenAPI does not say
since when a VM is halted, so the run is its own memory: it is parked from when the VM was first seen halted, the VM's every change wakes
it, and it ends when the VM is started.
"""

from datetime import datetime, timedelta

from workflows import cures, release
from workflows.objects import VM
from workflows.outcome import Done, Finish, Outcome, Request, Wait, wake_on_object
from workflows.ports import Gone
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "release-halted"
LOOK = timedelta(days=1)  # a change of the VM wakes the run; this is for a wake that was lost


def concerns(vm: VM) -> bool:
    """Whether it is a VM that is halted and wants a VF when it starts."""
    return cures.is_at_rest(vm) and bool(vm.sriov_vifs)


def request(pool: str, vm: VM, now: datetime) -> Request:
    """The run for a VM that is seen halted *now*."""
    return Request(NAME, pool, f"vm:{vm.uuid}", f"VM {vm.name}", {"vm": vm.uuid, "vm_name": vm.name, "since": now.isoformat()})


def stay_halted(world: World, data: Data) -> Outcome:
    """Wait as long as the policy says; a VM that is started keeps its VIFs. Then a run of release-vf takes them."""
    patience = world.policy.reclaim.halted_longer_than
    if patience is None:
        return Finish("the policy does not want it any more (halted_longer_than)")
    try:
        vm = world.pool.vm(data["vm"])
    except Gone:
        return Finish("the VM is gone")
    if not concerns(vm):
        return Finish("it is not halted any more" if vm.sriov_vifs else "it wants no VF any more")
    ends = datetime.fromisoformat(data["since"]) + patience
    if world.now < ends:
        said = f"halted since {data['since'][:16]} UTC or longer: its VFs are released at {ends:%Y-%m-%d %H:%M} UTC unless it is started"
        return Wait(said, on=wake_on_object(world.pool.name, "vm", vm.uuid), at_most=min(ends - world.now, LOOK))
    said = f"halted for {patience}: its {len(vm.sriov_vifs)} VIFs on SR-IOV networks go"
    return Done(said, follow_up=(release.request(world.pool.name, vm, ()),))


RELEASE_HALTED = Workflow(NAME, "Take the VFs from a VM that stays halted, where the policy says so", (Step(stay_halted, timeout=None),))
