"""The whole engine with its threads."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from orchestrator.broker import Broker
from orchestrator.engine.engine import Engine
from orchestrator.engine.timing import Timing
from plugins.values import Happening, RunEnded
from state import runs
from state.run import Status
from state.store import Store
from tests.engine.machine import step, workflow, world_of
from tests.engine.waiting import until
from workflows.outcome import DONE, Outcome, Request, Wait
from workflows.workflow import Data, Workflow
from workflows.world import World

QUICK = Timing(lease=timedelta(seconds=1), heartbeat=timedelta(seconds=0.2), poll=timedelta(seconds=0.1))


class Plant:
    """Engines over one store, and what they announced."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ended: list[RunEnded] = []
        self.engines: list[Engine] = []

    def engine(self, *flows: Workflow, workers: int = 4, timing: Timing = QUICK) -> Engine:
        """One more engine, started."""
        made = Engine(self.store, Broker(), {flow.name: flow for flow in flows}, world_of, self._announce, timing=timing)
        self.engines.append(made)
        made.start(workers)
        return made

    def status(self, run_id: UUID) -> Status:
        """How the run stands."""
        with self.store.read() as session:
            run = runs.get(session, run_id)
        assert run is not None
        return run.status

    def _announce(self, happening: Happening) -> None:
        assert isinstance(happening, RunEnded)
        self.ended.append(happening)


@pytest.fixture
def plant(store: Store) -> Iterator[Plant]:
    """Engines that are stopped at the end of the test."""
    made = Plant(store)
    yield made
    for engine in made.engines:
        assert engine.stop()


def request(number: int = 1) -> Request:
    return Request("work", "pool", f"vm:{number}", f"VM {number}")


def test_many_runs_end_and_each_is_announced_once(plant: Plant) -> None:
    """Submitted from several threads, worked on by several workers."""
    engine = plant.engine(workflow(step("a", lambda *_: DONE), step("b", lambda *_: DONE)))
    threads = [
        threading.Thread(target=lambda start=start: [engine.submit(request(start + n)) for n in range(25)]) for start in (0, 100, 200, 300)
    ]
    for thread in threads:
        thread.start()
    until(lambda: len(plant.ended) >= 100)
    assert len({ended.run_id for ended in plant.ended}) == len(plant.ended) == 100
    assert {ended.end for ended in plant.ended} == {"done"}
    assert engine.tally.counts()["ended", "done"] == 100


def test_a_waiting_run_holds_no_worker_and_is_woken_by_its_key(plant: Plant) -> None:
    """One worker carries any number of waiting runs."""
    done: set[str] = set()

    def wait(world: World, _: Data) -> Outcome:
        return DONE if world.title in done else Wait("for it", on=f"key:{world.title}", at_most=timedelta(hours=1))

    engine = plant.engine(workflow(step("a", wait)), workers=1)
    ids = [engine.submit(request(number))[0].id for number in range(20)]
    until(lambda: all(plant.status(run_id) is Status.WAITING for run_id in ids))
    done.update(f"VM {number}" for number in range(20))
    assert engine.wake([f"key:VM {number}" for number in range(20)]) == 20
    until(lambda: len(plant.ended) == 20)


def test_a_short_wait_is_kept_to_the_moment(plant: Plant) -> None:
    """Though looks for due runs are an hour apart, this process knows when its own waits end."""

    def wait(_: World, data: Data) -> Outcome:
        data["looks"] = data.get("looks", 0) + 1
        return DONE if data["looks"] > 3 else Wait("a moment", at_most=timedelta(milliseconds=20))

    engine = plant.engine(workflow(step("a", wait)), timing=Timing(poll=timedelta(hours=1)))
    engine.submit(request())
    until(lambda: len(plant.ended) == 1)


def test_a_step_that_takes_longer_than_the_lease_is_not_done_twice(plant: Plant) -> None:
    """The heartbeat keeps it, so that nobody else begins it (story 53)."""
    go, began = threading.Event(), []

    def long(world: World, _: Data) -> Outcome:
        began.append(world.run_id)
        assert go.wait(20)
        return DONE

    engine = plant.engine(workflow(step("a", long)), timing=Timing(lease=timedelta(seconds=0.6), heartbeat=timedelta(seconds=0.1)))
    run = engine.submit(request())[0]
    until(lambda: bool(began))
    first_lease_ends = _due(plant, run.id)
    until(lambda: _due(plant, run.id) > first_lease_ends + timedelta(seconds=1))
    go.set()
    until(lambda: len(plant.ended) == 1)
    assert began == [run.id]


def _due(plant: Plant, run_id: UUID) -> datetime:
    with plant.store.read() as session:
        run = runs.get(session, run_id)
    assert run is not None
    assert run.due_at is not None
    return run.due_at


def test_stopping_finishes_the_step_at_hand_and_another_engine_goes_on(plant: Plant) -> None:
    """The next step is done by who comes next, at once; nothing is done twice."""
    inside, go, did = threading.Event(), threading.Event(), []

    def first(_: World, __: Data) -> Outcome:
        did.append("first")
        inside.set()
        assert go.wait(20)
        return DONE

    def second(_: World, __: Data) -> Outcome:
        did.append("second")
        return DONE

    flow = workflow(step("first", first), step("second", second))
    one = plant.engine(flow, timing=Timing(lease=timedelta(hours=1)))
    run = one.submit(request())[0]
    assert inside.wait(20)
    stopping = threading.Thread(target=one.stop)
    stopping.start()
    until(one._shop.stopping.is_set)
    go.set()
    stopping.join(60)
    assert (plant.status(run.id), did) == (Status.READY, ["first"])
    plant.engine(flow)
    until(lambda: len(plant.ended) == 1)
    assert did == ["first", "second"]


def test_an_engine_that_cannot_stop_in_time_says_so(store: Store) -> None:
    """A step that hangs does not hang the process: its run goes on when its lease ends."""
    inside, go = threading.Event(), threading.Event()

    def hang(_: World, __: Data) -> Outcome:
        inside.set()
        assert go.wait(20)
        return DONE

    engine = Engine(store, Broker(), {"work": workflow(step("hang", hang))}, world_of, lambda _: None, timing=QUICK)
    engine.start(1)
    engine.submit(request())
    assert inside.wait(20)
    assert engine.alive()
    assert not engine.stop(timedelta(milliseconds=50))
    go.set()
    assert engine.stop()
    assert not engine.alive()


def test_a_run_submitted_elsewhere_is_found(plant: Plant) -> None:
    """The command line writes a row; the service sees it at its next look."""
    plant.engine(workflow(step("a", lambda *_: DONE)))
    with plant.store.write() as session:
        run, _ = runs.create(session, request(), now=plant.engines[0]._clock())
    until(lambda: plant.status(run.id) is Status.DONE)


def test_wanting_a_run_that_is_active_gives_that_run(plant: Plant) -> None:
    """And says that it is not new."""
    engine = plant.engine(workflow(step("a", lambda *_: Wait("", at_most=timedelta(hours=1)))))
    (run, new), (same, again) = engine.submit(request()), engine.submit(request())
    assert (run.id, new, again) == (same.id, True, False)
