"""The frozen values that plugins are given: never the application, never a session."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class VFFreed:
    """The VFs of a VM that is gone are proven free on *port* ("host/device"); *free* of *total* VFs are free now."""

    run_id: UUID
    pool: str
    vm: str
    vm_name: str
    port: str
    free: int
    total: int
    at: datetime


@dataclass(frozen=True, slots=True)
class VFLeaked:
    """*count* VFs of *port* are neither free nor used by anybody; *evidence* holds the looks (plain JSON)."""

    run_id: UUID
    pool: str
    port: str
    count: int
    evidence: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run ended: *end* is done, refused, undone or stuck."""

    run_id: UUID
    pool: str
    workflow: str
    title: str
    end: str
    reason: str
    at: datetime


Happening = VFFreed | VFLeaked | RunEnded
