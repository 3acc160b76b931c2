"""Two processes of different versions on one PostgreSQL and one RabbitMQ: each run is taken through by those who know it."""

import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from state import history, runs
from state.run import Status
from state.store import Store
from tests.engine.machine import START
from tests.engine.waiting import until
from workflows.outcome import Request

ROOT = Path(__file__).parents[2]
EACH = 12

PROGRAM = """
import sys, threading
from datetime import timedelta
from orchestrator.broker import Broker
from orchestrator.engine.engine import Engine
from orchestrator.engine.timing import Timing
from state.store import Store
from tests.engine.machine import step, world_of
from workflows.outcome import DONE, Wait
from workflows.workflow import Workflow

url, broker, version = sys.argv[1:]

def wait(world, data):
    data["looks"] = data.get("looks", 0) + 1
    return DONE if data["looks"] > 2 else Wait("look again", at_most=timedelta(milliseconds=200))

def by(name):
    def act(world, data):
        data.setdefault("by", []).append(f"{name} by {version}")
        return DONE
    return step(name, act)

tables = {
    "old": {"work": (by("begin"), step("wait", wait), by("old_end"))},
    "new": {"work": (by("begin"), step("wait_well", wait), by("new_end")), "later": (by("begin"), step("wait", wait), by("end"))},
}[version]
flows = {name: Workflow(name, "For a test", steps) for name, steps in tables.items()}
timing = Timing(lease=timedelta(seconds=5), heartbeat=timedelta(seconds=1), poll=timedelta(seconds=0.1))
engine = Engine(Store(url), Broker(broker), flows, world_of, lambda happening: None, timing=timing)
engine.start(4)
print("started", flush=True)
threading.Event().wait()
"""


def test_runs_of_two_versions_end_properly(postgres_url: str, rabbit_url: str) -> None:
    """Begun by either, whoever gets the message: none is stuck, none ends in the other's way, each step is done once."""
    store = Store(postgres_url)

    def begin(version: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", PROGRAM, postgres_url, rabbit_url, version]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process

    def submit(workflow: str, first: int) -> None:
        with store.write() as session:
            for number in range(first, first + EACH):
                runs.create(session, Request(workflow, "pool", f"vm:{number}", f"VM {number}"), now=START)

    def statuses() -> Counter[Status]:
        with store.read() as session:
            return Counter(run.status for run in runs.listed(session, statuses=frozenset(Status)))

    def begun() -> int:
        with store.read() as session:
            return sum("by" in run.data for run in runs.listed(session, statuses=frozenset(Status)))

    with ExitStack() as stack:
        for number, version in enumerate(("old", "new")):
            process = begin(version)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            submit("work", number * EACH)
            if not number:
                until(lambda: begun() == EACH, seconds=60)  # these are the old one's, and the new one comes
        submit("later", 0)
        until(lambda: statuses() == {Status.DONE: 3 * EACH}, seconds=120)
    with store.read() as session:
        for run in runs.listed(session, statuses={Status.DONE}):
            done = [entry.step for entry in history.of(session, run.id) if entry.outcome == "done"]
            ways = (
                [["begin", "wait", "end"]] if run.workflow == "later" else [["begin", "wait", "old_end"], ["begin", "wait_well", "new_end"]]
            )
            assert done in ways
            ends = [one for one in run.data["by"] if "end" in one]
            assert ends == [f"{done[-1]} by {'old' if done[-1] == 'old_end' else 'new'}"]
            assert run.unknown_since is None
    store.close()
