import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from orchestrator.broker import Acknowledge
from orchestrator.engine.timing import Timing
from state import claims, runs
from state.run import Status
from state.store import Store
from tests.engine.machine import Machine, step, workflow
from workflows.outcome import DONE, Request, Wait


@pytest.fixture
def store(either_store: Store) -> Store:
    """Of each kind."""
    return either_store


def _messages(machine: Machine) -> list[UUID]:
    """All messages that wait, taken."""
    got: list[UUID] = []
    stop = threading.Event()
    if not machine.broker.pending():
        return got

    def take(run_id: UUID, acknowledge: Acknowledge) -> None:
        got.append(run_id)
        acknowledge()
        if not machine.broker.pending():
            stop.set()

    machine.broker.consume(take, stop)
    return got


def test_a_run_whose_message_is_on_its_way_is_not_published_again(machine: Machine) -> None:
    """A thousand runs in the queue are a thousand messages, however often the sweeper looks."""
    run_id = machine.submit(step("a", lambda *_: DONE))
    machine.pass_time(5)
    assert machine.engine._sweeper.sweep() == 0
    assert _messages(machine) == [run_id]


def test_a_lost_message_is_sent_again(machine: Machine) -> None:
    """After half a minute nobody can tell a lost message from a slow one, and one too many harms nothing (story 52)."""
    run_id = machine.submit(step("a", lambda *_: DONE))
    _messages(machine)
    machine.pass_time(31)
    assert machine.engine._sweeper.sweep() == 1
    assert _messages(machine) == [run_id]


def test_a_run_that_is_due_again_is_published_again_at_once(machine: Machine) -> None:
    """The message for its former taking does not count for this one."""
    run_id = machine.submit(step("a", lambda *_: Wait("", at_most=timedelta(seconds=2))))
    _messages(machine)
    machine.turn(run_id)
    assert machine.engine._sweeper.sweep() == 0
    machine.pass_time(2)
    assert machine.engine._sweeper.sweep() == 1
    assert _messages(machine) == [run_id]


def test_runs_of_another_process_are_found(machine: Machine) -> None:
    """What the command line submitted, and what a dead worker held, is due like everything else."""
    run_id = machine.submit(step("a", lambda *_: DONE))
    other = Machine(machine.store)
    other.pass_time(0.5)
    assert other.engine._sweeper.sweep() == 1
    assert _messages(other) == [run_id]


def test_one_look_publishes_a_portion(machine: Machine) -> None:
    """After a week away with two thousand deletions the queue is filled as fast as it is emptied, not at once."""
    machine.submit(step("a", lambda *_: DONE))
    for number in range(250):
        machine.submit(subject=f"vm:{number}")
    fresh = Machine(machine.store)
    fresh.pass_time(0.5)
    assert fresh.engine._sweeper.sweep() == 200
    assert fresh.engine._sweeper.sweep() == 0
    fresh.workflows.update(machine.workflows)
    for run_id in _messages(fresh):
        fresh.turn(run_id)
    assert fresh.engine._sweeper.sweep() == 50


def test_no_look_adds_messages_to_a_queue_that_is_full(machine: Machine) -> None:
    """Workers that are held up for a night find one message for each run, not one for every half minute."""
    machine.submit(step("a", lambda *_: DONE))
    for number in range(199):
        machine.submit(subject=f"vm:{number + 2}")
    for _ in range(3):
        machine.pass_time(31)
        assert machine.engine._sweeper.sweep() == 0
    assert machine.broker.pending() == 200


def test_a_run_that_is_parked_does_not_outwait_a_clock_that_was_set_back(machine: Machine) -> None:
    """It looks again at once, though by the new time it is not due for two hours, and though a message was sent "later" than now."""
    run_id = machine.submit(step("a", lambda *_: Wait("", at_most=timedelta(seconds=2))))
    _messages(machine)
    machine.turn(run_id)
    machine.engine._sweeper.sweep()
    machine.pass_time(-7200)
    assert machine.engine._sweeper.sweep() == 1
    assert _messages(machine) == [run_id]
    assert machine.turn(run_id).due_at == machine.now + timedelta(seconds=2)


