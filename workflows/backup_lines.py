"""How the backup of a VM ended: for the hooks, for the catalogue, for the observers."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from plugins.values import BackupEnded, BackupVM, Ended
from workflows import backup_hooks
from workflows.backup_hooks import services
from workflows.services import Saved
from workflows.workflow import Data
from workflows.world import World


def nobody(world: World, data: Data) -> dict[str, Any]:
    """The VM as far as the run knows it before it has looked."""
    vm = BackupVM(
        world.run_id, world.pool.name, data["vm"], data["vm_name"], data["policy"], data["product"], data["window"], power_state=""
    )  # fmt: skip
    return backup_hooks.as_data(vm)


def ended(world: World, data: Data) -> Ended:
    """How it ended, or has ended so far: what is saved is saved, whatever came after it."""
    if result := data.get("result"):
        return Ended("saved", "; ".join(data.get("left", ())), result["point"], result["read"], result["stored"])
    said = data.get("ended") or _given_up(world)
    return Ended(said["status"], "; ".join([said["reason"], *data.get("left", ())]))


def _given_up(world: World) -> dict[str, str]:
    """A run that is undone without having said why was cancelled by a person, or failed."""
    if world.given_up == "cancelled":
        return {"status": "cancelled", "reason": "cancelled"}
    return {"status": "failed", "reason": world.given_up}


def record(world: World, data: Data, children: Iterable[UUID]) -> Ended:
    """Write the line of the catalogue and tell the observers; what was written."""
    last, result = ended(world, data), data.get("result", {})
    began, vm = datetime.fromisoformat(data.get("began_at", world.now.isoformat())), backup_hooks.of_data(data["backup"])
    line = Saved(
        id=world.run_id, pool=vm.pool, vm=vm.vm, vm_name=vm.name, policy=vm.policy, product=vm.product, window=vm.window,
        opened_at=datetime.fromisoformat(data["opened_at"]), status=last.status, reason=last.reason, began_at=began, ended_at=world.now,
        downtime=_downtime(world, children), size=data.get("size", 0), read=last.read, stored=last.stored, point=last.point,
        mode=data.get("prepared_as", ""), details={**result.get("details", {}), **_beside(data)},
    )  # fmt: skip
    services(world).catalogue.record(line)
    world.announce(BackupEnded(vm, last, world.now))
    return last


def _beside(data: Data) -> dict[str, Any]:
    """What went on besides: restore points that were forgotten, hooks that were not well, for how many seconds it was queued."""
    unwell = [{"hook": hook, **verdict} for hook, said in data.get("verdicts", {}).items() for verdict in said if verdict["end"] != "ok"]
    said: dict[str, Any] = {name: data[name] for name in ("forgotten", "not_tracked", "queued") if name in data}
    return {**said, **({"hooks": unwell} if unwell else {})}


def _downtime(world: World, children: Iterable[UUID]) -> timedelta:
    """How long the guest was down, by what the runs wrote that shut it down; one that is down yet is down until now."""
    seen = [view for view in map(services(world).runs.look, children) if view is not None and "down_at" in view.data]
    spans = [
        datetime.fromisoformat(view.data["up_at"]) - datetime.fromisoformat(view.data["down_at"])
        if "up_at" in view.data
        else world.now - datetime.fromisoformat(view.data["down_at"])
        for view in seen
    ]
    return sum(spans, timedelta())
