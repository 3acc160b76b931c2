"""What a run waits for may happen while it parks, and anybody may die meanwhile: it is due at once all the same."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from orchestrator.engine.shared_wakes import SharedWakes
from state import claims, runs
from state.run import Phase, Run, Status
from state.store import Store
from tests.engine import crashes
from tests.engine.machine import START, Machine, step
from tests.engine.waiting import until
from tests.services.postgres import OwnPostgres
from workflows.outcome import DONE, PARENT, Outcome, Request, Wait, wake_on_end
from workflows.workflow import Data, Workflow
from workflows.world import World

HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=15)
ADVISORY = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


def dies(machine: Machine, run: Run) -> Run:
    """The run after a worker took it that died with the record."""
    with pytest.raises(crashes.Death):
        crashes.DiesRecorded(machine.engine._shop).work(run.id, lambda: None)
    return machine.run(run.id)


def looks_too_early(meanwhile: Callable[[], object], key: str) -> Callable[[World, Data], Outcome]:
    """A step that looks, and then it happens; so it waits for what is so already."""

    def look(_: World, data: Data) -> Outcome:
        if data.get("looked"):
            return DONE
        data["looked"] = True
        meanwhile()
        return Wait("for it", on=key, at_most=HOUR)

    return look


def test_a_wake_that_came_while_a_run_parked_outlives_the_process(either_store: Store) -> None:
    """It dies right after the row is parked: the row itself is due, and a new process goes on with it."""
    machine = Machine(either_store)
    woken: list[int] = []
    run_id = machine.submit(step("a", looks_too_early(lambda: woken.append(machine.engine.wake(["vm:p:1"])), "vm:p:1")))
    run = dies(machine, machine.run(run_id))
    assert (woken, run.status, run.due_at, run.waits_on) == ([0], Status.WAITING, machine.now, None)
    after = Machine(either_store)
    after.workflows.update(machine.workflows)
    assert after.turn(run_id).status is Status.DONE


def test_the_end_of_a_child_while_its_parent_parked_outlives_the_process(either_store: Store) -> None:
    """As the change of an object does."""
    machine = Machine(either_store)
    machine.workflows["child"] = Workflow("child", "For a test", (step("end", lambda *_: DONE),))
    child = machine.engine.submit(Request("child", "pool", "vm:2", "VM 2", {PARENT: "x"}))[0].id
    run_id = machine.submit(step("a", looks_too_early(lambda: machine.turn(child), wake_on_end(child))))
    run = dies(machine, machine.run(run_id))
    assert (machine.run(child).status, run.due_at, run.waits_on) == (Status.DONE, machine.now, None)


def test_a_run_that_nobody_wakes_waits(either_store: Store) -> None:
    """What was woken before its step looked, or is another key, does not count; the wake itself finds it."""
    machine = Machine(either_store)
    machine.engine.wake(["vm:p:1"])
    run_id = machine.submit(step("a", looks_too_early(lambda: machine.engine.wake(["vm:p:2"]), "vm:p:1")))
    assert machine.turn(run_id).due_at == machine.now + HOUR
    assert machine.engine.wake(["vm:p:1"]) == 1
    assert machine.turn(run_id).status is Status.DONE


def test_a_run_that_was_woken_and_waits_again_is_not_woken_twice(either_store: Store) -> None:
    """The wake that it followed is not held against its next look: it would look again and again."""
    machine, looks = Machine(either_store), list[int]()

    def look(*_: object) -> Outcome:
        looks.append(1)
        return Wait("for it", on="vm:p:1", at_most=HOUR)

    run_id = machine.submit(step("a", look))
    machine.turn(run_id)
    assert machine.engine.wake(["vm:p:1"]) == 1
    assert machine.turn(run_id).due_at == machine.now + HOUR
    assert len(looks) == 2


def park(machine: Machine, run_id: object, session: Session) -> bool:
    """Record that the run waits for the key "k"."""
    run = session.get(Run, run_id)
    assert run is not None
    change = claims.Change(Status.WAITING, Phase.FORWARD, "a", START, START + HOUR, {}, waits_on="k")
    session.expunge(run)
    return claims.record(session, run, change, None, now=START)


def test_a_wake_between_the_asking_and_the_commit_finds_the_run(either_store: Store) -> None:
    """Whoever brings it does not look for who waits before the row says so."""
    machine, asked, wakes = Machine(either_store), threading.Event(), threading.Event()
    shop, run_id = machine.engine._shop, machine.submit(step("a", lambda *_: DONE))
    assert either_store.do(lambda session: claims.claim(session, run_id, now=START, lease=LEASE)) is not None
    mark = either_store.do(shop.wakes.mark)

    def parks(session: Session) -> bool:
        assert not shop.wakes.came(session, mark, "k")
        asked.set()
        assert wakes.wait(20)
        if either_store.is_shared:
            until(lambda: session.connection().execute(ADVISORY).scalar_one() == 1)
        return park(machine, run_id, session)

    def wake() -> int:
        assert asked.wait(20)
        threading.Timer(0.2, wakes.set).start()  # by then it is at it, and waits
        return machine.engine.wake(["another", "k"])

    with ThreadPoolExecutor(1) as thread:
        woken = thread.submit(wake)
        with shop.wakes.parking("k"):
            assert either_store.together(parks)
        assert woken.result(60) == 1
    assert machine.run(run_id).due_at == machine.now


def test_a_run_parks_while_the_key_is_being_noted(postgres_url: str) -> None:
    """It does not wait for that: it takes it for a wake."""
    store = Store(postgres_url)
    wakes = SharedWakes(store)
    mark = store.do(wakes.mark)
    with store.write() as session:
        wakes.note_with(session, ["k"])
        assert store.do(lambda other: wakes.came(other, mark, "k"))
    assert store.do(lambda other: wakes.came(other, mark, "k"))
    store.close()


def test_a_child_whose_end_takes_long_to_be_committed_wakes_its_parent(postgres_url: str) -> None:
    """The parent looked before that, and is parked after it: what counts is when the end was committed, not when it was begun."""
    store = Store(postgres_url)
    machine, other = Machine(store), Machine(store)
    machine.workflows["child"] = other.workflows["child"] = Workflow("child", "For a test", (step("end", lambda *_: DONE),))
    child = machine.engine.submit(Request("child", "pool", "vm:2", "VM 2", {PARENT: "x"}))[0].id
    ended = threading.Event()

    def look(*_: object) -> Outcome:
        assert machine.run(child).status is Status.RUNNING
        blocker.close()
        assert ended.wait(20)
        return Wait("for the child", on=wake_on_end(child), at_most=HOUR)

    def end() -> None:
        other.worker.work(child, lambda: None)
        ended.set()

    with ThreadPoolExecutor(1) as thread, store.write() as session:
        # what the child's end waits for: a lock on what it writes last
        session.connection().execute(text("LOCK TABLE history IN EXCLUSIVE MODE"))
        blocker = session
        ending = thread.submit(end)
        until(
            lambda: (
                store.do(lambda one: one.connection().execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one()) == 1
            )
        )
        threading.Event().wait(0.5)  # whatever is allowed for clocks that differ is over
        run_id = machine.submit(step("a", look))
        run = machine.turn(run_id)
        ending.result(60)
    assert (run.status, run.due_at, run.waits_on) == (Status.WAITING, machine.now, None)
    store.close()


def test_wakes_that_a_crash_of_the_server_lost_are_taken_for_woken(own_postgres: OwnPostgres) -> None:
    """Nobody knows what was noted: whoever looked before it looks again, and who looks after it waits as ever."""
    with own_postgres.database() as url:
        store = Store(url)
        wakes = SharedWakes(store)
        before = store.do(wakes.mark)
        wakes.note(["k"])
        own_postgres.restart(signal.SIGQUIT)
        with wakes.parking("other"):
            assert store.do(lambda session: wakes.came(session, before, "other"))
        after = store.do(wakes.mark)
        with wakes.parking("other"):
            assert not store.do(lambda session: wakes.came(session, after, "other"))
        store.close()


def test_a_step_that_looked_for_longer_than_notes_are_kept_looks_again(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was noted meanwhile may be forgotten."""
    from state import woken

    store = Store(postgres_url)
    wakes = SharedWakes(store)
    mark = store.do(wakes.mark)
    assert not store.do(lambda session: wakes.came(session, mark, "k"))
    monkeypatch.setattr(woken, "KEPT", timedelta())
    assert store.do(lambda session: wakes.came(session, mark, "k"))
    store.close()


