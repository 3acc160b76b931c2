"""`python -m tests.bench.scale_worker DATABASE BROKER`: the engine of `vfo serve --role worker`, with runs that mostly wait."""

import json
import signal
import sys
import threading
import time
from datetime import timedelta

from orchestrator.broker import Broker
from orchestrator.engine.engine import Engine
from state.clock import Clock
from state.store import Store
from tests.bench.engine import world
from workflows.outcome import DONE, Outcome, Wait
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "waits"
STEPS = 3
THREADS = 8  # as `[serve] workers` has it by default
WORKS, WAITS = timedelta(seconds=0.5), timedelta(seconds=4.5)
"""How long a step keeps a thread, as a slow call to a pool does, and how long it is parked then."""


def workflow() -> Workflow:
    """Steps that work once, are parked, and are done when they are taken up again."""
    return Workflow(NAME, "Works a tenth of its time", tuple(_step(f"step_{number}") for number in range(STEPS)))


def main(database: str, broker_url: str) -> int:
    """Work until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    store, broker = Store(database), Broker(broker_url)
    clock = Clock(store)
    engine = Engine(store, broker, {NAME: workflow()}, lambda run, now: world(run.id, now, lambda _: None), lambda _: None, clock)
    engine.start(THREADS)
    print("works", flush=True)
    stop.wait()
    engine.stop()
    broker.close()
    store.close()
    claims = {which: count for (what, which), count in engine.tally.counts().items() if what == "claim"}
    print(json.dumps({"claims": claims, "cpu_s": time.process_time()}), flush=True)
    return 0


def _step(name: str) -> Step:
    def action(_world: World, data: Data) -> Outcome:
        """Work, or see that the waiting is over."""
        if data.get("worked_on") == name:
            return DONE
        threading.Event().wait(WORKS.total_seconds())
        data["worked_on"] = name
        return Wait("the pool is at it", at_most=WAITS)

    action.__name__ = name
    return Step(action)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
