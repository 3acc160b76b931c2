"""Runs that wait nine tenths of their time, worked on by 1, 2 and 4 worker processes on PostgreSQL and RabbitMQ: steps a second.

Each step keeps one of a worker's eight threads for 0.5 s, as a slow call to a pool does, and is parked for 4.5 s then, so that ten runs a
thread give every thread just enough to do. There are as many runs as that, whatever the number of workers; one that ends is followed
by another. Whoever else wants the processors meanwhile spoils the four workers first: their CPU for each claim says so.
"""

import contextlib
import json
import statistics
import time
from collections import Counter
from typing import Any

from sqlalchemy import func, select

from orchestrator.broker import Broker
from state import runs
from state.clock import Clock
from state.columns import table
from state.history import HISTORY
from state.run import Run
from state.store import Session, Store
from tests.bench import durable, programs, scale_worker, targets
from tests.services import rabbit
from tests.services.rabbit import Rabbit
from workflows.outcome import Request

WORKERS = (1, 2, 4)
ROUNDS = 2
RUNS_A_THREAD = (scale_worker.WORKS + scale_worker.WAITS) // scale_worker.WORKS
WARM, MEASURED = 10.0, 18.0  # seconds
OF_LINEAR = 0.9


def run() -> dict[str, Any]:
    """Medians of interleaved rounds: steps a second, of what that many times one worker does, and of what the threads could do at most.

    Of the last round also which share of the claims was refused, as somebody else had the run, and the workers' CPU for each other one.
    """
    rates: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    said: dict[int, dict[str, float]] = {}
    with durable.server() as server, contextlib.ExitStack() as stack:
        node = rabbit.node()
        stack.callback(node.close)
        for _ in range(ROUNDS):
            for workers in WORKERS:
                with server.database() as url:
                    rate, said[workers] = _measured(url, node, workers)
                rates[workers].append(rate)
                print(f"{workers} workers: {rate:.1f} steps/s, {said[workers]}", flush=True)
    most = scale_worker.THREADS / scale_worker.WORKS.total_seconds()
    medians = {workers: statistics.median(some) for workers, some in rates.items()}
    return {
        "steps_a_second": {workers: round(rate, 1) for workers, rate in medians.items()},
        "of_what_threads_could_do": {workers: round(rate / workers / most, 2) for workers, rate in medians.items()},
        "the_last": said,
        **targets.judged({
            f"of_linear_{workers}": (targets.of(rates[workers], rates[1]) / workers, OF_LINEAR) for workers in WORKERS[1:]
        }),
    }  # fmt: skip


def _measured(url: str, node: Rabbit, workers: int) -> tuple[float, dict[str, float]]:
    """Steps a second, and what the workers say of themselves."""
    node.empty()
    store, broker = Store(url), Broker(node.url)
    feeder = Feeder(store, broker, workers * scale_worker.THREADS * RUNS_A_THREAD)
    claims, cpu = Counter[str](), 0.0
    with contextlib.ExitStack() as stack:
        stack.callback(store.close)
        stack.callback(broker.close)
        begun = [stack.enter_context(programs.running("tests.bench.scale_worker", url, node.url)) for _ in range(workers)]
        for process in begun:
            assert process.stdout
            assert process.stdout.readline() == b"works\n"
        feeder.feed(WARM)
        before, at = feeder.steps(), time.monotonic()
        feeder.feed(MEASURED)
        rate = (feeder.steps() - before) / (time.monotonic() - at)
        for process in begun:
            process.terminate()
        for process in begun:
            assert process.stdout
            last = json.loads(process.stdout.readline())
            claims.update(last["claims"])
            cpu += last["cpu_s"]
    return rate, {"claims_refused": round(claims["refused"] / claims.total(), 2), "cpu_ms_a_claim": round(1000 * cpu / claims["taken"], 2)}


class Feeder:
    """Keeps as many runs active as it is told."""

    def __init__(self, store: Store, broker: Broker, active: int) -> None:
        self._store = store
        self._broker = broker
        self._active = active
        self._clock = Clock(store)
        self._created = 0

    def feed(self, seconds: float) -> None:
        """For so long: twice a second a run is begun for each that has ended."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._broker.publish(self._store.do(self._fill))
            time.sleep(min(left, 0.5))

    def steps(self) -> int:
        """How many steps were done so far."""
        with self._store.read() as session:
            return session.connection().execute(select(func.count()).where(HISTORY.c.outcome.in_(("done", "finish")))).scalar_one()

    def _fill(self, session: Session) -> list[Any]:
        active = session.connection().execute(select(func.count()).where(table(Run).c.due_at.is_not(None))).scalar_one()
        begun = []
        for _ in range(self._active - active):
            self._created += 1
            wanted = Request(scale_worker.NAME, "pool", f"vm:{self._created}", f"VM {self._created}")
            begun.append(runs.create(session, wanted, now=self._clock())[0].id)
        return begun
