"""How a step ends. A step never sleeps and never decides what happens to its run: it returns one of these."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

LOOK_AGAIN = timedelta(seconds=30)
PARENT = "parent"
"""Where a run's data names the run that began it and waits for its end, or something of many runs at whose ends others wait."""


@dataclass(frozen=True, slots=True)
class Request:
    """A run that is wanted.

    *subject* is what the run is about, as "kind:uuid" ("vm:...", "port:..."): of one workflow only one run is active on a subject.
    *title* is what a person calls it ("VM web-03"). *data* is plain JSON; a run whose end another run waits for names that
    one there as `PARENT`. *id*: the run's own, where the one who wants it must know it before; None: any.
    """

    workflow: str
    pool: str
    subject: str
    title: str
    data: dict[str, Any] = field(default_factory=dict)
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The step is done and was seen to be so; the next one follows. The runs in *follow_up* are created in the same transaction."""

    message: str = ""
    follow_up: tuple[Request, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until something happens; the same step runs again then, or after *at_most*, whichever comes first.

    *on* is the key of what is waited for (see `wake`): None waits for the time alone. *lets_go*: things that the run has for itself and
    is done with: from the record on that says so others may have them. Its undo may not touch them any more either. *follow_up*: runs that
    are created in the same transaction.
    """

    message: str
    on: str | None = None
    at_most: timedelta = LOOK_AGAIN
    lets_go: tuple[str, ...] = ()
    follow_up: tuple[Request, ...] = ()


@dataclass(frozen=True, slots=True)
class Need:
    """The run must have these *things* ("vm:UUID", "port:UUID", "host:UUID", "pool:UUID") for itself before it goes on.

    The engine takes all of them at once and runs the same step again; while another run has one, this run is parked. Whatever it has
    it keeps until it ends, or a `Wait` lets it go; a stuck run keeps them too, until a person has dealt with it. `World.held` says what
    the run has.
    """

    things: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is done here: what the later steps would do is so already."""

    message: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The run ends refused: nothing was touched. What earlier steps did is undone, and then the run ends undone instead."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """A person is needed: why, what was seen, and the next command to type. A retry goes on at the step *retry_at*; "" is this one."""

    reason: str
    next_command: str
    evidence: dict[str, Any] = field(default_factory=dict)
    retry_at: str = ""


Outcome = Done | Wait | Need | Finish | Refuse | Stuck

DONE = Done()


def wake_on_task(pool: str, ref: str) -> str:
    """The key that is woken when this task of the pool has ended or is gone."""
    return f"task:{pool}:{ref}"


def wake_on_object(pool: str, kind: str, uuid: str) -> str:
    """The key that is woken when this object of the pool changes or goes; *kind* is the XenAPI class in lower case."""
    return f"{kind}:{pool}:{uuid}"


def wake_on_end(run_id: object) -> str:
    """The key that is woken when a run that names its `PARENT` has ended, or is stuck."""
    return f"run:{run_id}"


def wake_on_child(parent: object) -> str:
    """The key that is woken when any run that names this one as its `PARENT` has ended, or is stuck."""
    return f"child:{parent}"


def wake_on_approval(run_id: object) -> str:
    """The key that is woken when a person approves the run (`vfo run ID approve`)."""
    return f"approval:{run_id}"
