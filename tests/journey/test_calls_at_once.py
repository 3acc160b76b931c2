"""Worker processes keep a pool's limit of calls together, whoever dies, comes or sleeps; and their sessions stay few."""

import json
import os
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestrator import call_slots
from orchestrator.config.load import load
from orchestrator.demo.actors import Process
from state import standing
from state.clock import Clock
from state.run import Status
from state.store import Store
from tests import scale
from tests.journey import kills
from tests.journey.lab import Lab, wait_until
from tests.services import typist
from workflows import assign
from workflows.assign import Wish
from workflows.downtime import When

RUNS, FEWER = scale.of(100, 50), scale.of(60, 40)
AT_ONCE = 4
POOL = ("--hosts", "4", "--vfs", "128", "--vms", str(2 * RUNS))
SERVICES = '\n[database]\nurl = "{database}"\n[broker]\nurl = "{broker}"\n[metrics]\nport = 0\n'
OURS = "vf-orchestrator"
SLOW = ("VM.get_record", "VIF.get_record", "network.get_record", "VIF.create")


@pytest.fixture
def lab(tmp_path: Path, postgres_url: str, rabbit_url: str) -> Iterator[Lab]:
    """A lab on PostgreSQL and RabbitMQ whose pool takes few calls at once, and slowly."""
    made = Lab(tmp_path, *POOL)
    limited = made.config.read_text().replace('patience = "5s"', f'patience = "30s"\ncalls_at_once = {AT_ONCE}')
    made.config.write_text(limited + SERVICES.format(database=postgres_url, broker=rabbit_url))
    made.store.close()
    made.store = Store(load(made.config).database_url)
    yield made
    made.close()


def worker(lab: Lab) -> Process:
    process = Process(lab.folder, "serve", "--role", "worker")
    assert process.first_line() == "vfo serves lab as worker\n", lab.log()
    return process


def counted(lab: Lab) -> Any:
    """What the pool counts of the calls of ours."""
    with urllib.request.urlopen(f"{lab.pool.said['control']}/calls", timeout=30) as answer:
        return json.load(answer)[OURS]


def begin(lab: Lab, count: int) -> None:
    """So many runs, each of which gives a halted VM a second VF, by calls that are answered at once; none of them waits for a task."""
    wish = Wish(kills.network(lab), "SR-IOV", device="5", when=When.now)
    halted = [vm for vm in kills.vms(lab) if not vm.held][:count]
    assert len(halted) == count
    for method in SLOW:
        lab.control("delay", method=method, seconds=0.05)
    kills.submit(lab, (assign.request("lab", vm.uuid, vm.name, wish) for vm in halted))


def shares(lab: Lab) -> list[int]:
    """How many calls each worker process may have in flight, by the rows."""
    with lab.store.read() as session:
        held = standing.held(session, now=Clock(lab.store)())
    return sorted(Counter(one.holder for one in held if one.is_held and call_slots.pool_of(one.name) == "lab").values())


def shown(lab: Lab) -> list[int]:
    """The same, by `vfo cluster status`."""
    said = typist.run(["cluster", "status", "--json"], lab.folder)
    (pool,) = json.loads(said.stdout)["calls"]
    assert (pool["pool"], pool["at_once"]) == ("lab", AT_ONCE)
    return sorted(pool["processes"].values())


def done(lab: Lab) -> int:
    return lab.statuses()[Status.DONE]


def test_three_workers_keep_the_limit_while_one_dies_and_another_comes(lab: Lab) -> None:
    """Never more than four calls at once, of many runs; each process does its part, by one session."""
    with ExitStack() as stack:
        workers = [worker(lab) for _ in range(3)]
        wait_until(lambda: shares(lab) == [1, 1, 2], 30, "the three share the calls")
        begin(lab, RUNS)
        before = set(counted(lab)["calls"])
        wait_until(lambda: len(set(counted(lab)["calls"]) - before) == 3, 30, "each of the three calls")
        wait_until(lambda: done(lab) >= RUNS // 10, 60, "some are done")
        workers[0].kill()
        for process in (*workers[1:], worker(lab)):
            stack.callback(process.stop)
        wait_until(lambda: done(lab) == RUNS, 120, "all are done")
        found = counted(lab)
        assert 2 < found["peak"] <= AT_ONCE
        made = {session: calls for session, calls in found["calls"].items() if session not in before}
        assert len(made) == 4
        assert min(made.values()) > 20, made
        wait_until(lambda: shares(lab) == [1, 1, 2], 30, "the three that live share the calls")
        assert shown(lab) == [1, 1, 2]
        assert kills.ended_otherwise(lab) == []


def test_a_worker_that_slept_keeps_the_limit_when_it_wakes(lab: Lab) -> None:
    """Its share was others' by then."""
    with ExitStack() as stack:
        workers = [worker(lab) for _ in range(2)]
        for process in workers:
            stack.callback(process.stop)
        wait_until(lambda: shares(lab) == [2, 2], 30, "both share the calls")
        begin(lab, FEWER)
        wait_until(lambda: done(lab) >= 5, 60, "some are done")
        os.kill(workers[0].pid, signal.SIGSTOP)
        try:
            wait_until(lambda: shares(lab) == [4], 40, "the other has all the calls")
        finally:
            os.kill(workers[0].pid, signal.SIGCONT)
        wait_until(lambda: shares(lab) == [2, 2], 30, "both share the calls again")
        wait_until(lambda: done(lab) == FEWER, 120, "all are done")
        assert 2 < counted(lab)["peak"] <= AT_ONCE
        assert kills.ended_otherwise(lab) == []
