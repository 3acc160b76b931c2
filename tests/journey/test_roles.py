import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.load import load
from orchestrator.demo.actors import Process
from state.store import Store
from tests.journey.lab import Lab, wait_until
from tests.services import typist
from tests.services.rabbit import OwnRabbit


@pytest.fixture
def lab(tmp_path: Path, postgres_url: str, rabbit_url: str) -> Iterator[Lab]:
    """A lab on PostgreSQL and RabbitMQ."""
    made = Lab(tmp_path)
    with made.config.open("a") as file:
        file.write(f'\n[database]\nurl = "{postgres_url}"\n[broker]\nurl = "{rabbit_url}"\n[metrics]\nport = 0\n')
    made.store.close()
    made.store = Store(load(made.config).database_url)
    yield made
    made.close()


def begin(lab: Lab, role: str) -> tuple[Process, str]:
    """A process of one role, and what it said first."""
    process = Process(lab.folder, "serve", "--role", role)
    return process, process.first_line()


def addresses(lab: Lab) -> list[str]:
    """Where the processes that were begun are watched, in their order."""
    return re.findall(r"served at (http://[0-9.:]+)/metrics", lab.log())


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with closing(error):
            return error.code, error.read().decode()


def readiness(address: str) -> tuple[int, dict[str, Any]]:
    """The code, and what each thing that is looked at is like."""
    code, said = get(f"{address}/readyz")
    return code, {check["check"]: check["status"] for check in json.loads(said)["checks"]}


def cluster(lab: Lab) -> dict[str, Any]:
    """What `vfo cluster status --json` says."""
    done = typist.run(["cluster", "status", "--json"], lab.folder)
    assert done.returncode in (0, 1), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_each_role_in_a_process_of_its_own(lab: Lab) -> None:
    """VMs that are deleted are seen by the listener and followed by the worker; each process says what it is."""
    with ExitStack() as stack:
        for role in ("listener", "scheduler", "worker"):
            process, said = begin(lab, role)
            stack.callback(process.stop)
            assert said == f"vfo serves lab as {role}\n", lab.log()
        vms = dict(list(lab.client.running_with_a_vf().items())[:2])
        wait_until(lambda: lab.known() >= 2, 30, "the listener knows the pool")
        lab.delete(vms)
        wait_until(lambda: lab.statuses() == {"done": 2}, 60, "both deletions are followed")
        assert [lab.proofs(run) for run in lab.runs()] == [1, 1]
        listener, scheduler, worker = addresses(lab)
        wait_until(lambda: [get(f"{one}/readyz")[0] for one in (listener, scheduler, worker)] == [200] * 3, 20, "all are ready")
        assert readiness(listener)[1] == {"database": "ok", "broker": "ok", "pool lab": "ok"}
        assert readiness(worker)[1] == {"database": "ok", "broker": "ok"}
        assert 'vfo_vfs{pool="lab"' in get(f"{listener}/metrics")[1]
        assert 'vfo_xenapi_calls_total{method="event.from",pool="lab"}' in get(f"{listener}/metrics")[1]
        assert re.search(r'vfo_step_seconds_count{step="[a-z_]+",way="forward",workflow="reclaim-vfs"} 2.0', get(f"{worker}/metrics")[1])
        assert 'vfo_lease_held{lease="listener:lab"} 1.0' in get(f"{scheduler}/metrics")[1]


def test_without_a_worker_nothing_is_done(lab: Lab) -> None:
    """A listener and a scheduler begin what is to be done and leave it alone; a worker that comes later finds it."""
    with ExitStack() as stack:
        process, _ = begin(lab, "listener")
        stack.callback(process.stop)
        vms = dict(list(lab.client.running_with_a_vf().items())[:1])
        wait_until(lambda: lab.known() >= 1, 30, "the listener knows the pool")
        lab.delete(vms)
        wait_until(lambda: lab.statuses() == {"ready": 1}, 30, "the deletion is written down")
        assert lab.runs()[0].takes == 0
        process, _ = begin(lab, "worker")
        stack.callback(process.stop)
        wait_until(lambda: lab.statuses() == {"done": 1}, 60, "the deletion is followed")


def test_a_second_listener_stands_by_and_takes_over(lab: Lab) -> None:
    """Both are ready, one is active; when that one is killed the other follows the pool, and the change is counted."""
    with ExitStack() as stack:
        first, _ = begin(lab, "listener")
        stack.callback(first.stop)
        wait_until(
            lambda: readiness(addresses(lab)[0]) == (200, {"database": "ok", "broker": "ok", "pool lab": "ok"}), 30, "the first is ready"
        )
        second, _ = begin(lab, "listener")
        stack.callback(second.stop)
        one, other = addresses(lab)
        wait_until(lambda: readiness(other)[0] == 200, 10, "the second is ready")
        assert "stands by" in get(f"{other}/readyz")[1]
        assert 'vfo_listener_active{pool="lab"} 0.0' in get(f"{other}/metrics")[1]
        first.kill()
        wait_until(lambda: 'vfo_listener_active{pool="lab"} 1.0' in get(f"{other}/metrics")[1], 20, "the second listens")
        wait_until(lambda: 'vfo_lease_changes_total{lease="listener:lab"} 2.0' in get(f"{other}/metrics")[1], 20, "the change is counted")
        assert one != other
        wait_until(lambda: len(cluster(lab)["leases"]) == 1 and cluster(lab)["leases"][0]["since"], 20, "the process has said since when")
        seen = cluster(lab)
        (lease,) = seen["leases"]
        assert (lease["lease"], lease["held"], lease["taken"]) == ("listener:lab", True, 2)
        alive = [process for process in seen["processes"] if "listener:lab" in process["leases"]]
        assert [process["process"] for process in alive] == [lease["process"]]
        assert seen["queue"] == {"kind": "rabbitmq", "waiting": 0, "dead": 0, "problem": ""}
        assert "no process has the role worker: begin one by vfo serve --role worker" in seen["amiss"]


def test_a_broker_that_is_down_is_degraded_and_the_work_goes_on(lab: Lab, own_rabbit: OwnRabbit) -> None:
    """Health says so, with a code that keeps the process in service."""
    with ExitStack() as stack:
        process = Process(lab.folder, "serve")
        assert process.first_line() == "vfo serves lab\n", lab.log()
        stack.callback(process.stop)
        vms = dict(list(lab.client.running_with_a_vf().items())[:1])
        wait_until(lambda: lab.known() >= 1, 30, "the pool is known")
        (address,) = addresses(lab)
        own_rabbit.stop()
        wait_until(lambda: readiness(address)[1]["broker"] == "degraded", 30, "it is seen that the broker is down")
        assert readiness(address)[0] == 200
        lab.delete(vms)
        wait_until(lambda: lab.statuses() == {"done": 1}, 60, "the deletion is followed")
