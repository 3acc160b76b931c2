from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.engine.timing import Timing
from plugins.errors import GiveUp, RetryLater
from plugins.values import RunEnded
from state import claims, direct, runs
from state.run import Phase, Run, Status
from state.store import Store
from tests.engine.machine import Act, Machine, step
from workflows.outcome import DONE, Done, Finish, Outcome, Refuse, Request, Stuck, Wait
from workflows.ports import Busy, Denied, Transient
from workflows.workflow import Data
from workflows.world import World


@pytest.fixture
def store(either_store: Store) -> Store:
    """Of each kind: what a worker does to a run does not depend on it."""
    return either_store


def does(name: str) -> Act:
    """A step that notes that it ran."""

    def act(_: World, data: Data) -> Outcome:
        data.setdefault("did", []).append(name)
        return DONE

    return act


def fails(error: Exception, times: int = 1000) -> Act:
    """A step that fails so often, and then is done."""
    left = [times]

    def act(_: World, data: Data) -> Outcome:
        data["half"] = "done"
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return DONE

    return act


def test_a_run_goes_through_its_steps_in_one_taking(machine: Machine) -> None:
    """One message is enough; each step is recorded; the data goes from step to step."""
    run_id = machine.submit(step("a", does("a")), step("b", does("b")), step("c", does("c")), data={"given": 1})
    run = machine.turn(run_id)
    assert (run.status, run.claim, run.data) == (Status.DONE, 1, {"given": 1, "did": ["a", "b", "c"]})
    assert machine.story(run_id) == [("a", "done"), ("b", "done"), ("c", "done")]


def test_the_end_of_a_run_is_announced(machine: Machine) -> None:
    """Once, with how it ended and why."""
    run_id = machine.submit(step("a", lambda *_: Finish("is so already")))
    machine.turn(run_id)
    machine.turn(run_id)
    assert machine.announced == [RunEnded(run_id, "pool", "work", "VM 1", "done", "is so already", machine.now)]


def test_a_second_message_for_a_run_changes_nothing(machine: Machine) -> None:
    """Messages may be doubled: the row decides."""
    run_id = machine.submit(step("a", lambda *_: Wait("", at_most=timedelta(minutes=1))))
    assert machine.turn(run_id).claim == 1
    assert machine.turn(run_id).claim == 1


def test_a_step_that_fails_leaves_no_trace_in_the_data(machine: Machine) -> None:
    """Half of what a step noted is worse than nothing."""
    run_id = machine.submit(step("a", fails(Busy("OTHER_OPERATION_IN_PROGRESS"), times=1)))
    run = machine.turn(run_id)
    assert (run.status, run.data, run.attempt) == (Status.WAITING, {}, 1)
    assert machine.finish(run_id).status is Status.DONE


def test_a_pool_that_is_away_is_outwaited(machine: Machine) -> None:
    """A dozen failures are one entry in the history, and then the run goes on."""
    run_id = machine.submit(step("a", fails(Transient("CONNECTION_REFUSED"), times=12)))
    assert machine.finish(run_id).status is Status.DONE
    assert machine.story(run_id) == [("a", "retry"), ("a", "done")]


def test_what_is_denied_is_undone_backwards(machine: Machine) -> None:
    """Every step that has an undo is undone, the last first, the failing one included."""
    run_id = machine.submit(
        step("a", does("a"), undo=does("undo a")),
        step("b", does("b")),
        step("c", fails(Denied("RBAC_PERMISSION_DENIED")), undo=does("undo c")),
        step("d", does("d"), undo=does("undo d")),
    )
    run = machine.turn(run_id)
    assert (run.status, run.reason) == (Status.UNDONE, "RBAC_PERMISSION_DENIED")
    assert run.data["did"] == ["a", "b", "undo c", "undo a"]
    assert machine.story(run_id) == [("a", "done"), ("b", "done"), ("c", "give up"), ("c", "undone"), ("a", "undone")]


def test_a_refusal_at_the_first_step_touches_nothing(machine: Machine) -> None:
    """Its undo does not run."""
    run_id = machine.submit(step("a", lambda *_: Refuse("no licence"), undo=does("undo a")))
    run = machine.turn(run_id)
    assert (run.status, run.reason, run.data) == (Status.REFUSED, "no licence", {})


def test_an_undo_that_fails_leaves_the_run_stuck_and_a_retry_goes_on_there(machine: Machine) -> None:
    """The other undos had their turn; after the retry the failed one is tried again, and those before it look again."""
    run_id = machine.submit(
        step("a", does("a"), undo=does("undo a")),
        step("b", does("b"), undo=fails(GiveUp("not now"), times=1)),
        step("c", fails(GiveUp("no room"))),
    )
    run = machine.turn(run_id)
    assert (run.status, run.step, run.phase) == (Status.STUCK, "b", Phase.UNDO)
    assert run.evidence == {"given_up": "no room", "undo_failed": {"b": "not now"}}
    assert run.data["did"] == ["a", "b", "undo a"]
    machine.engine.retry(run_id, by="ada")
    run = machine.turn(run_id)
    assert (run.status, run.reason, run.data["did"]) == (Status.UNDONE, "no room", ["a", "b", "undo a", "undo a"])


