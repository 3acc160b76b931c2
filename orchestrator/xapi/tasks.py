"""How a XenAPI task stands: what `Async.*` returned is only a promise until its task says so."""

import msgspec

from orchestrator.xapi import errors, xml
from workflows.ports import Unknown
from workflows.tasks import Failed, Pending, Succeeded, TaskOutcome


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
