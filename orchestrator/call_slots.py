"""Shares the calls that may be in flight in each pool among the worker processes, by rows and without a look at them for each call.

A pool's limit N is N leases "calls:POOL:1" to "calls:POOL:N": whoever has so many of them may have so many calls in flight. Each worker
process has a lease "calls#1", "calls#2", ... besides, by which the others count it. Each takes its fair share of the N, renews it, and
gives back what is above it as soon as no call uses it; where there are more processes than calls, the shares go round among them.

What a process has lasts as long as its leases, by a clock that goes on while it is stopped: one that was paused for longer calls nobody
before it has seen the rows again. While the database says that it is away everybody keeps what they have, as nobody else can take it; when
it is back all renew before any takes. A process that alone does not reach the database ends the steps at hand: it begins no others.
"""

import logging
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from orchestrator.presence import CALLS, named
from orchestrator.xapi.turns import Turns
from state import leases, standing
from state.clock import elapsed
from state.leases import Lease
from state.standing import Held
from state.store import Session, Store

logger = logging.getLogger(__name__)

MEMBER = f"{CALLS}#"
BEAT = 1.0  # seconds between two looks
RENEW = 3.0  # seconds after which leases are written anew
LASTS = timedelta(seconds=10)
MARGIN = 1.0  # seconds by which processes may differ in what they take for the time
GRACE = 3.0  # seconds after a look that failed or came late, in which nothing is taken: the others are to renew theirs first
ROUND = 5.0  # seconds for which a share lasts where there are fewer calls than processes
MOST_MEMBERS = 1000


def slot(pool: str, number: int) -> str:
    """The lease of one call."""
    return f"{CALLS}:{pool}:{number}"


def pool_of(name: str) -> str | None:
    """The pool of whose calls this is the lease of one; None for any other lease."""
    kind, _, rest = name.partition(":")
    return rest.rpartition(":")[0] if kind == CALLS else None


def share(most: int, members: Sequence[str], mine: str, pool: str, now: datetime) -> int:
    """How many of *most* calls the member *mine* may have: all members together have all of them.

    What does not divide goes to the first of them, another one for each pool; when it is not enough for all, another one in each round.
    """
    each, over = divmod(most, len(members))
    place = members.index(mine) + zlib.crc32(pool.encode())
    if not each:
        place += int(now.timestamp() // ROUND)
    return each + (place % len(members) < over)


@dataclass(slots=True)
class _Seen:
    """What one transaction found and did: the leases that this process has now."""

    member: Lease | None = None
    slots: dict[str, dict[str, Lease]] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)


