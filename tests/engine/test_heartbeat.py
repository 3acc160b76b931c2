from datetime import timedelta
from uuid import UUID

import pytest

from state import claims
from state.run import Run
from tests.engine.machine import Machine, step
from workflows.outcome import DONE


def _taken(machine: Machine, run_id: UUID) -> Run:
    with machine.store.write() as session:
        run = claims.claim(session, run_id, now=machine.now, lease=machine.timing.lease)
    assert run is not None
    return run


def test_a_run_that_is_worked_on_long_keeps_its_lease(machine: Machine) -> None:
    """From the second beat on; what was quicker costs nothing."""
    run = _taken(machine, machine.submit(step("a", lambda *_: DONE)))
    heartbeat = machine.engine._heartbeat
    with heartbeat.holding(run):
        machine.pass_time(4)
        heartbeat.beat()
        assert machine.run(run.id).due_at == run.due_at
        machine.pass_time(4)
        assert heartbeat.beat() == set()
        assert machine.run(run.id).due_at == machine.now + machine.timing.lease
    heartbeat.beat()
    heartbeat.beat()
    assert machine.run(run.id).due_at == machine.now + machine.timing.lease


def test_a_run_that_was_lost_is_named_and_not_touched(machine: Machine) -> None:
    """The new holder's lease is the new holder's."""
    run = _taken(machine, machine.submit(step("a", lambda *_: DONE)))
    heartbeat = machine.engine._heartbeat
    with heartbeat.holding(run):
        heartbeat.beat()
        machine.pass_time(15)
        other = _taken(machine, run.id)
        machine.pass_time(1)
        assert heartbeat.beat() == {run.id}
        assert machine.run(run.id).due_at == other.due_at


def test_a_run_that_was_lost_is_told_of_once(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """However long its step goes on here; each beat names it."""
    run = _taken(machine, machine.submit(step("a", lambda *_: DONE)))
    heartbeat = machine.engine._heartbeat
    with heartbeat.holding(run):
        heartbeat.beat()
        machine.pass_time(15)
        _taken(machine, run.id)
        assert [heartbeat.beat() for _ in range(5)] == [{run.id}] * 5
    assert [record.getMessage().partition(" was")[0] for record in caplog.records if record.levelname == "WARNING"] == [f"run {run.id}"]


def test_whoever_lets_go_of_an_old_claim_leaves_the_new_one_held(machine: Machine) -> None:
    """Two workers of a process may have had the run one after the other: the later one's lease is kept on."""
    old = _taken(machine, machine.submit(step("a", lambda *_: DONE)))
    heartbeat = machine.engine._heartbeat
    outer = heartbeat.holding(old)
    outer.__enter__()
    machine.pass_time(15)
    with heartbeat.holding(_taken(machine, old.id)):
        outer.__exit__(None, None, None)
        heartbeat.beat()
        machine.pass_time(5)
        assert heartbeat.beat() == set()
        assert machine.run(old.id).due_at == machine.now + machine.timing.lease


def test_three_beats_fit_into_a_lease(machine: Machine) -> None:
    """One missed beat must not lose the run."""
    assert machine.timing.heartbeat * 3 <= machine.timing.lease
    assert machine.timing.heartbeat > timedelta()
