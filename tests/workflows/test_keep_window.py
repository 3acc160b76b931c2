"""The run that keeps a window: whom it begins and when, what it says of the others, and what it does when it dies."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from plugins.values import WindowChanged, WindowEnded, WindowOpening
from state import backups
from state.backups import Backup
from state.run import ACTIVE, Run, Status
from tests.engine import crashes
from tests.workflows.stage import Stage, giving_up
from workflows import back_up, keep_window
from workflows.keep_window import KEEP_WINDOW
from workflows.outcome import Request
from workflows.policies import BackupPlan, Backups, Keep, Limits, Selection
from workflows.policy import Policy

HOUR = timedelta(hours=1)
FREE = Limits(None, None, None, None)
Stages = Callable[..., Stage]


def staged(stages: Stages, *plans: BackupPlan, vms: int = 3, **fields: Any) -> Stage:
    stage = stages(hosts=1, vfs=8, vms=vms, **fields)
    plans = plans or (plan("nightly"),)
    stage.policy = Policy(backups=Backups(policies={one.name: one for one in plans}))
    return stage


def plan(name: str, **fields: Any) -> BackupPlan:
    return BackupPlan(**{"name": name, "product": "fake", "window": "night", "mode": "online", "vms": Selection(names=("*",)), **fields})


def wanted(stage: Stage, *policies: str, lasts: timedelta | None = 8 * HOUR, limits: Limits = FREE, only: tuple[str, ...] = ()) -> Request:
    opening = WindowOpening(uuid4(), "night", "lab", stage.now, stage.now + lasts if lasts else None)
    return keep_window.request(opening, policies or tuple(stage.policy.backups.policies), limits=limits, only=only)


def lines(stage: Stage) -> list[Backup]:
    with stage.store.read() as session:
        return backups.since(session, datetime.min.replace(tzinfo=stage.now.tzinfo))


def statuses(stage: Stage) -> Counter[str]:
    return Counter(line.status for line in lines(stage))


def at_once(stage: Stage) -> int:
    """How many backups were ever at work at the same moment."""
    spans = [(line.began_at, line.ended_at) for line in lines(stage) if line.ended_at]
    return max(sum(begins <= moment < ends for begins, ends in spans) for moment, _ in spans)


def finished(stage: Stage, request: Request) -> Run:
    run_id = stage.submit(request)
    stage.finish_all()
    return stage.at(run_id)


def test_a_window_saves_every_vm_of_its_policies(stages: Stages) -> None:
    """Each once, with a line in the catalogue that names the window; the observers hear of both ends."""
    stage = staged(stages)
    run = finished(stage, wanted(stage))
    assert (run.status, run.reason) == (Status.DONE, "3 saved, 0 failed, 0 missed")
    assert [(line.status, line.window) for line in lines(stage)] == [("saved", "night")] * 3
    told = [one for one in stage.told if isinstance(one, WindowChanged)]
    assert [one.ended is None for one in told] == [True, False]
    assert stage.complaints() == []


@pytest.mark.parametrize("limits", [Limits(1, None, None, None), Limits(None, None, 1, None)])
def test_no_more_are_at_work_than_a_limit_allows(stages: Stages, limits: Limits) -> None:
    """All VMs are of one pool and have their disks on one SR."""
    stage = staged(stages)
    assert finished(stage, wanted(stage, limits=limits)).status is Status.DONE
    assert statuses(stage) == {"saved": 3}
    assert at_once(stage) == 1


def test_those_who_would_not_be_through_are_missed_and_the_report_says_why(stages: Stages) -> None:
    """Nothing is begun that would not end before the window does."""
    stage = staged(stages)
    run = finished(stage, wanted(stage, lasts=timedelta(minutes=1)))
    assert run.reason == "0 saved, 0 failed, 3 missed"
    assert {line.status for line in lines(stage)} == {"missed"}
    for line in lines(stage):
        assert re.match(r"it takes \d+ min by estimate, and the window is not open for as long: ", line.reason)
        assert line.reason.endswith(f"`vfo policy run {line.policy} --vm {line.vm}`, which measures it")
    assert stage.runs() == [run]


def test_those_whose_turn_comes_too_late_are_missed_and_the_report_says_why(stages: Stages) -> None:
    """They would fit into the window, but not into what is left of it."""
    stage = staged(stages)
    asked = wanted(stage, lasts=timedelta(minutes=30))
    stage.pass_time(timedelta(minutes=29))
    finished(stage, asked)
    assert {line.status for line in lines(stage)} == {"missed"}
    assert all(re.fullmatch(r"it takes \d+ min by estimate, and would not be through before .* end", line.reason) for line in lines(stage))


def test_those_whose_turn_does_not_come_are_missed_at_the_end(stages: Stages) -> None:
    """One at a time, and the first takes until the window is closed: it goes on and is said to be late, the others are missed."""
    stage = staged(stages)
    stage.plugins.product.polls = ["running"]
    run_id = stage.submit(wanted(stage, lasts=HOUR, limits=Limits(1)))
    for _ in range(200):
        if stage.at(run_id).data.get("missed"):
            break
        for run in stage.runs(ACTIVE):
            stage.settle(run.id)
        stage.pass_time(timedelta(minutes=1))
    assert statuses(stage) == {"late": 1, "missed": 2}
    stage.plugins.product.polls = ["done"]
    stage.finish_all()
    assert statuses(stage) == {"saved": 1, "missed": 2}
    assert stage.at(run_id).reason == "1 saved, 0 failed, 2 missed"


def test_one_that_fails_is_tried_again_in_the_same_window(stages: Stages) -> None:
    """As often as its policy says, after the others."""
    stage = staged(stages, plan("nightly", retries=1), vms=2)
    stage.plugins.product.polls = ["failed", "done"]
    run = finished(stage, wanted(stage, limits=Limits(1)))
    assert run.reason == "2 saved, 0 failed, 0 missed"
    assert [line.status for line in lines(stage)] == ["failed", "saved", "saved"]


def test_one_that_always_fails_is_failed_when_its_tries_are_over(stages: Stages) -> None:
    """And the window is kept for all that."""
    stage = staged(stages, plan("nightly", retries=2), vms=1)
    stage.plugins.product.polls = ["failed"]
    run = finished(stage, wanted(stage))
    assert (run.status, run.reason) == (Status.DONE, "0 saved, 1 failed, 0 missed")
    assert statuses(stage) == {"failed": 3}


def test_a_vm_that_somebody_backs_up_already_is_said_and_left(stages: Stages) -> None:
    """One run a VM: the other one goes on."""
    stage = staged(stages, vms=1)
    other = WindowOpening(uuid4(), "by hand", "lab", stage.now, None)
    by_hand = stage.submit(back_up.request(stage.vm(stage.port.vms()[0].name), plan("nightly"), other, uuid4(), woken=False))
    run = finished(stage, wanted(stage))
    assert run.reason == "0 saved, 1 skipped, 0 failed, 0 missed"
    assert stage.at(by_hand).status is Status.DONE
    assert statuses(stage) == {"saved": 1, "skipped": 1}
    assert any("backing it up" in line.reason for line in lines(stage))


def test_a_paused_policy_is_left_out_and_said(stages: Stages) -> None:
    """Also one that is paused in the middle: nobody else of it is begun."""
    stage = staged(stages, plan("web"), plan("db"), vms=1)
    with stage.store.write() as session:
        backups.pause(session, "db", by="ann", now=stage.now)
    run = finished(stage, wanted(stage))
    assert [line.policy for line in lines(stage)] == ["web"]
    assert any("policy db is paused by ann" in told for told in stage.story(run.id))


def test_a_policy_that_is_paused_in_the_middle_begins_nobody_else(stages: Stages) -> None:
    """Who waits is missed, with the reason; who is at work goes on."""
    stage = staged(stages)
    run_id = stage.submit(wanted(stage, limits=Limits(1)))
    stage.settle(run_id)
    with stage.store.write() as session:
        backups.pause(session, "nightly", by="ann", now=stage.now)
    stage.finish_all()
    assert statuses(stage) == {"saved": 1, "missed": 2}
    assert any("paused by ann" in line.reason for line in lines(stage))


def test_a_policy_that_is_removed_in_the_middle_begins_nobody_else(stages: Stages) -> None:
    """Who waits is missed, with the reason; who is at work is saved, and nothing old of it is forgotten."""
    stage = staged(stages, plan("nightly", keep=Keep(last=1)))
    run_id = stage.submit(wanted(stage, limits=Limits(1)))
    stage.settle(run_id)
    stage.policy = Policy()
    stage.finish_all()
    assert stage.at(run_id).reason == "1 saved, 0 failed, 2 missed"
    assert {line.reason for line in lines(stage) if line.status == "missed"} == {"policy nightly is not there any more"}
    assert stage.complaints() == []


def test_a_policy_that_is_changed_in_the_middle_is_as_changed_for_who_comes_after(stages: Stages) -> None:
    """Who is at work goes on as it was begun."""
    stage = staged(stages)
    run_id = stage.submit(wanted(stage, limits=Limits(1)))
    stage.settle(run_id)
    stage.policy = Policy(backups=Backups(policies={"nightly": plan("nightly", mode="offline", vms=Selection(names=("nobody",)))}))
    stage.finish_all()
    assert stage.at(run_id).reason == "3 saved, 0 failed, 0 missed"
    assert Counter(line.mode for line in lines(stage)) == {"online": 1, "offline": 2}
    assert stage.complaints() == []


def test_the_hooks_of_a_paused_policy_are_not_asked(stages: Stages) -> None:
    """What they would say is no reason to do nothing for the others."""
    stage = staged(stages, plan("web"), plan("db", hooks=("freeze",)), vms=1)
    stage.plugins.says("before_window", "refuse")
    with stage.store.write() as session:
        backups.pause(session, "db", by="ann", now=stage.now)
    assert finished(stage, wanted(stage)).reason == "1 saved, 0 failed, 0 missed"
    assert stage.plugins.said == []


@pytest.mark.parametrize(("end", "status"), [("refuse", "refused"), ("give-up", "refused"), ("late", "refused"), ("skip", "skipped")])
def test_a_hook_that_says_no_before_the_window_begins_nothing(stages: Stages, end: str, status: str) -> None:
    """Each VM has a line that says so, and the hooks that come after are called."""
    stage = staged(stages, plan("nightly", hooks=("freeze",)), vms=1)
    stage.plugins.says("before_window", end)
    run = finished(stage, wanted(stage))
    assert run.status is Status.DONE
    assert statuses(stage) == {status: 1}
    assert run.reason == f"0 saved, 1 {status}, 0 failed, 0 missed"
    assert [hook for hook, _ in stage.plugins.said] == ["before_window", "after_window"]


def test_what_became_of_the_vms_is_counted_as_the_report_counts_it(stages: Stages) -> None:
    """Saved, skipped, refused and failed apart, in the run's words and to the observers."""
    stage = staged(stages, plan("nightly", hooks=("freeze",), retries=0), vms=4)
    stage.plugins.product.polls = ["failed", "done"]
    stage.plugins.to_say["before_vm"] = ["skip", "refuse"]
    run = finished(stage, wanted(stage, limits=Limits(1)))
    assert run.reason == "1 saved, 1 skipped, 1 refused, 1 failed, 0 missed"
    assert statuses(stage) == {"saved": 1, "skipped": 1, "refused": 1, "failed": 1}
    assert [one.ended for one in stage.told if isinstance(one, WindowChanged)] == [None, WindowEnded(1, 1, 0, skipped=1, refused=1)]


