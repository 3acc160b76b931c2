"""What a restore that is over, or that nobody knows, left half made in a pool: VMs and disks that bear its mark."""

from collections.abc import Callable
from uuid import UUID

from workflows import leftovers, restore_making, restoring
from workflows.objects import VM
from workflows.outcome import Done, Finish, Outcome, Request
from workflows.plan import Plan
from workflows.workflow import Data
from workflows.world import World

IsOver = Callable[[UUID], bool | None]


def run_of(vm: VM) -> str | None:
    """The run whose mark the VM bears; snapshots copy marks, and are not what was made."""
    note = restoring.read(vm.other_config)
    return note["run"] if note is not None and not vm.is_snapshot else None


def requests(workflow: str, found: leftovers.Found, is_over: IsOver, *, unknown_too: bool) -> list[Request]:
    """A run of *workflow* for each restore that is over and has left something."""
    marked = {run for vm in found.marked if (run := run_of(vm))} | {disk.run for disk in found.disks}
    wanted = []
    for run in sorted(marked):
        over = _is_over(run, is_over)
        if unknown_too if over is None else over:
            wanted.append(Request(workflow, found.pool, f"restore:{run}", f"what run {run[:8]} restored in part", {"restored": run}))
    return wanted


def _is_over(run: str, is_over: IsOver) -> bool | None:
    try:
        return is_over(UUID(run))
    except ValueError:
        return None


def plan(request: Request) -> Plan:
    """What the run of one of these requests would do."""
    said = f"destroy the VM and the disks that run {request.data['restored']} made and did not hand over"
    return Plan(f"{request.workflow} of {request.title}", (said,), ("VM.hard_shutdown", "VDI.destroy", "VM.destroy"))


def look(world: World, data: Data) -> Outcome:
    """See what there is of it."""
    made = world.pool.made_by(data["restored"])
    if not (made.vms or made.disks):
        return Finish("nothing is left behind any more")
    return Done(f"left behind: {len(made.vms)} VMs and {len(made.disks)} disks")


def clear_away(world: World, data: Data) -> Outcome:
    """Destroy it; a disk that another VM has by now stays."""
    return restore_making.destroy_made_by(world, data, data["restored"])
