"""How a XenAPI task stands: what `Async.*` returned is only a promise until its task says so."""

from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.xapi import errors, xml
from workflows.ports import PoolError, Unknown


@dataclass(frozen=True, slots=True)
class Pending:
    """It works on; *progress* from 0 to 1."""

    progress: float


@dataclass(frozen=True, slots=True)
class Succeeded:
    """It is done; *value* is what the call returned ("" for nothing)."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """It failed with *error*; `Unknown` when it was cancelled, since a cancelled shutdown may well have halted the VM."""

    error: PoolError


@dataclass(frozen=True, slots=True)
class Vanished:
    """The pool knows no such task (any more): that says nothing about its work, so the object must be judged."""


TaskOutcome = Pending | Succeeded | Failed | Vanished


class TaskRecord(msgspec.Struct):
    """The fields of a task that tell how it stands."""

    status: str
    progress: float = 0.0
    result: str = ""
    error_info: list[str] = []


def outcome(task: TaskRecord) -> TaskOutcome:
    """What the task's record says (xapi: a task is pending, success, failure, cancelling or cancelled)."""
    match task.status:
        case "success":
            return Succeeded(xml.task_result(task.result))
        case "failure":
            return Failed(errors.named(task.error_info))
        case "cancelled":
            return Failed(Unknown("TASK_CANCELLED"))
        case _:
            return Pending(task.progress)