def test_a_hook_that_says_later_is_asked_again(stages: Stages) -> None:
    """When it says so."""
    stage = staged(stages, plan("nightly", hooks=("freeze",)), vms=1)
    stage.plugins.says("before_window", "later", times=2)
    assert finished(stage, wanted(stage)).reason == "1 saved, 0 failed, 0 missed"


def test_a_cancelled_window_begins_nobody_else_and_cuts_nobody_off(stages: Stages) -> None:
    """Who is at work goes on; the hooks that come after are called."""
    stage = staged(stages, plan("nightly", hooks=("freeze",)))
    run_id = stage.submit(wanted(stage, limits=Limits(1)))
    stage.settle(run_id)
    stage.engine.cancel(run_id, by="ann")
    stage.finish_all()
    assert statuses(stage) == {"saved": 1, "missed": 2}
    assert ("after_window", "") in stage.plugins.said


def test_a_policy_by_hand_has_no_end_and_may_be_of_some_vms(stages: Stages) -> None:
    """Only those that were named, however long it takes."""
    stage = staged(stages)
    one = stage.port.vms()[1]
    run = finished(stage, wanted(stage, lasts=None, only=(one.uuid,)))
    assert run.reason == "1 saved, 0 failed, 0 missed"
    assert [(line.vm, line.window) for line in lines(stage)] == [(one.uuid, "")]


@pytest.mark.parametrize("crash", crashes.of(KEEP_WINDOW), ids=str)
def test_a_crash_at_every_step_saves_everybody_once(stages: Stages, crash: Any) -> None:
    """Whatever it had begun before it died is known after it."""
    stage = staged(stages, vms=2)
    flow = stage.workflows[keep_window.NAME]
    stage.workflows[keep_window.NAME] = crash.into(flow)
    run = finished(stage, wanted(stage, limits=Limits(1)))
    assert (run.status, run.reason) == (Status.DONE, "2 saved, 0 failed, 0 missed")
    assert statuses(stage) == {"saved": 2}
    assert crash.deaths == crash.times


@pytest.mark.parametrize("crash", crashes.of_undo(KEEP_WINDOW), ids=str)
def test_a_crash_of_every_undo_says_what_was_missed_once(stages: Stages, crash: Any) -> None:
    """Given up when all is over: nothing is counted twice."""
    stage = staged(stages, vms=2)
    crash = dataclasses.replace(crash)
    stage.workflows[keep_window.NAME] = crash.into(giving_up(KEEP_WINDOW, "save_vms"))
    run = finished(stage, wanted(stage))
    assert run.status is Status.UNDONE
    assert statuses(stage) == {"saved": 2}
