from uuid import uuid4

import pytest

from state import history, runs
from state.run import ENDED, Phase, Run, Status, of_row
from state.store import Store
from tests.state import moments
from tests.state.moments import START, later


def test_a_new_run_is_ready_and_due_at_once(store: Store) -> None:
    """What is wanted becomes a row that any worker may take, and the answer is that row."""
    run = moments.create(store)
    row = moments.read(store, run)
    assert (row.status, row.due_at, row.step, row.data, row.title) == (Status.READY, START, None, {"note": 1}, "title of vm:1")
    assert row.model_dump() == run.model_dump()


def test_a_subject_has_one_active_run_of_a_workflow(store: Store) -> None:
    """Wanting a run again while it is active gives the run that is there."""
    run = moments.create(store)
    with store.write() as session:
        again, created = runs.create(session, moments.wanted(), now=later(1))
    assert (again.id, created) == (run.id, False)


@pytest.mark.parametrize("end", sorted(ENDED))
def test_an_ended_run_leaves_its_subject_free(store: Store, end: Status) -> None:
    """When a run has ended, however it did, a new one may be created on its subject."""
    run = moments.claimed(store)
    assert moments.record(store, run, moments.ended(end))
    assert moments.create(store).id != run.id


def test_other_subjects_and_pools_do_not_stand_in_the_way(store: Store) -> None:
    """Only workflow, pool and subject together are held to one active run."""
    moments.create(store)
    with store.write() as session:
        _, created = runs.create(session, moments.wanted("vm:2"), now=START)
        assert created


def test_a_run_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    """Four digits or more will do, with dashes or without; what is no prefix finds nothing."""
    run = moments.create(store)
    moments.create(store, "vm:2")
    with store.read() as session:
        for prefix in (str(run.id)[:13], run.id.hex[:12].upper(), str(run.id)):
            assert [found.id for found in runs.with_prefix(session, prefix)] == [run.id]
        for prefix in ("", "abc", "%%%%", "xyzxyz"):
            assert runs.with_prefix(session, prefix) == []


def test_runs_are_listed_newest_first_by_status_and_pool(store: Store) -> None:
    """The list is of active runs unless other statuses are asked for."""
    old, new = moments.create(store, "vm:1"), moments.create(store, "vm:2", later(1))
    over = moments.claimed(store, "vm:3")
    moments.record(store, over, moments.ended())
    with store.read() as session:
        assert [run.id for run in runs.listed(session)] == [new.id, old.id]
        assert [run.id for run in runs.listed(session, statuses=[Status.DONE])] == [over.id]
        assert runs.listed(session, pool="another") == []
        assert runs.counts(session) == {status: {"ready": 2, "done": 1}.get(status, 0) for status in Status}


def test_cancelling_a_waiting_run_makes_it_due(store: Store) -> None:
    """Nobody waits for the end of a wait to give a run up."""
    run = moments.claimed(store)
    moments.record(store, run, moments.parked(until=later(3600)))
    with store.write() as session:
        runs.cancel(session, run.id, now=later(1), by="ada")
    row = moments.read(store, run)
    assert (row.cancel_requested, row.due_at) == (True, later(1))
    with store.read() as session:
        assert [entry.message for entry in history.of(session, run.id)] == ["cancelled by ada"]


def test_cancelling_a_run_at_work_leaves_its_claim_alone(store: Store) -> None:
    """The step at hand is finished first: the lease stays, so that nobody else takes the run."""
    run = moments.claimed(store)
    with store.write() as session:
        runs.cancel(session, run.id, now=later(1), by="ada")
    assert moments.read(store, run).due_at == START + moments.LEASE


def test_parking_a_run_that_was_cancelled_meanwhile_leaves_it_due(store: Store) -> None:
    """A cancellation that came while the step ran is not slept over."""
    run = moments.claimed(store)
    with store.write() as session:
        runs.cancel(session, run.id, now=later(1), by="ada")
    moments.record(store, run, moments.parked("key", until=later(3600)), later(2))
    assert (moments.read(store, run).due_at, moments.read(store, run).waits_on) == (later(2), None)
    assert run.cancel_requested


