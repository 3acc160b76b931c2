"""The step in which a product forgets what the policy keeps no longer."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from plugins.errors import GiveUp, Queued, RetryLater
from workflows import retention
from workflows.backup_hooks import services
from workflows.outcome import Done, Outcome, Wait
from workflows.policies import Keep
from workflows.workflow import Data
from workflows.world import World

TRIES = 5
LATER = timedelta(minutes=1)
PATIENCE = timedelta(minutes=30)
"""For how long others of ours are let go first, less than a step may take; the VM's next backup removes what is left then."""


def forget(world: World, data: Data) -> Outcome:
    """Have the product remove the restore points that the policy keeps no longer; what goes wrong with that fails no backup."""
    plan = world.policy.backups.policies.get(data["policy"])
    if plan is None:
        return Done("the policy is not there any more: everything is kept")
    if plan.keep == Keep():
        return Done("the policy keeps everything")
    window, plugins = world.policy.backups.windows.get(plan.window), services(world).plugins
    zone = ZoneInfo(window.window.timezone if window else "UTC")
    try:
        points = retention.of(plugins.points(data["product"]), pool=world.pool.name, vm=data["vm"], policy=data["policy"])
        old = retention.outlived(points, plan.keep, zone)
        freed = plugins.forget(data["product"], old) if old else 0
    except RetryLater as busy:
        if _may_wait(world, data, busy):
            return Wait(f"old restore points are to be removed: {busy}", at_most=busy.after or LATER)
        return _amiss(data, busy)
    except GiveUp as error:
        return _amiss(data, error)
    if queued := data.pop("forget_queued", ""):
        data["queued"] = data.get("queued", 0.0) + (world.now - datetime.fromisoformat(queued)).total_seconds()
    if old:
        data["forgotten"] = {"points": len(old), "bytes": freed}
    return Done(f"{len(points) - len(old)} restore points are kept, {len(old)} removed")


def _may_wait(world: World, data: Data, busy: RetryLater) -> bool:
    """Others of ours are let go first for a while; a product that is busy otherwise is asked a few times."""
    if isinstance(busy, Queued):
        since = datetime.fromisoformat(data.setdefault("forget_queued", world.now.isoformat()))
        return world.now - since < PATIENCE
    data["forget_tries"] = data.get("forget_tries", 0) + 1
    return int(data["forget_tries"]) < TRIES


def _amiss(data: Data, error: Exception) -> Done:
    data.setdefault("left", []).append(f"old restore points could not be removed: {error}")
    return Done(data["left"][-1])
