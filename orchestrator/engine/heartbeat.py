"""Keeps the runs that are being worked on: their leases are extended as long as their worker lives."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from orchestrator.engine.timing import Timing
from state import claims
from state.run import Run
from state.store import Store

logger = logging.getLogger(__name__)


class Heartbeat:
    """Knows which claims are held; `beat` extends those that were held at the beat before, so that quick steps cost nothing."""

    def __init__(self, store: Store, clock: Callable[[], datetime], timing: Timing) -> None:
        self._store = store
        self._clock = clock
        self._timing = timing
        self._lock = threading.Lock()
        self._held: dict[UUID, int] = {}
        self._before: set[tuple[UUID, int]] = set()

    @contextmanager
    def holding(self, run: Run) -> Iterator[None]:
        """The run is being worked on meanwhile."""
        with self._lock:
            self._held[run.id] = run.claim
        try:
            yield
        finally:
            with self._lock:
                if self._held.get(run.id) == run.claim:
                    del self._held[run.id]

    def holds(self, run_id: UUID) -> bool:
        """Whether the run is being worked on here, under whatever claim."""
        with self._lock:
            return run_id in self._held

    def beat(self) -> set[UUID]:
        """Extend the leases of what has been held for a beat; says which runs were lost to somebody else."""
        with self._lock:
            held = set(self._held.items())
        long, self._before = held & self._before, held
        if not long:
            return set()
        with self._store.write() as session:
            kept = claims.extend(session, sorted(long), until=self._clock() + self._timing.lease)
        with self._lock:
            lost = {run_id for run_id, claim in long if run_id not in kept and self._held.get(run_id) == claim}
        for run_id in lost:
            logger.warning("run %s was taken by somebody else while it was worked on here: what its step says will not count", run_id)
        return lost

    def run(self, stop: threading.Event) -> None:
        """Beat until *stop* is set."""
        while not stop.wait(self._timing.heartbeat.total_seconds()):
            try:
                self.beat()
            except Exception:  # the database may be away for a moment: the lease outlives some beats
                logger.exception("the leases of runs at work could not be extended")
