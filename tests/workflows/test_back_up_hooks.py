"""Hooks around the backup of a VM by a policy: whom they are called for, and what they may do to it."""

from datetime import timedelta

import pytest

from state.run import Status
from tests.workflows.backups import Stages
from tests.workflows.policies import HOURS, at_work, ended, line, request, saved, staged
from workflows import prepare
from workflows.back_up import BACK_UP

BEFORE = ("before_vm", "before_snapshot", "before_job")
AFTER = ("after_snapshot", "after_job", "after_vm")
STATUS = {"refuse": "refused", "skip": "skipped", "give-up": "failed", "failed": "failed", "late": "failed"}


@pytest.mark.parametrize("hook", BEFORE)
@pytest.mark.parametrize("end", STATUS)
def test_a_hook_that_is_not_well_ends_the_backup_as_it_says(stages: Stages, hook: str, end: str) -> None:
    """The reason names it, what was done is undone, and every hook that comes after is told."""
    stage = staged(stages)
    stage.plugins.says(hook, end)
    run = ended(stage, request(stage))
    found = line(stage, run)
    assert (found.status, "app" in found.reason, hook in found.reason, "for a reason" in found.reason) == (STATUS[end], True, True, True)
    told = [said for said in stage.plugins.said if said[0] == "after_vm"]
    assert told == [("after_vm", STATUS[end])]
    assert ("after_snapshot", "failed") in stage.plugins.said or hook != "before_snapshot"
    assert ("after_job", STATUS[end]) in stage.plugins.said or hook != "before_job"
    assert stage.plugins.product.begun == []
    assert run.data["ended"]["status"] == STATUS[end]
    assert stage.complaints() == []


@pytest.mark.parametrize("end", ["refuse", "skip"])
def test_a_vm_that_a_hook_does_not_want_saved_is_not_touched(stages: Stages, end: str) -> None:
    """Refused is refused, and skipped is done: nothing is amiss (story 62)."""
    stage = staged(stages)
    stage.plugins.says("before_vm", end)
    run = ended(stage, request(stage))
    assert run.status is (Status.REFUSED if end == "refuse" else Status.DONE)
    assert [one.workflow for one in stage.runs()] == [BACK_UP.name]


@pytest.mark.parametrize("hook", BEFORE)
def test_a_hook_that_asks_for_patience_is_asked_again(stages: Stages, hook: str) -> None:
    """When it said; the VM is saved then."""
    stage = staged(stages)
    stage.plugins.says(hook, "later", times=2)
    began = stage.now
    saved(stage, ended(stage, request(stage)))
    assert [said for said, _ in stage.plugins.said].count(hook) == 3
    assert stage.now - began >= timedelta(minutes=4)


def test_a_hook_that_asks_for_patience_beyond_the_window_misses_it(stages: Stages) -> None:
    """No VM is shut down after the end of its window."""
    stage = staged(stages)
    stage.plugins.says("before_vm", "later", times=1000)
    began = stage.now
    run = ended(stage, request(stage))
    assert (line(stage, run).status, line(stage, run).reason) == ("failed", "the window closed before the backup could begin")
    assert stage.now - began < HOURS + timedelta(minutes=10)


@pytest.mark.parametrize("hook", AFTER)
@pytest.mark.parametrize("end", ["refuse", "give-up", "failed", "late", "later"])
def test_what_a_hook_says_after_a_thing_changes_nothing(stages: Stages, hook: str, end: str) -> None:
    """It is kept beside the backup, which is saved."""
    stage = staged(stages)
    stage.plugins.says(hook, end)
    run = ended(stage, request(stage))
    saved(stage, run)
    if hook != "after_snapshot":
        assert [one["hook"] for one in line(stage, run).details["hooks"]] == [hook]


@pytest.mark.parametrize("hook", ["before_vm", "before_job"])
def test_cancelled_while_a_hook_asks_for_patience_it_leaves_nothing(stages: Stages, hook: str) -> None:
    """The hooks that come after are told that it was cancelled."""
    stage = staged(stages)
    stage.plugins.says(hook, "later", times=1000)
    run = at_work(stage, "ask_vm" if hook == "before_vm" else "ask_job")
    stage.engine.cancel(run.id, by="me")
    stage.finish_all()
    assert line(stage, run).status == "cancelled"
    assert stage.plugins.said[-1] == ("after_vm", "cancelled")
    assert stage.complaints() == []


def test_every_hook_is_called_for_the_run_that_backs_up(stages: Stages) -> None:
    """Those in prepare-backup too: after a crash the same run_id comes again."""
    stage = staged(stages)
    run = ended(stage, request(stage))
    assert {(vm.run_id, vm.policy, vm.product, vm.power_state) for vm in stage.plugins.called_for} == {
        (run.id, "nightly", "nas", "Running")
    }


def test_a_policy_without_hooks_calls_none(stages: Stages) -> None:
    """And is saved as well."""
    stage = staged(stages, hooks=())
    saved(stage, ended(stage, request(stage)))
    assert stage.plugins.said == []


def test_prepare_backup_by_hand_calls_no_hook(stages: Stages) -> None:
    """`vfo backup prepare` is not a policy's."""
    stage = staged(stages)
    ended(stage, prepare.request("lab", stage.with_vf(), mode="offline", hold=timedelta(hours=1), retention=timedelta()))
    assert stage.plugins.said == []