def test_a_dead_workers_lease_does_not_outlive_a_clock_that_was_set_back(machine: Machine) -> None:
    """It ends a lease from now, by the new time."""
    run_id = machine.submit(step("a", lambda *_: DONE))
    with machine.store.write() as session:
        claims.claim(session, run_id, now=machine.now, lease=machine.timing.lease)
    machine.engine._sweeper.sweep()
    machine.pass_time(-7200)
    machine.engine._sweeper.sweep()
    assert machine.run(run_id).due_at == machine.now + machine.timing.lease


def test_a_rest_is_no_longer_for_a_clock_that_is_set_back_in_it(store: Store) -> None:
    """The next look is a moment away by a clock that nobody can set."""
    machine = Machine(store, timing=Timing(poll=timedelta(milliseconds=20)))

    class Back(threading.Event):
        """Asked before each look and each wait; every time the clock is set back by a minute."""

        asked = 0

        def is_set(self) -> bool:
            self.asked += 1
            machine.pass_time(-60)
            return self.asked > 20

    thread = threading.Thread(target=machine.engine._sweeper.run, args=(Back(),), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_the_next_look_is_not_later_than_what_is_expected(machine: Machine) -> None:
    """A short wait is kept to the moment, however seldom looks are: in this process somebody knows when it ends."""
    sweeper = machine.engine._sweeper
    soon, late = machine.now + timedelta(milliseconds=30), machine.now + timedelta(hours=1)
    for moment in (late, soon):
        sweeper.expect(uuid4(), moment)
    assert sweeper._expected[0][0] == soon
    machine.pass_time(1)
    sweeper.sweep()
    assert sweeper._expected[0][0] == late


def test_who_parked_a_run_publishes_it_and_the_others_only_when_nobody_did(store: Store) -> None:
    """On several machines one message is enough; a process that died over a wait costs seconds. What waits for nothing all may publish."""
    machine, other = Machine(store), Machine(store)
    run_id = machine.submit(step("a", lambda *_: Wait("", at_most=timedelta(seconds=2))))
    machine.turn(run_id)
    for one in (machine, other):
        one.pass_time(2)
    assert other.engine._sweeper.sweep() == (0 if store.is_shared else 1)
    assert machine.engine._sweeper.sweep() == 1
    other.pass_time(4.9)
    assert other.engine._sweeper.sweep() == 0
    other.pass_time(0.1)
    assert other.engine._sweeper.sweep() == (1 if store.is_shared else 0)


def test_what_a_person_makes_due_is_published_by_whoever_sees_it_first(store: Store) -> None:
    """A command creates, approves and cancels by rows alone, and has nobody who publishes."""
    machine, other = Machine(store), Machine(store)
    run_id = machine.submit(step("a", lambda *_: Wait("", at_most=timedelta(hours=2))))
    machine.turn(run_id)
    other.pass_time(1)
    with store.write() as session:
        runs.approve(session, run_id, now=other.now, by="somebody")
    assert other.engine._sweeper.sweep() == 1


def test_who_created_a_run_publishes_it_and_a_sweeper_only_when_that_did_not_happen(store: Store) -> None:
    """A sweeper that looks between the commit and the message adds none; a creator that died there costs half a second."""
    machine, other = Machine(store), Machine(store)
    machine.workflows["work"] = workflow(step("a", lambda *_: DONE))
    with store.write() as session:
        run, _ = runs.create(session, Request("work", "pool", "vm:1", "VM 1"), now=machine.now)
    grace = 0.5 if store.is_shared else 0.0
    machine.pass_time(grace - 0.1)
    assert machine.engine._sweeper.sweep() == 0
    machine.pass_time(0.1)
    for one in (machine, other):
        one.now = machine.now
        assert one.engine._sweeper.sweep() == 1
    assert machine.turn(run.id).status is Status.DONE


def test_a_run_that_is_handed_back_is_published_by_whoever_sees_it_first(store: Store) -> None:
    """It was not created just now, though it has to begin anew."""
    machine, other = Machine(store), Machine(store)
    run_id = machine.submit(step("a", lambda *_: DONE))
    with store.write() as session:
        session.connection().execute(update(claims.RUN).values(due_at=machine.now + timedelta(seconds=1)))
    other.pass_time(1)
    assert other.engine._sweeper.sweep() == 1
    assert _messages(other) == [run_id]
