"""How something that takes long is begun, waited for and judged where a failure is not the run's end: others are still to be tried."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from plugins.errors import RetryLater
from workflows.outcome import Wait, wake_on_task
from workflows.ports import Busy, Denied, Gone, LockedOut, PoolError, Refused, Transient, Unknown
from workflows.tasks import Failed, Pending
from workflows.world import World

AT_ONCE = timedelta()
SOON = timedelta(seconds=5)

Memo = dict[str, Any]


def attempt(world: World, memo: Memo, what: str, begin: Callable[[], str], is_so: Callable[[], bool]) -> Wait | PoolError | None:
    """Do *what*: begin it once, wait for its task, judge by the object. None: it is so; an error: it was refused, and is not so.

    As `workflows.tasks.carried_out`, but that nothing is raised for which the run would be given up; the task is noted in *memo*, which is
    part of the run's data. Raises what is to be tried again: the pool is away, or does not let us in.
    """
    if is_so():
        over(world, memo)
        return None
    if "task" not in memo:
        return _begun(world, memo, what, begin)
    state = world.pool.task(memo["task"])
    if isinstance(state, Pending):
        return Wait(f"{what} is at work", on=wake_on_task(world.pool.name, memo["task"]))
    del memo["task"]
    if is_so():
        return None
    if isinstance(state, Failed) and not isinstance(state.error, Transient | Busy | Unknown):
        return state.error
    why = f": {state.error}" if isinstance(state, Failed) else ""
    return Wait(f"{what} ended, and it is not so yet{why}", at_most=SOON)


def over(world: World, memo: Memo) -> None:
    """The object was seen to be so: the task that was begun for it, if there is one, is of no more use and leaves the pool."""
    if ref := memo.pop("task", None):
        world.pool.task(ref)


def _begun(world: World, memo: Memo, what: str, begin: Callable[[], str]) -> Wait | PoolError:
    try:
        memo["task"] = begin()
    except LockedOut:
        raise
    except (Refused, Gone, Denied) as error:
        return error
    except RetryLater as later:  # the object is busy, perhaps with this very thing: the others need not wait for it
        return Wait(f"{what}: {later}", at_most=later.after or SOON)
    except Busy as error:
        return Wait(f"{what}: {error}", at_most=SOON)
    return Wait(f"{what} has begun", on=wake_on_task(world.pool.name, memo["task"]))


def first(waits: list[Wait], most: int = 3) -> Wait:
    """One wait for several things: woken by the first of them, and soon looked at for the others."""
    said = "; ".join(dict.fromkeys(wait.message for wait in waits[:most]))
    more = f"; and {len(waits) - most} more" if len(waits) > most else ""
    soonest = min(wait.at_most for wait in waits)
    return Wait(said + more, on=waits[0].on, at_most=soonest if len(waits) == 1 else min(SOON, soonest))
