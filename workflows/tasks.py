"""How a task of the pool stands, and the one way in which steps do something that takes long."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plugins.errors import RetryLater
from workflows.outcome import Wait, wake_on_task

if TYPE_CHECKING:
    from workflows.ports import PoolError
    from workflows.workflow import Data
    from workflows.world import World


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

    error: "PoolError"


@dataclass(frozen=True, slots=True)
class Vanished:
    """The pool knows no such task (any more): that says nothing about its work, so the object must be judged."""


OVER = "tasks_over"
TaskOutcome = Pending | Succeeded | Failed | Vanished


def carried_out(world: "World", data: "Data", what: str, begin: Callable[[], str], is_so: Callable[[], bool]) -> Wait | None:
    """Do *what*, which takes long: begin it once, wait for its task, and judge by the object. None: it is so now.

    *begin* starts it and returns its task's ref, *is_so* looks at the object. The ref is noted in *data*. When the process dies between the
    beginning and the record the ref is lost: *begin* must then find the work under way (an operation in progress on the object) and raise
    RetryLater rather than begin it twice. While the task works the object may look so too early (a snapshot without all its disks), so the
    task is asked first; one that ended is gone from the pool then. A task that is gone says nothing: where the object is not so, *begin* is
    called again. Raises the task's error; RetryLater when a task ended well and the object is not so yet.
    """
    key, state = f"task:{what}", None
    if key in data:
        state = world.pool.task(data[key])
        if isinstance(state, Pending):
            return Wait(f"{what} is at work", on=wake_on_task(world.pool.name, data[key]))
        del data[key]
    if is_so() or (state is not None and is_so()):  # the first look may have been taken before the task was asked
        return None
    if isinstance(state, Failed):
        raise state.error
    if isinstance(state, Succeeded):
        raise RetryLater(f"{what} ended, but it is not so yet")
    data[key] = begin()
    return Wait(f"{what} has begun{' again' if state else ''}", on=wake_on_task(world.pool.name, data[key]))


def over(data: "Data", what: str) -> None:
    """The object was seen to be so: the task that was begun for it, if there is one, is of no more use. It leaves the pool by `tidied`."""
    if ref := data.pop(f"task:{what}", None):
        data[OVER] = [*data.get(OVER, ()), ref]


def tidied(world: "World", data: "Data") -> None:
    """The tasks that are over leave the pool: for a moment at which no guest is down for it."""
    for ref in data.pop(OVER, ()):
        world.pool.task(ref)