def test_a_bug_is_put_aside_with_the_evidence_and_a_retry_goes_on_at_the_step(machine: Machine) -> None:
    """After four tries a person sees where it broke; once it is mended, the run goes on without doing again what was done."""
    run_id = machine.submit(step("a", does("a")), step("b", fails(KeyError("x"), times=4)), step("c", does("c")))
    run = machine.finish(run_id)
    assert (run.status, run.step, run.next_command) == (Status.STUCK, "b", f"vfo run {run_id} retry")
    assert run.evidence is not None
    assert "in act" in run.evidence["traceback"][-1]
    machine.engine.retry(run_id, by="ada")
    assert machine.turn(run_id).data["did"] == ["a", "c"]


@pytest.mark.parametrize("wrong", [None, "done", DONE.__class__], ids=["nothing", "a string", "a class"])
def test_a_step_that_returns_no_outcome_is_a_bug(machine: Machine, wrong: Any) -> None:
    """It says so instead of passing for done."""
    run = machine.finish(machine.submit(step("a", lambda *_: wrong)))
    assert run.status is Status.STUCK
    assert "a step ends in an outcome" in run.reason


def test_data_that_a_row_cannot_keep_is_a_bug(machine: Machine) -> None:
    """A step that notes an object would lose it at the next crash: better now than then."""

    def act(_: World, data: Data) -> Outcome:
        data["thing"] = object()
        return DONE

    run = machine.finish(machine.submit(step("a", act)))
    assert run.status is Status.STUCK
    assert "not JSON serializable" in run.reason


def test_a_run_whose_worker_dies_each_time_is_put_aside(machine: Machine) -> None:
    """Five takings without a record, and the sixth does not run the step that kills; a wait in between begins the count anew."""
    run_id = machine.submit(step("a", does("a")))
    for _ in range(5):
        with machine.store.write() as session:
            assert claims.claim(session, run_id, now=machine.now, lease=machine.timing.lease) is not None
        machine.pass_time(machine.timing.lease.total_seconds())
    run = machine.turn(run_id)
    assert (run.status, run.data) == (Status.STUCK, {})
    assert "taken 5 times" in run.reason


def test_follow_ups_are_created_with_the_record(machine: Machine) -> None:
    """One that is active already is not doubled."""
    request = Request("work", "pool", "vm:2", "VM 2")
    run_id = machine.submit(step("a", lambda w, _: Done("", (request, request) if w.title == "VM 1" else ())))
    machine.turn(run_id)
    with machine.store.read() as session:
        assert [run.subject for run in runs.listed(session)] == ["vm:2"]


def test_a_run_that_was_taken_by_another_meanwhile_is_left_to_it(machine: Machine) -> None:
    """What the late step came to is not recorded, its follow-ups are not created, and its end is not announced."""

    def late(_: World, __: Data) -> Outcome:
        machine.pass_time(60)
        with machine.store.write() as session:
            assert claims.claim(session, run_id, now=machine.now, lease=machine.timing.lease) is not None
        return Done("", (Request("work", "pool", "vm:2", "VM 2"),))

    run_id = machine.submit(step("a", late))
    run = machine.turn(run_id)
    assert (run.status, run.claim, machine.story(run_id), machine.announced) == (Status.RUNNING, 2, [], [])
    with machine.store.read() as session:
        assert len(runs.listed(session)) == 1


def test_cancelling_takes_back_what_was_done(machine: Machine) -> None:
    """A waiting run is taken at once, and its own undo runs too."""
    run_id = machine.submit(step("a", does("a"), undo=does("undo a")), step("b", lambda *_: Wait("long"), undo=does("undo b")))
    machine.turn(run_id)
    machine.engine.cancel(run_id, by="ada")
    run = machine.turn(run_id)
    assert (run.status, run.reason, run.data["did"]) == (Status.UNDONE, "cancelled", ["a", "undo b", "undo a"])


def test_cancelling_while_a_step_runs_counts_after_it(machine: Machine) -> None:
    """The step at hand is finished and recorded, the next does not begin."""

    def cancelled_meanwhile(_: World, data: Data) -> Outcome:
        machine.engine.cancel(run_id, by="ada")
        return does("a")(_, data)

    run_id = machine.submit(step("a", cancelled_meanwhile, undo=does("undo a")), step("b", does("b")))
    run = machine.turn(run_id)
    assert (run.status, run.data["did"]) == (Status.UNDONE, ["a", "undo a"])


def test_cancelling_before_the_run_began_ends_it_refused(machine: Machine) -> None:
    """Nothing was touched, so nothing is undone."""
    run_id = machine.submit(step("a", does("a"), undo=does("undo a")))
    machine.engine.cancel(run_id, by="ada")
    run = machine.turn(run_id)
    assert (run.status, run.data) == (Status.REFUSED, {})


