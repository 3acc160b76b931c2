"""Restore points in a run's data, as plain JSON: a run goes by what the product said when it began."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from plugins.errors import GiveUp
from plugins.values import Disk, RestorePoint
from workflows.backup_jobs import plain
from workflows.services import Services
from workflows.workflow import Data
from workflows.world import World


def as_data(point: RestorePoint) -> dict[str, Any]:
    """The point as plain JSON."""
    rest = {name: getattr(point, name) for name in ("id", "run_id", "pool", "vm", "vm_name", "policy", "whole_vm")}
    return {
        **rest, "taken_at": point.taken_at.isoformat(), "disks": [asdict(disk) for disk in point.disks],
        "blueprint": plain(point.blueprint), "sha256": {str(number): said for number, said in point.sha256.items()},
    }  # fmt: skip


def of_data(data: Mapping[str, Any]) -> RestorePoint:
    """The point that `as_data` made plain."""
    disks = tuple(Disk(**disk) for disk in data["disks"])
    sha256 = {int(number): said for number, said in data["sha256"].items()}
    return RestorePoint(**{**data, "taken_at": datetime.fromisoformat(data["taken_at"]), "disks": disks, "sha256": sha256})


def of_run(data: Data) -> RestorePoint:
    """The point of a run that has examined it."""
    return of_data(data["point"])


def services(world: World) -> Services:
    """What restores reach besides the pool."""
    if world.services is None:
        raise GiveUp("this process has no plugins: `vfo serve` restores")
    return world.services


def fitting(points: Iterable[RestorePoint], written: str) -> list[RestorePoint]:
    """Those of this id; where there is none, those whose id begins so."""
    known = list(points)
    return [point for point in known if point.id == written] or [point for point in known if written and point.id.startswith(written)]


def lacks(point: RestorePoint) -> str:
    """Why no VM can be made of it; "" when one can."""
    if not isinstance(point.blueprint.get("vm"), Mapping) or "record" not in point.blueprint["vm"]:
        return f"restore point {point.id} has no blueprint of its VM: its disks can be read (`vfo backup files`), and no VM be made of it"
    known = {disk["device"] for disk in point.blueprint.get("disks", ())}
    strangers = [disk.device for disk in point.disks if disk.device not in known]
    if strangers:
        return f"restore point {point.id}: its blueprint says nothing of disk {', '.join(strangers)}"
    return ""


def drawing(point: RestorePoint, disk: Disk) -> Mapping[str, Any]:
    """What the blueprint says of the disk and its place."""
    found: Mapping[str, Any] = next(one for one in point.blueprint["disks"] if one["device"] == disk.device)
    return found