def test_a_load_of_a_large_pool_is_noted_whole(postgres_url: str) -> None:
    """In several transactions, with locks that the server has room for."""
    store = Store(postgres_url)
    wakes = SharedWakes(store)
    mark = store.do(wakes.mark)
    wakes.note([f"vm:p:{number}" for number in range(5000)])
    assert all(store.do(lambda session, key=key: wakes.came(session, mark, f"vm:p:{key}")) for key in (0, 999, 1000, 4999))  # type: ignore[misc]
    assert not store.do(lambda session: wakes.came(session, mark, "vm:p:5000"))
    with store.read() as session:
        assert runs.listed(session) == []
    store.close()


def test_a_wake_after_a_step_was_recorded_counts_for_the_next_one(either_store: Store) -> None:
    """A run that goes on at once looks anew: what came before its second step is seen by that, what comes during it is not lost."""
    for number, told in enumerate(("before", "during")):
        machine = Machine(either_store)

        def first(*_: object, machine: Machine = machine, told: str = told) -> Outcome:
            if told == "before":
                machine.engine.wake(["vm:p:1"])
            return DONE

        def second(*_: object, machine: Machine = machine, told: str = told) -> Outcome:
            if told == "during":
                machine.engine.wake(["vm:p:1"])
            return Wait("for it", on="vm:p:1", at_most=HOUR)

        run = machine.turn(machine.submit(step("a", first), step("b", second), subject=f"vm:{number}"))
        due = {"before": (machine.now + HOUR, "vm:p:1"), "during": (machine.now, None)}[told]
        assert (run.step, run.status, run.due_at, run.waits_on) == ("b", Status.WAITING, *due)