def test_a_run_whose_lease_ended_is_not_taken_from_a_worker_of_the_same_process(machine: Machine) -> None:
    """The clock was set forward in the middle of the step: nobody here begins it a second time, and the next beat keeps it."""
    seen: list[int] = []

    def slow(_: World, __: Data) -> Outcome:
        machine.engine._heartbeat.beat()
        machine.pass_time(3600)
        seen.append(machine.turn(run_id).claim)
        machine.engine._heartbeat.beat()
        assert machine.run(run_id).due_at == machine.now + machine.timing.lease
        return DONE

    run_id = machine.submit(step("a", slow))
    assert machine.turn(run_id).status is Status.DONE
    assert seen == [1]


def test_a_run_that_was_parked_is_taken_though_its_worker_is_not_quite_through(machine: Machine) -> None:
    """What is recorded is anybody's: a wake that comes while the first worker still tells of the parking is followed at once."""
    run_id = machine.submit(step("a", lambda *_: Wait("", at_most=timedelta(hours=1))))
    machine.turn(run_id)
    with machine.engine._heartbeat.holding(machine.run(run_id)):
        machine.pass_time(3600)
        assert machine.turn(run_id).claim == 2


def test_a_wake_between_the_look_and_the_parking_is_not_lost(machine: Machine) -> None:
    """The change came after the step had looked: the run is due at once instead of at the end of its wait."""

    def looked_too_early(_: World, data: Data) -> Outcome:
        if data.get("looked"):
            return DONE
        data["looked"] = True
        assert machine.engine.wake(["vm:p:1"]) == 0
        return Wait("for the guest", on="vm:p:1", at_most=timedelta(hours=1))

    run_id = machine.submit(step("a", looked_too_early))
    assert machine.turn(run_id).due_at == machine.now
    assert machine.turn(run_id).status is Status.DONE


def test_a_wake_before_the_step_looked_wakes_nobody_twice(machine: Machine) -> None:
    """What the step saw itself is no reason to look again."""
    run_id = machine.submit(step("a", lambda *_: Wait("for the guest", on="vm:p:1", at_most=timedelta(hours=1))))
    machine.engine.wake(["vm:p:1"])
    assert machine.turn(run_id).due_at == machine.now + timedelta(hours=1)
    assert machine.engine.wake(["vm:p:1"]) == 1
    assert machine.run(run_id).due_at == machine.now


def test_a_stopping_engine_hands_its_runs_back(machine: Machine) -> None:
    """The step at hand is recorded, the next one is left to whoever comes: it is due at once, not at the end of a lease."""

    def stopping(_: World, data: Data) -> Outcome:
        machine.engine._shop.stopping.set()
        return does("a")(_, data)

    run_id = machine.submit(step("a", stopping), step("b", does("b")))
    run = machine.turn(run_id)
    assert (run.status, run.step, run.due_at, run.data["did"]) == (Status.READY, "b", machine.now, ["a"])
    machine.engine._shop.stopping.clear()
    assert machine.turn(run_id).status is Status.DONE


def test_a_world_that_cannot_be_made_is_a_failure_of_the_step(store: Store) -> None:
    """A pool that left the configuration gives its runs up, in words, instead of breaking the worker."""

    def worlds(*_: object) -> World:
        raise GiveUp("pool pool is not in the configuration")

    machine = Machine(store, worlds)
    run = machine.turn(machine.submit(step("a", does("a"))))
    assert (run.status, run.reason) == (Status.REFUSED, "pool pool is not in the configuration")


def test_a_run_that_cannot_be_recorded_does_not_kill_its_worker(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on when its lease ends; the worker takes the next one at once."""
    broken, whole = machine.submit(step("a", does("a"))), machine.submit(subject="vm:2")

    def refusing(record: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(place: object, run: Run, *rest: Any, **named: Any) -> Any:
            if run.id == broken:
                raise OSError("disk full")
            return record(place, run, *rest, **named)

        return refuse

    for module in (claims, direct):
        monkeypatch.setattr(module, "record", refusing(module.record))
    assert machine.turn(broken).status is Status.RUNNING
    assert machine.turn(whole).status is Status.DONE
    monkeypatch.undo()
    machine.pass_time(machine.timing.lease.total_seconds())
    assert machine.turn(broken).status is Status.DONE


def test_stuck_is_not_undone(machine: Machine) -> None:
    """A person is needed, and finds things as they are."""
    run = machine.turn(
        machine.submit(step("a", does("a"), undo=does("undo a")), step("b", lambda *_: Stuck("leaked", "vfo vfs", {"n": 1})))
    )
    assert (run.status, run.data["did"], run.evidence) == (Status.STUCK, ["a"], {"n": 1})


def test_who_asks_for_a_pause_is_due_after_it(machine: Machine) -> None:
    """RetryLater's own time is kept to the second."""
    run = machine.turn(machine.submit(step("a", fails(RetryLater("busy", after=timedelta(minutes=3))))))
    assert run.due_at == machine.now + timedelta(minutes=3)


def test_the_back_off_spreads_runs_that_failed_together() -> None:
    """A thousand runs that a toolstack restart hit at once do not come back at once."""
    from uuid import uuid4

    pauses = {Timing().back_off(uuid4(), 3) for _ in range(100)}
    assert len(pauses) > 50
    assert all(timedelta(seconds=4) <= pause <= timedelta(seconds=5) for pause in pauses)
