import threading
from datetime import timedelta
from uuid import UUID

from orchestrator.broker import Acknowledge
from tests.engine.machine import Machine, step
from workflows.outcome import DONE, Wait


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
    """After half a minute nobody can tell a lost message from a slow one, and one too many harms nothing."""
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
    assert other.engine._sweeper.sweep() == 1
    assert _messages(other) == [run_id]


def test_one_look_publishes_a_portion(machine: Machine) -> None:
    """After a week away with two thousand deletions the queue is filled as fast as it is emptied, not at once."""
    machine.submit(step("a", lambda *_: DONE))
    for number in range(250):
        machine.submit(subject=f"vm:{number}")
    fresh = Machine(machine.store)
    assert fresh.engine._sweeper.sweep() == 200
    assert fresh.engine._sweeper.sweep() == 0
    fresh.workflows.update(machine.workflows)
    for run_id in _messages(fresh):
        fresh.turn(run_id)
    assert fresh.engine._sweeper.sweep() == 50


def test_the_next_look_is_not_later_than_what_is_expected(machine: Machine) -> None:
    """A short wait is kept to the moment, however seldom looks are: in this process somebody knows when it ends."""
    sweeper = machine.engine._sweeper
    sweeper.expect(machine.now + timedelta(milliseconds=30))
    sweeper.expect(machine.now + timedelta(hours=1))
    assert sweeper._earliest == machine.now + timedelta(milliseconds=30)
    machine.pass_time(1)
    sweeper.sweep()
    assert sweeper._earliest is None
