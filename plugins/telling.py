"""What the values of plugins look like to programs outside: as plain JSON, and as environment variables."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from plugins.values import BackupVM, Ended, RestorePoint, Snapshot, WindowEnded, WindowOpening

LONGEST = 100_000
"""Bytes of one variable: Linux takes no more than 128 KiB."""


def plain(value: Any) -> Any:
    """A value, whatever it is made of, as JSON has it: moments in UTC as ISO 8601, uuids as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return str(value)


def in_environment(values: Mapping[str, object]) -> dict[str, str]:
    """The values of a hook as variables, each "VFO_...". What would be too long for a variable is left out: it is in the JSON."""
    found: dict[str, Any] = {}
    for value in values.values():
        found |= _variables(value)
    said = {f"VFO_{name}": "" if one is None else str(one).replace("\0", "") for name, one in found.items()}
    return {name: text for name, text in said.items() if len(text.encode(errors="surrogateescape")) <= LONGEST}


def _variables(value: object) -> dict[str, Any]:
    return next((say(value) for kind, say in SAYS.items() if isinstance(value, kind)), {})


def _of_vm(vm: BackupVM) -> dict[str, Any]:
    return {
        "RUN_ID": vm.run_id, "POOL": vm.pool, "VM": vm.vm, "VM_NAME": vm.name, "POLICY": vm.policy, "PRODUCT": vm.product,
        "WINDOW": vm.window, "POWER_STATE": vm.power_state, "TAGS": json.dumps(vm.tags),
    }  # fmt: skip


def _of_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    disks = json.dumps(plain(snapshot.disks))
    return {"SNAPSHOT": snapshot.uuid, "SNAPSHOT_NAME": snapshot.name, "TAKEN_AT": plain(snapshot.taken_at), "DISKS": disks}


def _of_end(ended: Ended) -> dict[str, Any]:
    return {"STATUS": ended.status, "REASON": ended.reason, "POINT": ended.point, "READ": ended.read, "STORED": ended.stored}


def _of_opening(window: WindowOpening) -> dict[str, Any]:
    times = {"OPENS": plain(window.opens), "CLOSES": plain(window.closes)}
    return {"RUN_ID": window.run_id, "POOL": window.pool, "WINDOW": window.name, **times}


def _of_window(ended: WindowEnded) -> dict[str, Any]:
    whole = {"SAVED": ended.saved, "SKIPPED": ended.skipped, "REFUSED": ended.refused}
    return {**whole, "FAILED": ended.failed, "MISSED": ended.missed}


def _of_point(point: RestorePoint) -> dict[str, Any]:
    whose = {"RUN_ID": point.run_id, "POOL": point.pool, "VM": point.vm, "VM_NAME": point.vm_name, "POLICY": point.policy}
    return {"POINT": point.id, **whose, "TAKEN_AT": plain(point.taken_at)}


SAYS: dict[type, Callable[[Any], dict[str, Any]]] = {
    BackupVM: _of_vm, Snapshot: _of_snapshot, Ended: _of_end, WindowOpening: _of_opening, WindowEnded: _of_window, RestorePoint: _of_point,
}  # fmt: skip
