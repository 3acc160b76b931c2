"""Keeps the runs that are being worked on: their leases are extended as long as their worker lives."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from uuid import UUID

from orchestrator.engine.timing import Timing
from orchestrator.fence import Claim, Grips
from state import claims
from state.clock import elapsed
from state.run import Run
from state.store import Away, Store

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
        self._said: set[tuple[UUID, int]] = set()
        self._grips = Grips(timing.lease.total_seconds(), self._confirm)

    @contextmanager
    def holding(self, run: Run) -> Iterator[None]:
        """The run is being worked on meanwhile, by this thread; where other processes may take it, what it does is fenced."""
        with self._lock:
            self._held[run.id] = run.claim
        fenced = self._grips.holding((run.id, run.claim), lambda: self._left(run)) if self._store.is_shared else nullcontext()
        try:
            with fenced:
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
            self._said = set()
            return set()
        since, kept = elapsed(), self._extend(sorted(long))
        self._grips.beaten(since, long, kept)
        with self._lock:
            lost = {(run_id, claim) for run_id, claim in long if run_id not in kept and self._held.get(run_id) == claim}
        for run_id, _ in lost - self._said:
            logger.warning("run %s was taken by somebody else while it was worked on here: what its step says will not count", run_id)
        self._said = lost
        return {run_id for run_id, _ in lost}

    def _extend(self, held: list[Claim]) -> set[UUID]:
        return self._store.do(
            lambda session: claims.extend(session, held, until=self._clock() + self._timing.lease), within=self._timing.heartbeat
        )

    def _confirm(self, held: Claim) -> bool:
        """Whether the claim is held yet; then it is extended too."""
        try:
            return bool(self._extend([held]))
        except Away:
            return False

    def _left(self, run: Run) -> float:
        """For how many seconds the run is claimed."""
        return (run.due_at - self._clock()).total_seconds() if run.due_at else 0.0

    def run(self, stop: threading.Event) -> None:
        """Beat until *stop* is set."""
        while not stop.wait(self._timing.heartbeat.total_seconds()):
            try:
                self.beat()
            except Exception:  # the database may be away for a moment: the lease outlives some beats
                logger.exception("the leases of runs at work could not be extended")