def test_what_is_over_or_being_undone_cannot_be_cancelled(store: Store) -> None:
    """The person who asks is told why."""
    over, undoing = moments.claimed(store), moments.claimed(store, "vm:2")
    moments.record(store, over, moments.ended())
    moments.record(store, undoing, moments.parked(phase=Phase.UNDO))
    with store.write() as session:
        for run_id, why in ((over.id, "over: done"), (undoing.id, "being undone"), (uuid4(), "there is no run")):
            with pytest.raises(runs.Impossible, match=why):
                runs.cancel(session, run_id, now=START, by="ada")


def test_a_stuck_run_is_cancelled_where_it_stands(store: Store) -> None:
    """It is due again, to be undone from there; one whose subject another run works on is left alone."""
    stuck = moments.claimed(store)
    moments.record(store, stuck, moments.ended(Status.STUCK))
    with store.write() as session:
        run = runs.cancel(session, stuck.id, now=later(1), by="ada")
    assert (run.status, run.cancel_requested, run.due_at) == (Status.READY, True, later(1))


def _retried(store: Store, run: Run) -> Run:
    with store.write() as session:
        return runs.retry(session, run.id, now=later(5), by="ada")


def test_a_stuck_run_goes_on_where_it_stuck(store: Store) -> None:
    """Trying again keeps step, phase and data; counters, the reason and the evidence begin anew."""
    run = moments.claimed(store)
    moments.record(store, run, moments.ended(Status.STUCK))
    again = _retried(store, run)
    assert (again.status, again.step, again.due_at, again.takes, again.finished_at) == (Status.READY, "first", later(5), 0, None)
    assert (again.reason, again.next_command, again.evidence) == ("tried again by ada", "", None)


def test_an_undone_run_begins_again_from_its_first_step(store: Store) -> None:
    """What was put back is not done any more."""
    run = moments.claimed(store)
    moments.record(store, run, moments.ended(Status.UNDONE, Phase.UNDO))
    again = _retried(store, run)
    assert (again.step, again.phase) == (None, Phase.FORWARD)


def test_an_undo_that_is_tried_again_keeps_why_the_run_was_given_up(store: Store) -> None:
    """The evidence of an undo goes on with it."""
    run = moments.claimed(store)
    moments.record(store, run, moments.ended(Status.STUCK, Phase.UNDO))
    assert _retried(store, run).evidence == {"seen": 1}


def test_what_is_done_or_active_or_replaced_cannot_be_tried_again(store: Store) -> None:
    """The person who asks is told why."""
    done, stuck, active = moments.claimed(store), moments.claimed(store, "vm:2"), moments.create(store, "vm:3")
    moments.record(store, done, moments.ended())
    moments.record(store, stuck, moments.ended(Status.STUCK))
    moments.create(store, "vm:2")
    for run, why in ((done, "is done"), (active, "is ready"), (stuck, "same subject")):
        with pytest.raises(runs.Impossible, match=why):
            _retried(store, run)


def test_an_approval_is_noted_once_and_makes_a_waiting_run_due(store: Store) -> None:
    """The first one counts; a lease is not cut short."""
    run = moments.claimed(store)
    with store.write() as session:
        assert runs.approve(session, run.id, now=later(1), by="ada").due_at == later(10)
    moments.record(store, run, moments.parked(), at=later(2))
    with store.write() as session:
        again = runs.approve(session, run.id, now=later(3), by="bob")
    assert (again.approved_by, again.due_at) == ("ada", later(2))
    with store.read() as session:
        assert [entry.message for entry in history.of(session, run.id)] == ["approved by ada"]


def test_what_has_ended_cannot_be_approved(store: Store) -> None:
    """A run that is refused asks anew when it is tried again: an approval is for one try."""
    run = moments.claimed(store)
    with store.write() as session:
        runs.approve(session, run.id, now=later(1), by="ada")
    moments.record(store, run, moments.ended(Status.REFUSED), at=later(2))
    with store.write() as session:
        with pytest.raises(runs.Impossible, match="the run is refused: try it again"):
            runs.approve(session, run.id, now=later(3), by="ada")
        assert runs.retry(session, run.id, now=later(4), by="ada").approved_by is None


def test_a_run_made_of_a_row_is_as_the_model_makes_it(store: Store) -> None:
    """With its defaults for what the row does not say, and as good for a session as one that was read."""
    row = runs.row(moments.wanted(), now=START)
    made = of_row(row)
    assert made == Run(**row)
    with store.write() as session:
        session.add(made)
    assert moments.read(store, made).model_dump() == Run(**row).model_dump()
