"""Finds the runs that are due and publishes them: new ones whose message was lost, ends of waits, retries, leases of dead workers."""

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from orchestrator.broker import Broker
from orchestrator.engine.strays import Strays
from orchestrator.engine.timing import Timing
from state import claims, setback
from state.store import Store

logger = logging.getLogger(__name__)

OTHERS = timedelta(seconds=5)
"""Who parked a run publishes it when its wait is over; the other processes only when that seems not to have happened."""
FRESH = timedelta(seconds=0.5)
"""Who created a run publishes it with the commit: the others, and its own sweeper, only when that seems not to have happened."""
BETWEEN = 0.02  # seconds at least between two looks: what becomes due meanwhile is one look
SET_BACK = timedelta(seconds=2)  # a smaller step of the clock is not worth the writing


class Sweeper:
    """Publishes what is due, each once: a run whose message was sent after it became due is left alone until that counts as lost.

    *strays*: where processes of another version may work on the same rows.
    """

    def __init__(
        self, store: Store, broker: Broker, clock: Callable[[], datetime], timing: Timing, strays: Strays | None = None
    ) -> None:  # fmt: skip
        self._store = store
        self._strays = strays
        self._broker = broker
        self._clock = clock
        self._timing = timing
        self._sent: dict[UUID, datetime] = {}
        self._expected: list[tuple[datetime, UUID]] = []
        self._others, self._fresh = (OTHERS, FRESH) if store.is_shared else (timedelta(), timedelta())
        self._looked_at: datetime | None = None
        self._changed = threading.Condition()

    def publish(self, run_ids: Iterable[UUID]) -> None:
        """Publish these runs now and remember it."""
        ids = list(run_ids)
        with self._changed:
            self._sent.update(dict.fromkeys(ids, self._clock()))
        self._broker.publish(ids)

    def expect(self, run_id: UUID, due_at: datetime) -> None:
        """The run, which is parked, will be due then: the next look is not later, however seldom looks are."""
        with self._changed:
            heapq.heappush(self._expected, (due_at, run_id))
            if self._expected[0] == (due_at, run_id):
                self._changed.notify()

    def sweep(self) -> int:
        """Publish what is due and has no message on its way; says how many. A query on an index, and nothing is written.

        Runs that only some processes know are left to those for a while, and taken here when this is one of them.
        While as many messages as one look publishes wait for a worker, it adds none: they would only be more of the same.
        """
        now = self._clock()
        self._notice_setback(now)
        mine = self._over(now)
        with self._store.read() as session:
            due = claims.due(session, now=now, limit=self._timing.at_once)
            found = claims.strays(session, now=now, limit=self._timing.at_once) if self._strays else []
        left = self._strays.sort(found, now) if self._strays else set()
        with self._changed:
            lost = now - self._timing.republish
            self._sent = {run_id: at for run_id, at in self._sent.items() if at > lost}
            unsent = [run for run in due if (sent := self._sent.get(run.id)) is None or sent < run.at]
        waiting = [run.id for run in unsent if run.id not in left and (run.id in mine or run.at <= now - self._grace(run))]
        if not waiting or self._broker.pending() >= self._timing.at_once:
            return 0
        self.publish(waiting)
        return len(waiting)

    def run(self, stop: threading.Event) -> None:
        """Sweep until *stop* is set (and `nudge` was called)."""
        while not stop.is_set():
            try:
                self.sweep()
            except Exception:  # the database may be away for a moment: the next look finds the same runs
                logger.exception("no look for due runs was possible")
            self._rest(stop)

    def nudge(self) -> None:
        """Look at *stop* now."""
        with self._changed:
            self._changed.notify()

    def _grace(self, run: claims.Due) -> timedelta:
        """For how long somebody else may be about to publish the run."""
        return self._others if run.waited else self._fresh if run.fresh else timedelta()

    def _over(self, now: datetime) -> set[UUID]:
        """The runs parked by this process whose waits are over, or were, as they may have been woken meanwhile."""
        over = set[UUID]()
        with self._changed:
            while self._expected and self._expected[0][0] <= now:
                over.add(heapq.heappop(self._expected)[1])
        return over

    def _notice_setback(self, now: datetime) -> None:
        """A clock that was set back (by hours, where the machine's was set to local time) would let everything parked wait for as long."""
        before = self._looked_at or now
        if before - now >= SET_BACK:
            logger.warning("the clock was set back by %s: everything that waits looks again", before - now)
            with self._changed:
                self._sent.clear()
                self._expected.clear()
            self._store.do(lambda session: setback.bring_forward(session, now=now, lease=self._timing.lease))
        self._looked_at = now

    def _rest(self, stop: threading.Event) -> None:
        """Until the next look: by a clock that nobody can set, and sooner when something is expected."""
        began = time.monotonic()
        until = began + self._timing.poll.total_seconds()
        with self._changed:
            while not stop.is_set() and (left := until - time.monotonic()) > 0:
                if self._expected:
                    expected = (self._expected[0][0] - self._clock()).total_seconds()
                    left = min(left, max(expected, began + BETWEEN - time.monotonic()))
                if left <= 0:
                    return
                self._changed.wait(left)
