"""The backup of a VM by a policy: what is in the catalogue then, who is told, and what remains when it is given up or tried again."""

from datetime import timedelta
from uuid import uuid4

import pytest

from plugins.values import BackupEnded
from state.run import Status
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.policies import MODES, at_work, ended, line, request, saved, staged
from workflows.back_up import BACK_UP
from workflows.prepare import PREPARE
from workflows.release_backup import RELEASE

ALL_HOOKS = ["before_vm", "before_snapshot", "after_snapshot", "before_job", "after_job", "after_vm"]


@pytest.mark.parametrize("mode", MODES)
def test_a_vm_is_saved_and_everything_is_as_it_was(stages: Stages, mode: str) -> None:
    """The hooks are called in their order, the product's point stands in the catalogue, the VM holds its VF."""
    stage = staged(stages, mode)
    run = ended(stage, request(stage))
    saved(stage, run)
    assert [hook for hook, _ in stage.plugins.said] == ALL_HOOKS
    found = line(stage, run)
    assert (found.point, found.mode, found.read, found.stored, found.window) == ("point-1", mode, 1000, 10, "night")
    assert found.size == sum(disk.size for disk in stage.plugins.product.saved[0].disks) > 0


def test_the_observers_are_told_how_it_ended(stages: Stages) -> None:
    """Once, with the restore point."""
    stage = staged(stages)
    run = ended(stage, request(stage))
    told = [one for one in stage.told if isinstance(one, BackupEnded)]
    assert [(one.vm.run_id, one.ended.status, one.ended.point) for one in told] == [(run.id, "saved", "point-1")]


@pytest.mark.parametrize(("mode", "minutes"), [("online", 0), ("offline", 3), ("failover", 3 + 4)])
def test_the_catalogue_says_how_long_the_guest_was_down(stages: Stages, mode: str, minutes: int) -> None:
    """From the moment in which it was asked to shut down until it ran again, both times in mode failover."""
    stage = staged(stages, mode)
    backups.meanwhile(stage, PREPARE.name, "take_snapshot", lambda *_: stage.pass_time(timedelta(minutes=3)))
    calls: list[object] = []

    def later() -> object:
        """The second halt takes four minutes."""
        calls.append(stage.pass_time(timedelta(minutes=4)))
        return calls

    real = stage.port.begin_start

    def slow(vm: str, host: str | None = None, **more: str) -> str:
        if any(run.workflow == RELEASE.name and run.step == "give_vf_back" for run in stage.runs()) and not calls:
            later()
        return real(vm, host, **more)

    stage.port.begin_start = slow  # type: ignore[method-assign]
    run = ended(stage, request(stage))
    saved(stage, run)
    assert line(stage, run).downtime == pytest.approx(60 * minutes, abs=10)


@pytest.mark.parametrize("step", [step.name for step in BACK_UP.steps if step.name in ("make_ready", "save", "bring_home")])
def test_cancelled_while_it_waits_it_leaves_nothing(stages: Stages, step: str) -> None:
    """The job ends, the VM comes home, the hooks are told; what is saved by then is saved."""
    stage = staged(stages, "failover")
    if step == "save":
        stage.plugins.product.polls = ["running"]
    run = at_work(stage, step)
    stage.engine.cancel(run.id, by="me")
    stage.finish_all()
    assert stage.at(run.id).status is Status.UNDONE
    assert line(stage, run).status == ("saved" if step == "bring_home" else "cancelled")
    assert stage.plugins.product.cancelled == ([f"job-{run.id}"] if step == "save" else [])
    assert stage.plugins.said[-1] == ("after_vm", line(stage, run).status)
    assert stage.complaints() == []


def test_tried_again_by_a_person_it_begins_anew(stages: Stages) -> None:
    """With a snapshot of its own; what its children of the first try left counts for nothing."""
    stage = staged(stages)
    stage.plugins.product.polls = ["failed", "done"]
    run = ended(stage, request(stage))
    assert line(stage, run).status == "failed"
    stage.engine.retry(run.id, by="me")
    stage.finish_all()
    saved(stage, stage.at(run.id))
    assert len([one for one in stage.runs() if one.workflow == PREPARE.name]) == 2


def test_the_same_request_makes_one_run(stages: Stages) -> None:
    """Its id is known before: a window that asks twice gets one backup."""
    stage = staged(stages)
    run_id = uuid4()
    first = ended(stage, request(stage, run_id=run_id))
    again = ended(stage, request(stage, run_id=run_id))
    assert first.id == again.id == run_id
    saved(stage, again)
