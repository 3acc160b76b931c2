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


TaskOutcome = Pending | Succeeded | Failed | Vanished


def carried_out(world: "World", data: "Data", what: str, begin: Callable[[], str], is_so: Callable[[], bool]) -> Wait | None:
    """Do *what*, which takes long: begin it once, wait for its task, and judge by the object. None: it is so now.

    *begin* starts it and returns its task's ref, *is_so* looks at the object. The ref is noted in *data*. When the process dies between the
    beginning and the record the ref is lost: *begin* must then find the work under way (an operation in progress on the object) and raise
    RetryLater rather than begin it twice. A task that is gone says nothing: where the object is not so, *begin* is called again. Raises the
    task's error; RetryLater when a task ended well and the object is not so yet.
    """
    key = f"task:{what}"
    if is_so():
        data.pop(key, None)
        return None
    if key not in data:
        data[key] = begin()
        return Wait(f"{what} has begun", on=wake_on_task(world.pool.name, data[key]))
    state = world.pool.task(data[key])
    if isinstance(state, Pending):
        return Wait(f"{what} is at work", on=wake_on_task(world.pool.name, data[key]))
    del data[key]
    if isinstance(state, Failed):
        raise state.error
    if is_so():
        return None
    if isinstance(state, Vanished):  # forgotten by a restart, or destroyed by a try of this step that came to no record
        data[key] = begin()
        return Wait(f"{what} has begun again", on=wake_on_task(world.pool.name, data[key]))
    raise RetryLater(f"{what} ended, but it is not so yet")
