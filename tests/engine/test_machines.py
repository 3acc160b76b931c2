"""Engines of several processes on one PostgreSQL and one RabbitMQ: they are one."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from orchestrator.broker import Broker
from orchestrator.engine.engine import Engine
from orchestrator.engine.shared_wakes import SharedWakes
from orchestrator.engine.timing import Timing
from plugins.values import Happening, RunEnded
from state import history, holds, runs
from state.run import Status
from state.store import Store
from tests.engine.machine import START, Machine, step, workflow, world_of
from tests.engine.test_kill import SERVICE
from tests.engine.waiting import until
from tests.services.postgres import OwnPostgres
from tests.services.rabbit import OwnRabbit
from workflows.outcome import DONE, Need, Outcome, Request, Wait
from workflows.workflow import Data, Workflow
from workflows.world import World

ROOT = Path(__file__).parents[2]
QUICK = Timing(lease=timedelta(seconds=1), heartbeat=timedelta(seconds=0.2), poll=timedelta(seconds=0.1))
FOREVER = timedelta(hours=1)


class Machines:
    """Engines, each with a store and a broker of its own as in a process of its own, and what they announced."""

    def __init__(self, database: str, broker: str) -> None:
        self.database, self.broker = database, broker
        self.store = Store(database)
        self.ended: list[RunEnded] = []
        self._open: list[tuple[Engine, Broker, Store]] = []

    def engine(self, *flows: Workflow, workers: int = 4, timing: Timing = QUICK) -> Engine:
        """One more, started."""
        store, broker = Store(self.database), Broker(self.broker)
        until(lambda: not broker.problem())
        made = Engine(store, broker, {flow.name: flow for flow in flows}, world_of, self._announce, timing=timing)
        self._open.append((made, broker, store))
        made.start(workers)
        return made

    def status(self, run_id: UUID) -> Status:
        """How the run stands."""
        with self.store.read() as session:
            run = runs.get(session, run_id)
        assert run is not None
        return run.status

    def close(self) -> None:
        """Stop them all."""
        for engine, broker, store in self._open:
            assert engine.stop()
            broker.close()
            store.close()
        self.store.close()

    def _announce(self, happening: Happening) -> None:
        assert isinstance(happening, RunEnded)
        self.ended.append(happening)


@pytest.fixture
def machines(postgres_url: str, rabbit_url: str) -> Iterator[Machines]:
    """Engines that are stopped at the end of the test."""
    made = Machines(postgres_url, rabbit_url)
    yield made
    made.close()


def request(number: int = 1) -> Request:
    return Request("work", "pool", f"vm:{number}", f"VM {number}")


def test_many_runs_are_shared_and_each_ends_once(machines: Machines) -> None:
    """Submitted at one, they are worked on by both, each step once."""
    flow = workflow(step("a", lambda *_: DONE), step("b", lambda *_: DONE))
    one, other = machines.engine(flow), machines.engine(flow)
    ids = [one.submit(request(number))[0].id for number in range(200)]
    until(lambda: len(machines.ended) >= 200, seconds=60)
    assert {ended.run_id for ended in machines.ended} == set(ids)
    assert len(machines.ended) == 200
    assert min(engine.tally.counts()["ended", "done"] for engine in (one, other)) > 20
    with machines.store.read() as session:
        for run_id in ids:
            assert [entry.step for entry in history.of(session, run_id)] == ["a", "b"]


def test_a_wake_of_one_reaches_a_run_that_the_other_parked(machines: Machines) -> None:
    """Whoever hears of the change, and whoever works on the run then."""
    done: set[str] = set()

    def wait(world: World, _: Data) -> Outcome:
        return DONE if world.title in done else Wait("for it", on=f"key:{world.title}", at_most=FOREVER)

    parks, hears = machines.engine(workflow(step("a", wait))), machines.engine(workers=0)
    ids = [parks.submit(request(number))[0].id for number in range(20)]
    until(lambda: all(machines.status(run_id) is Status.WAITING for run_id in ids))
    done.update(f"VM {number}" for number in range(20))
    assert hears.wake([f"key:VM {number}" for number in range(20)]) == 20
    until(lambda: len(machines.ended) == 20)


def test_a_wake_between_the_look_and_the_parking_is_not_lost(machines: Machines) -> None:
    """The other machine finds nobody who waits, and the one that parks finds that it was woken."""
    looked, go, done = threading.Event(), threading.Event(), []

    def wait(_: World, __: Data) -> Outcome:
        if done:
            return DONE
        looked.set()
        assert go.wait(20)
        return Wait("for it", on="key", at_most=FOREVER)

    parks, hears = machines.engine(workflow(step("a", wait))), machines.engine(workers=0)
    run_id = parks.submit(request())[0].id
    assert looked.wait(20)
    done.append(1)
    assert hears.wake(["key", "another"]) == 0
    go.set()
    until(lambda: machines.status(run_id) is Status.DONE)


def test_a_run_that_needs_what_another_machine_has_goes_on_when_that_lets_go(machines: Machines) -> None:
    """At once, though it would look by itself only much later."""
    inside, go = threading.Event(), threading.Event()

    def hold(world: World, _: Data) -> Outcome:
        if "vm:x" not in world.held:
            return Need(("vm:x",))
        inside.set()
        assert go.wait(20)
        return DONE

    def want(world: World, _: Data) -> Outcome:
        return DONE if "vm:x" in world.held else Need(("vm:x",))

    first = Workflow("first", "For a test", (step("hold", hold),))
    second = Workflow("second", "For a test", (step("want", want),))
    one = machines.engine(first, second)
    holder = one.submit(Request("first", "pool", "vm:1", "VM 1"))[0]
    assert inside.wait(20)
    other = machines.engine(first, second)
    wanting = other.submit(Request("second", "pool", "vm:2", "VM 2"))[0]
    until(lambda: machines.status(wanting.id) is Status.WAITING)
    go.set()
    until(lambda: machines.status(wanting.id) is Status.DONE)
    assert machines.status(holder.id) is Status.DONE
    with machines.store.read() as session:
        assert holds.of_pool(session, "pool") == {}


def test_a_run_is_cancelled_from_another_machine(machines: Machines) -> None:
    """What was done is undone by whoever takes it up."""
    undone: list[str] = []

    def undo(world: World, _: Data) -> Outcome:
        undone.append(world.title)
        return DONE

    flow = workflow(step("a", lambda *_: DONE, undo=undo), step("b", lambda *_: Wait("for ever", at_most=FOREVER)))
    one, other = machines.engine(flow), machines.engine(flow)
    run_id = one.submit(request())[0].id
    until(lambda: machines.status(run_id) is Status.WAITING)
    other.cancel(run_id, by="me")
    until(lambda: machines.status(run_id) is Status.UNDONE)
    assert undone == ["VM 1"]


def test_runs_go_on_while_the_database_restarts(own_postgres: OwnPostgres, rabbit_url: str) -> None:
    """Records wait for it; every step is recorded once, and no run is stuck."""
    with own_postgres.database() as url:
        machines = Machines(url, rabbit_url)
        flow = workflow(step("a", lambda *_: DONE), step("b", lambda *_: DONE), step("c", lambda *_: DONE))
        one, _ = machines.engine(flow), machines.engine(flow)
        ids = [one.submit(request(number))[0].id for number in range(150)]
        own_postgres.restart(signal.SIGQUIT)
        until(lambda: {machines.status(run_id) for run_id in ids} == {Status.DONE}, seconds=60)
        with machines.store.read() as session:
            for run_id in ids:
                assert [entry.step for entry in history.of(session, run_id)] == ["a", "b", "c"]
        machines.close()


def test_runs_go_on_while_rabbitmq_is_dead(postgres_url: str, own_rabbit: OwnRabbit) -> None:
    """Each machine finds what is due in the rows."""
    machines = Machines(postgres_url, own_rabbit.url)
    waits: Counter[str] = Counter()

    def wait(world: World, _: Data) -> Outcome:
        waits[world.title] += 1
        return DONE if waits[world.title] > 2 else Wait("", at_most=timedelta(seconds=0.5))

    flow = workflow(step("a", wait), step("b", lambda *_: DONE))
    one, _ = machines.engine(flow), machines.engine(flow)
    own_rabbit.stop()
    for number in range(30):
        one.submit(request(number))
    until(lambda: len(machines.ended) >= 30, seconds=30)
    own_rabbit.start()
    machines.close()
    assert len(machines.ended) == 30


def test_killed_processes_are_taken_over_and_nothing_is_done_twice(postgres_url: str, rabbit_url: str, tmp_path: Path) -> None:
    """Three processes, one killed -9 after the other in the middle of its work, and started again."""
    count, folder = 90, tmp_path / "world"
    folder.mkdir()
    store = Store(postgres_url)
    with store.write() as session:
        ids = [runs.create(session, Request("work", "pool", f"vm:{n}", f"vm-{n}"), now=START)[0].id for n in range(count)]
    program = SERVICE.replace("Broker()", "Broker(sys.argv[3])")

    def service() -> Any:
        command = [sys.executable, "-c", program, postgres_url, str(folder), rabbit_url]
        started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        assert started.stdout.readline() == "started\n"
        return started

    def done() -> int:
        with store.read() as session:
            return runs.counts(session)[Status.DONE]

    services = [service() for _ in range(2)]
    for kill in range(3):
        until(lambda kill=kill: done() >= count * (kill + 1) // 6)  # type: ignore[misc]
        victim = services.pop(0)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
        services.append(service())
    until(lambda: done() == count, seconds=60)
    for one in services:
        one.kill()
        one.communicate()
    assert len(list(folder.iterdir())) == count
    with store.read() as session:
        for run_id in ids:
            assert Counter(e.step for e in history.of(session, run_id) if e.outcome == "done") == {"put": 1, "wait": 1, "check": 1}
    store.close()


def test_a_step_that_met_a_database_that_is_away_is_tried_again(postgres_url: str) -> None:
    """For as long as it takes: it is no failure that a person must see."""
    from state.store import Away

    store = Store(postgres_url)
    machine = Machine(store)
    tries: list[int] = []

    def act(_: World, __: Data) -> Outcome:
        tries.append(1)
        if len(tries) < 12:
            raise Away("the database is away")
        return DONE

    assert machine.finish(machine.submit(step("a", act))).status is Status.DONE
    store.close()


def test_wakes_are_remembered_for_all_and_forgotten_by_and_by(postgres_url: str) -> None:
    """Those before the mark do not count; those of ten minutes ago are not kept."""
    from state import woken

    store, other = Store(postgres_url), Store(postgres_url)
    here, there = SharedWakes(store), SharedWakes(other)
    there.note(["before"])
    mark = store.do(here.mark)
    there.note(["after", "after"])

    def came(key: str) -> bool:
        return store.do(lambda session: here.came(session, mark, key))

    assert [came(key) for key in ("before", "after", "never")] == [False, True, False]
    with store.write() as session:
        session.connection().exec_driver_sql("UPDATE woken SET at = at - interval '11 minutes'")
        woken.forget(session)
        assert session.connection().exec_driver_sql("SELECT key FROM woken WHERE key NOT LIKE 'witness:%%'").all() == []
    store.close()
    other.close()
