"""In which order VMs are saved, which may begin now, and how a whole window would go. Pure.

The window's run and its plan decide by the same queue: what the plan shows is what would be done, as far as the estimates hold.
"""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from workflows.policies import Limits

Load = tuple[str, ...]
POOL = "pool:"
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A VM that a policy is to save. *saved_at*: when it was last, None: never. *host*, *SRs*, *ports*: what its backup weighs on."""

    vm: str
    name: str
    policy: str
    priority: int
    saved_at: datetime | None
    takes: timedelta
    host: str | None = None
    SRs: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[int, datetime, str, str]:
        """The lower goes first: by priority, then the one that was saved longest ago, then by name."""
        return (-self.priority, self.saved_at or NEVER, self.name, self.vm)

    @property
    def load(self) -> Load:
        """What its backup weighs on, each as "kind:uuid"; the VM itself too, which two policies may name."""
        hosts = [f"host:{self.host}"] if self.host else []
        return tuple(
            dict.fromkeys([POOL, f"vm:{self.vm}", *hosts, *(f"sr:{SR}" for SR in self.SRs), *(f"port:{port}" for port in self.ports)])
        )


class Desk:
    """Who is at work, and what the limits leave."""

    def __init__(self, limits: Limits) -> None:
        self._limits = {"pool": limits.pool, "host": limits.host, "sr": limits.sr, "port": limits.port, "vm": 1}
        self._on: Counter[str] = Counter()

    def has_room(self, thing: str) -> bool:
        """Whether one more may begin on this thing ("kind:uuid"; "pool:" is the pool)."""
        limit = self._limits[thing.partition(":")[0]]
        return limit is None or self._on[thing] < limit

    def full(self, load: Iterable[str]) -> str | None:
        """The first thing of the load on which nobody else may begin; None: there is room on all."""
        return next((thing for thing in load if not self.has_room(thing)), None)

    def take(self, load: Iterable[str]) -> None:
        """A backup with this load is at work."""
        self._on.update(load)

    def free(self, load: Iterable[str]) -> None:
        """It is over."""
        self._on.subtract(load)


class Queue:
    """Those who wait, each in the line of the thing that kept it from beginning when it was looked at last ("": it was never looked at).

    *closes*: the window's end; *late* takes those who would not be through before it, found when it would be their turn.
    """

    def __init__(self, candidates: Iterable[Candidate], closes: datetime | None) -> None:
        self._closes = closes
        waiting = [(one.rank, one) for one in sorted(candidates, key=lambda one: one.rank)]
        self._lines = {"": waiting} if waiting else {}
        self.late: list[Candidate] = []

    def next(self, desk: Desk, now: datetime) -> Candidate | None:
        """Take out the first in rank for whom there is room and time; None when there is nobody."""
        if not desk.has_room(POOL):
            return None
        heads = [(line[0][0], thing) for thing, line in self._lines.items() if not thing or desk.has_room(thing)]
        heapq.heapify(heads)
        while heads:
            _, thing = heads[0]
            candidate = self._pop(thing)
            if thing in self._lines:
                heapq.heapreplace(heads, (self._lines[thing][0][0], thing))
            else:
                heapq.heappop(heads)
            if self._closes is not None and now + candidate.takes > self._closes:
                self.late.append(candidate)
            elif (full := desk.full(candidate.load)) is None:
                return candidate
            else:  # a line that does not move before somebody is over
                heapq.heappush(self._lines.setdefault(full, []), (candidate.rank, candidate))
        return None

    def _pop(self, thing: str) -> Candidate:
        """The head of a line; a line that is empty is none."""
        _, candidate = heapq.heappop(self._lines[thing])
        if not self._lines[thing]:
            del self._lines[thing]
        return candidate

    def leave(self) -> list[Candidate]:
        """Everybody who still waits, in rank; nobody waits any more."""
        rest = sorted(entry for line in self._lines.values() for entry in line)
        self._lines = {}
        return [candidate for _, candidate in rest]


@dataclass(frozen=True, slots=True)
class Slot:
    """A backup in the plan: from *begins* to *ends*; both None: it is missed, since it does not fit before the end."""

    candidate: Candidate
    begins: datetime | None
    ends: datetime | None


def startable(
    waiting: Iterable[Candidate], at_work: Iterable[Load], limits: Limits, now: datetime, closes: datetime | None
) -> tuple[list[Candidate], list[Candidate]]:
    """Who begins now, in order; and who was to, and would not be through before the end: never in this window.

    *at_work*: what each backup that is at work in the pool weighs on, whoever began it.
    """
    desk, queue = Desk(limits), Queue(waiting, closes)
    for load in at_work:
        desk.take(load)
    begun: list[Candidate] = []
    while (chosen := queue.next(desk, now)) is not None:
        desk.take(chosen.load)
        begun.append(chosen)
    return begun, queue.late


def timeline(
    candidates: Iterable[Candidate],
    limits: Limits,
    opens: datetime,
    closes: datetime | None,
    going: Iterable[tuple[datetime, Candidate]] = (),
) -> list[Slot]:
    """How the window would go, in the order in which they begin, and last those who are missed.

    *going*: who is at work already, and until when each will be by estimate.
    """
    desk, queue, now = Desk(limits), Queue(candidates, closes), opens
    slots: list[Slot] = []
    at_work = [(ends, -number, one) for number, (ends, one) in enumerate(going, 1)]
    heapq.heapify(at_work)
    for _, _, one in at_work:
        desk.take(one.load)
    while True:
        while (chosen := queue.next(desk, now)) is not None:
            desk.take(chosen.load)
            slots.append(Slot(chosen, now, now + chosen.takes))
            heapq.heappush(at_work, (now + chosen.takes, len(slots), chosen))
        if not at_work:
            return slots + [Slot(one, None, None) for one in [*queue.late, *queue.leave()]]
        now, _, over = heapq.heappop(at_work)
        desk.free(over.load)
