"""Finds the runs that are due and publishes them: new ones whose message was lost, ends of waits, retries, leases of dead workers."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from orchestrator.broker import Broker
from orchestrator.engine.timing import Timing
from state import claims, setback
from state.store import Store

logger = logging.getLogger(__name__)

SET_BACK = timedelta(seconds=2)  # a smaller step of the clock is not worth the writing


class Sweeper:
    """Publishes what is due, each once: a run whose message was sent after it became due is left alone until that counts as lost."""

    def __init__(self, store: Store, broker: Broker, clock: Callable[[], datetime], timing: Timing) -> None:
        self._store = store
        self._broker = broker
        self._clock = clock
        self._timing = timing
        self._sent: dict[UUID, datetime] = {}
        self._earliest: datetime | None = None
        self._looked_at: datetime | None = None
        self._changed = threading.Condition()

    def publish(self, run_ids: Iterable[UUID]) -> None:
        """Publish these runs now and remember it."""
        ids = list(run_ids)
        with self._changed:
            self._sent.update(dict.fromkeys(ids, self._clock()))
        self._broker.publish(ids)

    def expect(self, due_at: datetime) -> None:
        """A run will be due then: the next look is not later, however seldom looks are."""
        with self._changed:
            if self._earliest is None or due_at < self._earliest:
                self._earliest = due_at
                self._changed.notify()

    def sweep(self) -> int:
        """Publish what is due and has no message on its way; says how many. One query on an index, and nothing is written.

        While as many messages as one look publishes wait for a worker, it adds none: they would only be more of the same.
        """
        now = self._clock()
        self._notice_setback(now)
        with self._changed:
            if self._earliest is not None and self._earliest <= now:
                self._earliest = None
        with self._store.read() as session:
            due = claims.due(session, now=now, limit=self._timing.at_once)
        with self._changed:
            lost = now - self._timing.republish
            self._sent = {run_id: at for run_id, at in self._sent.items() if at > lost}
            waiting = [run_id for run_id, due_at in due if (sent := self._sent.get(run_id)) is None or sent < due_at]
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

    def _notice_setback(self, now: datetime) -> None:
        """A clock that was set back (by hours, where the machine's was set to local time) would let everything parked wait for as long."""
        before = self._looked_at or now
        if before - now >= SET_BACK:
            logger.warning("the clock was set back by %s: everything that waits looks again", before - now)
            with self._changed:
                self._sent.clear()
                self._earliest = None
            with self._store.write() as session:
                setback.bring_forward(session, now=now, lease=self._timing.lease)
        self._looked_at = now

    def _rest(self, stop: threading.Event) -> None:
        """Until the next look: by a clock that nobody can set, and sooner when something is expected."""
        until = time.monotonic() + self._timing.poll.total_seconds()
        with self._changed:
            while not stop.is_set() and (left := until - time.monotonic()) > 0:
                if self._earliest is not None:
                    left = min(left, (self._earliest - self._clock()).total_seconds())
                if left <= 0:
                    return
                self._changed.wait(left)
