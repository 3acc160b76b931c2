from datetime import timedelta
from typing import Any

import pytest

from orchestrator.engine import execution
from orchestrator.engine.execution import Cancelled, Result, Standing
from orchestrator.engine.faults import Abandon, Again
from orchestrator.engine.timing import Timing
from state.run import Phase, Run, Status
from tests.engine.machine import START, step, workflow
from workflows.outcome import DONE, Done, Finish, Refuse, Request, Stuck, Wait


def done(*_: object) -> Done:
    return DONE


FLOW = workflow(step("first", done, undo=done), step("second", done), step("third", done, undo=done), step("last", done))
TIMING = Timing()


def standing(position: int = 1, **columns: Any) -> Standing:
    """A run at that step of FLOW, ten seconds after the step began."""
    fixed = {
        "workflow": "work",
        "pool": "p",
        "subject": "vm:1",
        "title": "t",
        "created_at": START,
        "updated_at": START,
        "status": Status.RUNNING,
    }
    row: dict[str, Any] = fixed | {"step": FLOW.steps[position].name, "step_began_at": START, "data": {"old": 1}} | columns
    run = Run(**row)
    return Standing(FLOW, run, position, START + timedelta(seconds=10), TIMING)


def undoing(position: int, failed: dict[str, str] | None = None, **columns: Any) -> Standing:
    """A run that undoes that step of FLOW."""
    return standing(position, phase=Phase.UNDO, evidence={"given_up": "no room", "undo_failed": failed or {}}, **columns)


def came(at: Standing, result: Result) -> execution.Next:
    return execution.apply(at, result, {"new": 1})


def test_a_step_that_is_done_is_followed_by_the_next_under_the_same_claim() -> None:
    """The next step begins now, with the data that this one left, and the runs that this one wants are created with the record."""
    request = Request("other", "p", "vm:2", "t")
    after = came(standing(), Done("went well", (request,)))
    change = after.change
    assert (change.status, change.step, change.data, change.attempt) == (Status.RUNNING, "third", {"new": 1}, 0)
    assert (change.step_began_at, change.due_at) == (START + timedelta(seconds=10), START + timedelta(seconds=10) + TIMING.lease)
    assert after.entry is not None
    assert (after.entry.step, after.entry.outcome, after.entry.message) == ("second", "done", "went well")
    assert after.follow_up == (request,)


def test_the_last_step_ends_the_run_done() -> None:
    """An end is never due."""
    change = came(standing(3), Done("proven")).change
    assert (change.status, change.due_at, change.reason, change.step) == (Status.DONE, None, "proven", "last")


def test_a_run_may_finish_early() -> None:
    """What the later steps would do is so already."""
    change = came(standing(0), Finish("is so already")).change
    assert (change.status, change.reason) == (Status.DONE, "is so already")


def test_a_wait_parks_the_run_until_its_key_or_its_time() -> None:
    """The step's clock goes on; the failures in a row are forgotten."""
    change = came(standing(attempt=3), Wait("for the guest", on="vm:p:1", at_most=timedelta(seconds=7))).change
    assert (change.status, change.step, change.waits_on, change.reason, change.attempt) == (
        Status.WAITING,
        "second",
        "vm:p:1",
        "for the guest",
        0,
    )
    assert (change.step_began_at, change.due_at) == (START, START + timedelta(seconds=17))
    assert change.data == {"new": 1}


def test_a_wait_for_the_same_reason_is_told_once() -> None:
    """A night of waiting is one entry, not a thousand."""
    assert came(standing(reason="for the guest"), Wait("for the guest")).entry is None
    assert came(standing(reason="for the disk"), Wait("for the guest")).entry is not None


def test_a_wait_of_no_or_negative_time_is_due_at_once() -> None:
    """Never in the past: the order of what is due stays the order of time."""
    assert came(standing(), Wait("", at_most=timedelta(seconds=-5))).change.due_at == START + timedelta(seconds=10)


@pytest.mark.parametrize("result", [Wait("for the guest"), Again("busy")], ids=["waiting", "failing"])
def test_a_step_that_takes_too_long_is_given_up(result: Result) -> None:
    """The time of a step includes its waits and its failures; after it, what was done is undone."""
    change = came(standing(step_began_at=START - timedelta(hours=1)), result).change
    assert (change.phase, change.step) == (Phase.UNDO, "first")
    assert change.evidence is not None
    assert "second took longer than 1:00:00" in change.evidence["given_up"]


def test_a_step_that_succeeds_late_has_succeeded() -> None:
    """Only what would go on waiting is given up."""
    assert came(standing(step_began_at=START - timedelta(days=7)), DONE).change.step == "third"


def test_a_step_without_a_timeout_waits_as_long_as_it_takes() -> None:
    """None means that."""
    patient = workflow(step("only", done, timeout=None))
    at = standing(0, step="only", step_began_at=START - timedelta(days=700))
    change = came(Standing(patient, at.run, 0, at.now, TIMING), Wait("")).change
    assert change.status is Status.WAITING


def test_a_refusal_with_nothing_done_before_ends_refused() -> None:
    """The step that refuses has touched nothing, so that its own undo has nothing to do."""
    change = came(standing(0), Refuse("not licensed")).change
    assert (change.status, change.reason) == (Status.REFUSED, "not licensed")


def test_a_refusal_after_something_was_done_is_undone() -> None:
    """The undo begins at the last step before it that has one."""
    change = came(standing(2), Refuse("not licensed")).change
    assert (change.status, change.phase, change.step) == (Status.RUNNING, Phase.UNDO, "first")