class CallSlots:
    """Those of this process. *turns*: of each pool, which are kept in step; *most*: each pool's limit."""

    def __init__(
        self,
        store: Store,
        turns: Mapping[str, Turns],
        most: Mapping[str, int],
        now: Callable[[], datetime],
        clock: Callable[[], float] = elapsed,
    ) -> None:
        self._store = store
        self._turns = turns
        self._most = most
        self._now = now
        self._clock = clock
        self._holder = f"{named()}:{uuid4().hex[:8]}"
        self._has = _Seen(slots={pool: {} for pool in turns})
        self._renewed_at = float("-inf")
        self._until = float("-inf")
        self._looked_at = float("-inf")
        self._takes_from = float("-inf")
        self._over = threading.Event()
        self._failing = False
        for one in turns.values():
            one.resize(0)

    def run(self, _stop: threading.Event) -> None:
        """Keep the share until `leave`: when the process is asked to stop, its last steps still call."""
        while True:
            self.beat()
            if self._over.wait(BEAT):
                break
        self._give_all_back()

    def leave(self) -> None:
        """Nobody in this process calls any more: the others may have it all."""
        self._over.set()

    def beat(self) -> None:
        """Look at the rows, keep or take what this process is entitled to, and say so to its turns."""
        asked, now = self._clock(), self._now()
        if asked - self._looked_at > GRACE and self._has.member is not None:
            self._takes_from = asked + GRACE
        renews = asked - self._renewed_at >= RENEW
        try:
            takes = asked >= self._takes_from
            found = self._store.do(lambda session: self._look(session, now, renews=renews, takes=takes), within=timedelta())
        except Exception as error:  # noqa: BLE001 - whatever ails it: what is had is kept for as long as that is known to go on without a pause
            self._keep(error)
            return
        self._looked_at, self._has, self._failing = self._clock(), found, False
        if renews:
            self._renewed_at, self._until = asked, asked + LASTS.total_seconds() - MARGIN
        for pool, turns in self._turns.items():
            turns.resize(min(found.shares[pool], len(found.slots[pool])), self._until)

    def _keep(self, error: Exception) -> None:
        now = self._clock()
        self._takes_from = now + GRACE
        if now < self._until:
            self._until = now + LASTS.total_seconds() - MARGIN
            for turns in self._turns.values():
                turns.resize(turns.most, self._until)
        logger.log(logging.DEBUG if self._failing else logging.WARNING, "the shares of calls cannot be looked at: %s", error)
        self._failing = True

    # -- within a transaction, which may be repeated: nothing of this object is changed ---------------------------

    def _look(self, session: Session, now: datetime, *, renews: bool, takes: bool) -> _Seen:
        rows = {held.name: held for held in standing.held(session, now=now) if held.name.startswith(CALLS)}
        found = _Seen(self._member(session, rows, now, renews=renews))
        mine = found.member.name if found.member else ""
        members = sorted({mine, *(name for name, held in rows.items() if name.startswith(MEMBER) and held.is_held)})
        for pool, turns in self._turns.items():
            entitled = share(self._most[pool], members, mine, pool, now) if mine else 0
            kept = self._kept(session, self._has.slots[pool], rows, now, renews=renews)
            # no call begins above the share from here on, so that what the calls in flight do not use may go
            in_use = turns.resize(min(entitled, len(kept)), self._until)
            for name in list(kept)[max(entitled, in_use) :]:
                leases.release(session, kept.pop(name), now=now)
            if takes:
                kept |= self._taken(session, pool, entitled - len(kept), rows, now)
            found.slots[pool], found.shares[pool] = kept, entitled
        return found

    def _member(self, session: Session, rows: Mapping[str, Held], now: datetime, *, renews: bool) -> Lease | None:
        had = self._has.member
        if had is not None and _is_mine(rows.get(had.name), had) and (not renews or leases.renew(session, had, now=now, duration=LASTS)):
            return had
        names = (f"{MEMBER}{number}" for number in range(1, MOST_MEMBERS + 1))
        free = (name for name in names if name not in rows or not rows[name].is_held)
        return next((lease for name in free if (lease := leases.acquire(session, name, self._holder, now=now, duration=LASTS))), None)

    def _kept(
        self, session: Session, had: Mapping[str, Lease], rows: Mapping[str, Held], now: datetime, *, renews: bool
    ) -> dict[str, Lease]:  # fmt: skip
        """Those of ours that nobody took while this process was away."""
        still = {name: lease for name, lease in had.items() if _is_mine(rows.get(name), lease)}
        return {name: lease for name, lease in still.items() if not renews or leases.renew(session, lease, now=now, duration=LASTS)}

    def _taken(self, session: Session, pool: str, wanted: int, rows: Mapping[str, Held], now: datetime) -> dict[str, Lease]:
        """Free ones, in their order: of two that want the same, neither waits for what the other has."""
        got: dict[str, Lease] = {}
        for number in range(1, self._most[pool] + 1):
            if len(got) >= wanted:
                break
            name = slot(pool, number)
            if name not in rows or not rows[name].is_held:
                lease = leases.acquire(session, name, self._holder, now=now, duration=LASTS)
                if lease is not None:
                    got[name] = lease
        return got

    def _give_all_back(self) -> None:
        for turns in self._turns.values():
            turns.resize(0)
        had = [*(lease for slots in self._has.slots.values() for lease in slots.values()), *filter(None, [self._has.member])]

        def release(session: Session) -> None:
            for lease in had:
                leases.release(session, lease, now=self._now())

        try:
            self._store.do(release, within=timedelta())
        except Exception as error:  # noqa: BLE001 - they end by themselves
            logger.info("the shares of calls could not be given back, and end in %d s: %s", LASTS.total_seconds(), error)


def _is_mine(held: Held | None, lease: Lease) -> bool:
    return held is not None and (held.holder, held.epoch) == (lease.holder, lease.epoch)
