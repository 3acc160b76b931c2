"""kill -9 of a real process that works on runs: each thing is done, none is lost."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from state import history, runs
from state.run import Status
from state.store import Store
from tests.engine.machine import START
from tests.engine.waiting import until
from workflows.outcome import Request

ROOT = Path(__file__).parents[2]
RUNS = 120
KILLS = 4

SERVICE = """
import sys, threading
from datetime import timedelta
from pathlib import Path
from orchestrator.broker import Broker
from orchestrator.engine.engine import Engine
from orchestrator.engine.timing import Timing
from state.store import Store
from tests.engine.machine import step, workflow, world_of
from workflows.outcome import DONE, Wait

folder = Path(sys.argv[2])

def put(world, data):
    "Looks, and acts only where needed: the file is created once, whoever dies."
    path = folder / world.title
    if not path.exists():
        with path.open("x") as file:
            file.write("put")
    return DONE

def wait(world, data):
    data["looks"] = data.get("looks", 0) + 1
    return DONE if data["looks"] > 2 else Wait("look again", at_most=timedelta(milliseconds=30))

flow = workflow(step("put", put), step("wait", wait), step("check", lambda world, data: DONE))
timing = Timing(lease=timedelta(seconds=1), heartbeat=timedelta(seconds=0.2), poll=timedelta(seconds=0.1))
engine = Engine(Store(sys.argv[1]), Broker(), {"work": flow}, world_of, lambda happening: None, timing=timing)
engine.start(4)
print("started", flush=True)
threading.Event().wait()
"""


def _service(store: Store, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SERVICE, store.name, str(folder)]
    service = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    assert service.stdout.readline() == "started\n"
    return service


def _done(store: Store) -> int:
    with store.read() as session:
        return runs.counts(session)[Status.DONE]


def test_killing_the_process_again_and_again_loses_nothing(store: Store, tmp_path: Path) -> None:
    """All runs end done, each step of each is recorded once, and nothing is stuck (story 54)."""
    folder = tmp_path / "world"
    folder.mkdir()
    with store.write() as session:
        ids = [runs.create(session, Request("work", "pool", f"vm:{n}", f"vm-{n}"), now=START)[0].id for n in range(RUNS)]
    for kill in range(KILLS):
        service = _service(store, folder)
        goal = RUNS * (kill + 1) // (KILLS + 2)
        until(lambda goal=goal: _done(store) >= goal)  # type: ignore[misc]
        os.kill(service.pid, signal.SIGKILL)
        service.communicate()
    service = _service(store, folder)
    until(lambda: _done(store) == RUNS, seconds=60)
    service.kill()
    service.communicate()
    assert len(list(folder.iterdir())) == RUNS
    with store.read() as session:
        for run_id in ids:
            done = Counter(entry.step for entry in history.of(session, run_id) if entry.outcome == "done")
            assert done == {"put": 1, "wait": 1, "check": 1}
