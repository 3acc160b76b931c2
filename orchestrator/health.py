"""Whether a process lives, and whether it can do its work: each with what was looked at and what is amiss."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.listener.meters import Meters
from orchestrator.parts import Part, dead
from orchestrator.readings import Asked
from orchestrator.roles import Role

FRESH = 1.0


class State(StrEnum):
    """How a thing is. What is degraded works, slower or without help."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; *reason*: how it is, or why it is not well."""

    name: str
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was looked at; as bad as the worst."""

    roles: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def state(self) -> State:
        """The worst of them."""
        return max((check.state for check in self.checks), key=list(State).index, default=State.OK)

    def as_data(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "status": self.state.value,
            "roles": list(self.roles),
            "checks": [{"check": check.name, "status": check.state.value, "reason": check.reason} for check in self.checks],
        }


@dataclass(frozen=True, slots=True)
class Watched:
    """What a process consists of, as far as its health goes.

    *database*: raises what is wrong with it. *broker*: why no message goes, "" when they do. *workers_live*: None where there are none.
    *channels*: by which this process tells people, each with why nothing goes by it, "" when all is well.
    """

    roles: Collection[Role]
    parts: Iterable[Part]
    database: Callable[[], object]
    broker: Callable[[], str]
    workers_live: Callable[[], bool] | None
    meters: Mapping[str, Meters]
    stopping: threading.Event
    channels: Callable[[], Mapping[str, str]] = dict


class Health:
    """Answers for one process, quickly, whatever it is asked about hangs."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._roles = tuple(role.value for role in Role if role in watched.roles)
        self._database = Asked(watched.database, FRESH)

    def alive(self) -> Report:
        """Whether every thread lives that is to live. A process of which one died is to be started anew."""
        gone = [
            Check(name, State.FAILED, "has died: see the log; the process stops, to be started anew") for name in dead(self._watched.parts)
        ]
        if self._watched.workers_live is not None and not self._watched.stopping.is_set() and not self._watched.workers_live():
            gone.append(
                Check(
                    "engine",
                    State.FAILED,
                    "a worker, the sweeper or the heartbeat has died: see the log; the process stops, to be started anew",
                )
            )
        return Report(self._roles, tuple(gone) or (Check("threads", State.OK, "all live"),))

    def ready(self) -> Report:
        """Whether it can do its work: what it needs answers, and each pool is followed here or stood by for."""
        checks = [check for check in self.alive().checks if check.state is not State.OK]
        if self._watched.stopping.is_set():
            checks.append(Check("process", State.FAILED, "it is stopping"))
        checks += [self._of_database(), self._of_broker()]
        checks += [_of_pool(name, meters) for name, meters in sorted(self._watched.meters.items())]
        checks += [
            Check(f"channel {name}", State.DEGRADED if problem else State.OK, problem or "takes what it is given")
            for name, problem in sorted(self._watched.channels().items())
        ]
        return Report(self._roles, tuple(checks))

    def _of_database(self) -> Check:
        answer = self._database.get()
        return Check("database", State.FAILED if answer.problem else State.OK, answer.problem or "answers, with this version's schema")

    def _of_broker(self) -> Check:
        problem = self._watched.broker()
        return Check("broker", State.DEGRADED if problem else State.OK, problem or "messages go by it")


def _of_pool(name: str, meters: Meters) -> Check:
    about = f"pool {name}"
    if not meters.active:
        return Check(about, State.OK, "another process listens, or soon one of them does; this one stands by")
    if meters.complete_at is None:
        return Check(about, State.FAILED, "this process listens, and has not seen the whole pool yet")
    return Check(about, State.OK, f"this process listens; it saw the whole pool at {meters.complete_at:%Y-%m-%d %H:%M:%S} UTC")
