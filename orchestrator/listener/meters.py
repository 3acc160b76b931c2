"""Figures of one listener, for whoever shows them. Written by the listener's threads, each figure by one of them; read at any time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Meters:
    """Counters since the process started, and the latest figures.

    *batches*, *events*: answers of event.from and what was in them. *loads*: full loads; *class_reloads*: classes loaded anew because
    their number of objects differed. *restarts*: streams dropped because they were deaf. *failures*: times that following a pool was
    interrupted. *causes*: what was found to have happened. *tasks_ended*: tasks that ended or went. *lag_seconds*: how long the latest
    proof of hearing took. *last_answer_at*, *complete_at*: the latest answer, and when the mirror was last known to be complete.
    *objects*: mirrored objects by class. *active*: whether this process holds the pool's lease.
    """

    batches: int = 0
    events: int = 0
    loads: int = 0
    class_reloads: int = 0
    restarts: int = 0
    failures: int = 0
    causes: int = 0
    tasks_ended: int = 0
    lag_seconds: float = 0.0
    active: bool = False
    last_answer_at: datetime | None = None
    complete_at: datetime | None = None
    objects: dict[str, int] = field(default_factory=dict)


def said(of_pools: Mapping[str, Meters]) -> dict[str, Any]:
    """What a process says of the pools that it listens to: how far behind it is, in seconds, and when it heard each last."""
    active = {name: meters for name, meters in of_pools.items() if meters.active}
    heard = {name: meters.last_answer_at.isoformat() for name, meters in active.items() if meters.last_answer_at is not None}
    return {"lag": {name: meters.lag_seconds for name, meters in active.items()}, "heard": heard}