def test_giving_up_undoes_the_step_at_hand_too() -> None:
    """It may have acted before it failed."""
    change = came(standing(2), Abandon("no room")).change
    assert (change.phase, change.step, change.evidence) == (Phase.UNDO, "third", {"given_up": "no room", "undo_failed": {}})


def test_giving_up_with_nothing_to_undo_ends_refused() -> None:
    """A workflow whose steps have no undo leaves nothing behind."""
    flow = workflow(step("a", done), step("b", done))
    at = standing(1, step="b")
    change = came(Standing(flow, at.run, 1, at.now, TIMING), Abandon("gone")).change
    assert (change.status, change.reason) == (Status.REFUSED, "gone")


def test_a_run_that_is_cancelled_is_undone_from_where_it_stands() -> None:
    """The step at hand is undone too; one that never began ends refused."""
    assert came(standing(2), Cancelled()).change.step == "third"
    assert came(standing(0), Cancelled()).change.step == "first"
    assert came(standing(0, step=None), Cancelled()).change.status is Status.REFUSED


def test_a_stuck_run_keeps_its_step_its_evidence_and_the_next_command() -> None:
    """Everything a person needs is in the run."""
    change = came(standing(), Stuck("leaked", "vfo vfs", {"looks": [1]})).change
    assert (change.status, change.step, change.due_at) == (Status.STUCK, "second", None)
    assert (change.reason, change.next_command, change.evidence) == ("leaked", "vfo vfs", {"looks": [1]})


def test_a_failure_is_tried_again_later_each_time() -> None:
    """The data is as before the step; the pause doubles up to a cap, and says when the step knows better."""
    pauses = []
    for attempt in (0, 1, 5, 50):
        change = came(standing(attempt=attempt), Again("busy")).change
        assert (change.status, change.attempt, change.reason) == (Status.WAITING, attempt + 1, "busy")
        assert change.due_at is not None
        pauses.append((change.due_at - START).total_seconds() - 10)
    assert 1 <= pauses[0] <= 1.25
    assert 2 <= pauses[1] <= 2.5
    assert 32 <= pauses[2] <= 40
    assert 60 <= pauses[3] <= 75
    assert came(standing(), Again("busy", after=timedelta(minutes=5))).change.due_at == START + timedelta(seconds=310)


def test_what_fails_for_no_known_reason_is_put_aside_after_some_tries() -> None:
    """A person sees the evidence; the data is as before the step."""
    again = Again("KeyError: 'x'", tries=4, evidence={"traceback": ["a.py:1 in f"]})
    assert came(standing(attempt=2), again).change.status is Status.WAITING
    change = came(standing(attempt=3), again).change
    assert (change.status, change.evidence, change.data) == (Status.STUCK, {"traceback": ["a.py:1 in f"]}, {"old": 1})
    assert change.next_command.endswith("retry")


def test_undoing_goes_backwards_and_leaves_out_what_has_no_undo() -> None:
    """From the third step to the first, under the same claim."""
    after = came(undoing(2), DONE)
    assert (after.change.status, after.change.phase, after.change.step) == (Status.RUNNING, Phase.UNDO, "first")
    assert after.entry is not None
    assert (after.entry.step, after.entry.outcome) == ("third", "undone")


def test_when_all_is_put_back_the_run_is_undone_and_says_why() -> None:
    """The reason is that of giving up, whatever was waited for meanwhile."""
    change = came(undoing(0, reason="waited for the guest"), DONE).change
    assert (change.status, change.reason, change.evidence) == (Status.UNDONE, "no room", None)


@pytest.mark.parametrize("result", [Abandon("gone"), Refuse("gone"), Stuck("gone", ""), Again("gone", tries=1)])
def test_an_undo_that_fails_does_not_keep_the_others_from_their_turn(result: Result) -> None:
    """The failure is noted, and the next undo follows."""
    change = came(undoing(2), result).change
    assert (change.status, change.step) == (Status.RUNNING, "first")
    assert change.evidence is not None
    assert change.evidence["undo_failed"] == {"third": "gone"}


def test_a_run_with_a_failed_undo_ends_stuck_at_it() -> None:
    """A retry begins again at the last step whose undo failed; the reasons are all there."""
    change = came(undoing(0, {"third": "gone"}), Abandon("denied")).change
    assert (change.status, change.phase, change.step) == (Status.STUCK, Phase.UNDO, "third")
    assert "no room" in change.reason
    assert "third: gone; first: denied" in change.reason


def test_an_undo_that_works_on_the_second_try_is_no_failure_any_more() -> None:
    """After a retry by hand the run ends undone."""
    change = came(undoing(2, {"third": "gone"}), DONE).change
    assert change.evidence is not None
    assert change.evidence["undo_failed"] == {}


def test_an_undo_outwaits_a_pool_that_is_away_and_nothing_else() -> None:
    """No other undo would fare better while the pool cannot be reached; a busy object must not keep the others from their turn."""
    long_ago = START - timedelta(days=1)
    assert came(undoing(2, step_began_at=long_ago), Again("refused", unreachable=True)).change.status is Status.WAITING
    assert came(undoing(2, step_began_at=long_ago), Again("busy")).change.step == "first"


def test_a_waiting_undo_keeps_why_the_run_was_given_up() -> None:
    """The evidence goes with the run from undo to undo."""
    assert came(undoing(2), Wait("for the guest")).change.evidence == {"given_up": "no room", "undo_failed": {}}
