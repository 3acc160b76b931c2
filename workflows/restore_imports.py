"""The imports of one run: which there were, which are at work yet, and which VMs they have made.

An import goes on when the process that asked for it has died, as long as all its bytes were sent, and the pool takes back what it made
when they were not: so each is waited for before anything of it is destroyed. `data["imports"]` keeps the refs of their tasks, because
a pool forgets tasks (at once when its toolstack restarts), and a VM that was imported says the ref of its task and nothing else of us.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from plugins.errors import GiveUp
from workflows.outcome import Wait
from workflows.workflow import Data
from workflows.world import World

NEVER_BEGUN = timedelta(seconds=30)
"""A task that stays pending so long after it was cancelled is of a process that died before it asked for the import."""
SOON = timedelta(seconds=1)


def note(world: World, data: Data) -> Mapping[str, bool]:
    """Keep which there are; whether each is over."""
    found = world.pool.imports_of(str(world.run_id))
    data["imports"] = sorted({*data.get("imports", ()), *found})
    return found


def ended(world: World, data: Data) -> Wait | None:
    """End those that are at work; None: none is any more."""
    at_work = [task for task, over in note(world, data).items() if not over]
    if not at_work:
        data.pop("imports_told", None)
        return None
    for task in at_work:
        world.pool.cancel_task(task)
    told = datetime.fromisoformat(data.setdefault("imports_told", world.now.isoformat()))
    if world.now - told < NEVER_BEGUN:
        return Wait("an import of an earlier try is being ended", at_most=SOON)
    return None  # what is at work all the same keeps its disks in use: they are waited for


def made(world: World, data: Data) -> tuple[str, ...]:
    """The VMs (uuids) that they have made. GiveUp when somebody has copied one: then nobody knows which of the two is ours."""
    found = world.pool.imported_by(str(world.run_id), data.get("imports", ()))
    for one in found:
        same = sorted(other.uuid for other in found if one.task and other.task == one.task)
        if len(same) > 1:
            both = " and ".join(same)
            why = f"VMs {both} both say that one import of this run made them: somebody has copied what it made, and none is destroyed"
            raise GiveUp(f"{why}; delete the one that is not wanted, then `vfo run {world.run_id} retry`")
    return tuple(one.uuid for one in found)


def forget(world: World) -> None:
    """Leave no task of theirs in the pool."""
    for task in world.pool.imports_of(str(world.run_id)):
        world.pool.forget_import(task)
