"""What is read of the rows for metrics and health: by few queries, however often is asked, and never waited for long."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from orchestrator.presence import CALLS, PREFIX
from state import runs, standing
from state.run import ACTIVE, Run, Status
from state.store import Store
from workflows import keep_window, waiting_list

T = TypeVar("T")

FRESH = 5.0  # seconds for which a reading is good enough
ENDED_FRESH = 600.0  # of the runs that have ended there may be millions: they are counted one by one
UNFINISHED = ACTIVE | {Status.STUCK}
WITHIN = 2.0  # seconds that anybody waits; probes and scrapes are given up after a few


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What came of asking: a value, or why there is none."""

    value: T | None
    problem: str = ""


class Asked(Generic[T]):
    """Asks in a thread of its own, one at a time, so that who wants to know waits a moment at most; an answer holds for *fresh* seconds."""

    def __init__(self, ask: Callable[[], T], fresh: float = FRESH) -> None:
        self._ask = ask
        self._fresh = fresh
        self._changed = threading.Condition()
        self._asking_since: float | None = None
        self._answer: Answer[T] = Answer(None, "not asked yet")
        self._answered_at: float | None = None

    def get(self, within: float = WITHIN) -> Answer[T]:
        """The answer, when it comes *within* so many seconds."""
        with self._changed:
            if self._answered_at is not None and time.monotonic() - self._answered_at < self._fresh:
                return self._answer
            if self._asking_since is None:
                self._asking_since = time.monotonic()
                threading.Thread(target=self._run, name="asking", daemon=True).start()
            since = self._asking_since
            if self._changed.wait_for(lambda: self._asking_since is None, within):
                return self._answer
            return Answer(None, f"no answer for {time.monotonic() - since:.0f} s")

    def _run(self) -> None:
        try:
            answer = Answer(self._ask())
        except Exception as error:  # noqa: BLE001 - whatever ails what is asked is the answer
            answer = Answer(None, str(error) or type(error).__name__)
        with self._changed:
            self._answer, self._answered_at, self._asking_since = answer, time.monotonic(), None
            self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class Window:
    """A window that is kept now: until when, and how many of its VMs stand how."""

    pool: str
    name: str
    closes: datetime | None
    vms: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """*leases*: by name, without those of processes and calls. *lag*: seconds for which the first of *due* runs has been due."""

    leases: list[standing.Held] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    due: int = 0
    lag: float = 0.0


def of(store: Store, now: datetime) -> Reading:
    """What the rows say now."""
    with store.read() as session:
        held = [one for one in standing.held(session, now=now) if not one.name.startswith((PREFIX, CALLS))]
        due = standing.due(session, now=now)
        kept = [window(run) for run in standing.active(session, keep_window.NAME) if run.subject.startswith("window:")]
    return Reading(held, kept, due.count, due.lag(now).total_seconds())


def window(run: Run) -> Window:
    """How far the run of a window is."""
    data: Mapping[str, Any] = run.data
    vms = {state: int(data.get(state, 0)) for state in keep_window.COUNTED}
    vms |= {"waiting": waiting_list.length(data["list"]) if "list" in data else 0, "at_work": len(data.get("at_work", ()))}
    closes = datetime.fromisoformat(data["closes"]) if data.get("closes") else None
    return Window(run.pool, str(data.get("window", "")), closes, vms)


def counts(store: Store) -> dict[str, int]:
    """How many runs are active or stuck, by status: cheap, however many have ended."""
    return _counts(store, UNFINISHED)


def ended(store: Store) -> dict[str, int]:
    """How many runs have ended otherwise, by status."""
    return _counts(store, frozenset(Status) - UNFINISHED)


def _counts(store: Store, statuses: Collection[Status]) -> dict[str, int]:
    with store.read() as session:
        return {status.value: count for status, count in runs.counts(session, statuses).items()}
