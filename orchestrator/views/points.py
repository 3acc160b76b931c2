"""Restore points as people and programs see them."""

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.views.report import in_bytes
from plugins.values import RestorePoint
from workflows import restore_points

MOST_NAMES = 20
Owned = tuple[str, RestorePoint]
"""A product's name, and a restore point of it."""


def as_json(product: str, point: RestorePoint) -> dict[str, Any]:
    """A line of `vfo backup list --json`."""
    disks = [
        {"number": disk.number, "device": disk.device, "name": disk.name, "size": disk.size, "sha256": point.sha256.get(disk.number)}
        for disk in point.disks
    ]
    return {
        "id": point.id, "product": product, "pool": point.pool, "vm": point.vm, "vm_name": point.vm_name, "policy": point.policy,
        "taken_at": point.taken_at, "run": point.run_id, "whole_vm": point.whole_vm, "size": sum(disk.size for disk in point.disks),
        "disks": disks, "restorable": not restore_points.lacks(point),
    }  # fmt: skip


def row(product: str, point: RestorePoint, taken_at: str) -> list[str]:
    """A line for people."""
    size = sum(disk.size for disk in point.disks)
    return [point.id, point.vm_name, taken_at, product, point.policy, point.pool, str(len(point.disks)), in_bytes(size)]


def of_vm(points: Iterable[Owned], written: str) -> list[Owned]:
    """Those of the VM with this uuid or name, which may be gone from every pool."""
    return [(product, point) for product, point in points if written in (point.vm, point.vm_name)]


def nothing(points: Sequence[Owned], written: str | None) -> str:
    """What is said where the list is empty: of which VMs there are restore points, if not of the one that was meant."""
    names = list(dict.fromkeys(point.vm_name for _, point in points))
    if written is None or not names:
        return "There are no restore points."
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"There are no restore points of VM {written!r}; there are some of {', '.join(names[-MOST_NAMES:])}{more}."


def chosen(points: Sequence[Owned], written: str) -> list[Owned]:
    """Those that an id means, which may be shortened where one alone begins so; "PRODUCT/ID" names its product as well."""
    fits = [(product, point) for product, point in points if point in restore_points.fitting([point], written)]
    exact = [(product, point) for product, point in fits if point.id == written]
    named, _, rest = written.partition("/")
    of_product = [(product, point) for product, point in points if product == named and restore_points.fitting([point], rest)]
    return exact or fits or of_product
