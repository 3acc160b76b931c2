"""The engine: workers, heartbeat and sweeper in threads of one process, and what others may ask of it."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from orchestrator.broker import Broker
from orchestrator.engine.heartbeat import Heartbeat
from orchestrator.engine.shared_wakes import SharedWakes
from orchestrator.engine.strays import Strays
from orchestrator.engine.sweeper import Sweeper
from orchestrator.engine.tally import Tally
from orchestrator.engine.timing import Timing
from orchestrator.engine.wakes import Wakes
from orchestrator.engine.worker import Worker, Workshop
from plugins.values import Happening
from state import claims, direct, runs
from state.clock import of_machine
from state.run import Run
from state.store import Store
from workflows.outcome import Request
from workflows.workflow import Workflow
from workflows.world import World

logger = logging.getLogger(__name__)


class Engine:
    """Works on runs from `start` to `stop`.

    *worlds* gives a step its world; what it raises counts as the step's failure. *announce* tells the observers that a run ended; it
    never raises. An announcement is made after the record, so a crash between the two loses it: the row is the truth.
    """

    def __init__(  # noqa: PLR0913 - the six things it joins, and two with an obvious default
        self,
        store: Store,
        broker: Broker,
        workflows: Mapping[str, Workflow],
        worlds: Callable[[Run, datetime], World],
        announce: Callable[[Happening], None],
        clock: Callable[[], datetime] = of_machine,
        *,
        timing: Timing | None = None,
    ) -> None:
        timing = timing or Timing()
        self._store = store
        self._broker = broker
        self._clock = clock
        self._strays = Strays(workflows)
        self._sweeper = Sweeper(store, broker, clock, timing, self._strays if store.is_shared else None)
        self._heartbeat = Heartbeat(store, clock, timing)
        wakes = SharedWakes(store) if store.is_shared else Wakes()
        self._shop = Workshop(store, workflows, worlds, announce, clock, timing, self._heartbeat, self._sweeper, self._strays, wakes)
        self._workers: list[threading.Thread] = []
        self._others: list[threading.Thread] = []
        self._ending = threading.Event()

    @property
    def tally(self) -> Tally:
        """What was counted since the engine was made."""
        return self._shop.tally

    def start(self, workers: int = 8) -> None:
        """Begin: runs that are due are taken up, by whoever they were begun."""
        self._workers = [threading.Thread(target=self._consume, name=f"worker-{number}", daemon=True) for number in range(1, workers + 1)]
        self._others = [
            threading.Thread(target=self._heartbeat.run, args=(self._ending,), name="heartbeat", daemon=True),
            threading.Thread(target=self._sweeper.run, args=(self._shop.stopping,), name="sweeper", daemon=True),
        ]
        if workers and self._store.is_shared:
            self._workers.append(threading.Thread(target=self._take_strays, name="worker-of-strays", daemon=True))
        for thread in (*self._workers, *self._others):
            thread.start()

    def stop(self, timeout: timedelta = timedelta(seconds=10)) -> bool:
        """Finish the steps at hand and hand their runs back; False when one was still at it after *timeout*.

        Such a run goes on when its lease ends, here or elsewhere; what its step still says will not count.
        """
        self._shop.stopping.set()
        self._broker.nudge()
        self._sweeper.nudge()
        deadline = time.monotonic() + timeout.total_seconds()
        _join(self._workers, deadline)
        self._ending.set()
        _join(self._others, max(deadline, time.monotonic() + 1))
        return not any(thread.is_alive() for thread in self._workers)

    def submit(self, request: Request) -> tuple[Run, bool]:
        """A run for the request, and whether it is new: an active one on the same subject is the answer else."""
        if self._store.is_shared:
            run, created = direct.create(self._store, request, now=self._clock())
        else:
            run, created = self._store.together(lambda session: runs.create(session, request, now=self._clock()))
        if created:
            self._sweeper.publish([run.id])
        return run, created

    def publish(self, run_ids: Collection[UUID]) -> None:
        """Runs that somebody else created or made due, and committed, are to be worked on now rather than at the next look."""
        self._sweeper.publish(run_ids)

    def wake(self, keys: Iterable[str]) -> int:
        """Something happened to these keys (`workflows.outcome.wake_on_...`): runs that wait for one go on. Says how many did.

        Costs one query that writes nothing when nobody waits.
        """
        keys = list(keys)
        if not self._shop.wakes.note(keys):
            with self._store.read() as session:
                waiting = claims.waiting(session, keys)
            if not waiting:
                return 0
        woken = self._store.together(lambda session: claims.wake(session, keys, now=self._clock()))
        self._sweeper.publish(woken)
        return len(woken)

    def cancel(self, run_id: UUID, *, by: str) -> Run:
        """Give the run up after the step at hand and undo what was done; raises `state.runs.Impossible` with the reason."""
        run = self._store.do(lambda session: runs.cancel(session, run_id, now=self._clock(), by=by))
        self._sweeper.publish([run_id])
        return run

    def approve(self, run_id: UUID, *, by: str) -> Run:
        """Note that somebody approves of what the run is about to do; raises `state.runs.Impossible` with the reason."""
        run = self._store.do(lambda session: runs.approve(session, run_id, now=self._clock(), by=by))
        self._sweeper.publish([run_id])
        return run

    def retry(self, run_id: UUID, *, by: str) -> Run:
        """Take an ended run up again; raises `state.runs.Impossible` with the reason."""
        run = self._store.do(lambda session: runs.retry(session, run_id, now=self._clock(), by=by))
        self._sweeper.publish([run_id])
        return run

    def alive(self) -> bool:
        """Whether every thread of the engine runs."""
        threads = [*self._workers, *self._others]
        return bool(threads) and all(thread.is_alive() for thread in threads)

    def _consume(self) -> None:
        worker, stopping = Worker(self._shop), self._shop.stopping
        while not stopping.is_set():
            try:
                self._broker.consume(worker.work, stopping)
            except Exception:  # the broker may be away for a moment: due runs are published again
                logger.exception("the broker's messages could not be read")
                stopping.wait(1)

    def _take_strays(self) -> None:
        worker = Worker(self._shop)
        self._strays.run(lambda run_id: worker.work(run_id, _nothing), self._shop.stopping)


def _nothing() -> None:
    """No message is to be acknowledged."""


def _join(threads: list[threading.Thread], deadline: float) -> None:
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
