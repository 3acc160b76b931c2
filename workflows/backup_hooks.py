"""The acting hooks around the backup of a VM: asked before a thing, told after it, and every verdict is kept."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from plugins.values import BackupVM, Ended
from workflows.outcome import Refuse, Wait
from workflows.services import Services, Verdict
from workflows.workflow import Data
from workflows.world import World

LATER = timedelta(minutes=1)  # where a hook that says "later" does not say when
STATUS = {"refuse": "refused", "skip": "skipped"}
AFTER = {"before_snapshot": "after_snapshot", "before_job": "after_job"}
IN_WORDS = {
    "refuse": "refuses",
    "skip": "says that there is nothing to do",
    "later": "asks for patience",
    "give-up": "gives up",
    "failed": "failed",
    "late": "took too long",
}
CARRIED = ("backup", "hooks", "hook_seconds", "policy", "needs")
"""What a run that works for a backup has in its data besides its own, see `workflows.back_up`."""


def services(world: World) -> Services:
    """What a backup by policy cannot do without; the one who runs it gives it."""
    if world.services is None:
        raise RuntimeError("a backup by policy is worked on without plugins and catalogue")
    return world.services


def as_data(vm: BackupVM) -> dict[str, Any]:
    """The VM that is backed up as plain JSON."""
    return {**asdict(vm), "run_id": str(vm.run_id), "tags": list(vm.tags)}


def of_data(noted: Mapping[str, Any]) -> BackupVM:
    """The VM again, as hooks and products are shown it: by the run that backs it up, whichever run calls them."""
    return BackupVM(**{**noted, "run_id": UUID(noted["run_id"]), "tags": tuple(noted["tags"])})


def ask(world: World, data: Data, hook: str, *values: object) -> Wait | Refuse | None:
    """Ask the hooks that the policy names, each within its time; None: all of them are well.

    Where one is not, `data["ended"]` says how the backup ends by it, and where the thing has a hook that comes after it (all but before_vm,
    which the whole backup has) that one is told: some of the plugins may have been well. *values* follow the VM in the hook's parameters.
    """
    no = next((verdict for verdict in _called(world, data, hook, *values) if not verdict.well), None)
    if no is None:
        return None
    why = f"{no.plugin} {IN_WORDS[no.end]} ({hook})" + (f": {no.reason}" if no.reason else "")
    if no.end == "later":
        return Wait(why, at_most=no.after or LATER)
    data["ended"] = {"status": STATUS.get(no.end, "failed"), "reason": why}
    if after := AFTER.get(hook):
        tell(world, data, after, Ended("failed" if hook == "before_snapshot" else data["ended"]["status"], why))
    return Refuse(why)


def tell(world: World, data: Data, hook: str, ended: Ended) -> str:
    """Tell the hooks that come after, once; what one of them raised is kept and changes nothing. In words."""
    if hook in data.get("told", ()):
        return ""
    amiss = [verdict for verdict in _called(world, data, hook, ended) if not verdict.well]
    data.setdefault("told", []).append(hook)
    return "; ".join(f"{one.plugin} {IN_WORDS[one.end]} ({hook})" + (f": {one.reason}" if one.reason else "") for one in amiss)


def _called(world: World, data: Data, hook: str, *values: object) -> tuple[Verdict, ...]:
    """The verdicts, also in the data: the last ones of each hook."""
    if not data.get("hooks"):
        return ()
    vm, timeout = of_data(data["backup"]), timedelta(seconds=data["hook_seconds"])
    verdicts = services(world).plugins.act(hook, data["hooks"], vm, *values, timeout=timeout)
    data.setdefault("verdicts", {})[hook] = [verdict.as_data() for verdict in verdicts]
    return verdicts
