"""The process dies anywhere in the backup of a VM: before and after each step, each undo, and each call that changes something."""

import pytest

from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.backups import Stages
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.policies import MODES, ended, line, request, saved, staged
from tests.workflows.stage import Stage, giving_up
from workflows.back_up import BACK_UP
from workflows.prepare import PREPARE


def dying(stage: Stage, crash: crashes.Crash, flow: str = BACK_UP.name) -> crashes.Crash:
    """The stage's workflow, with a death of its own."""
    deadly = crashes.Crash(crash.step, crash.when, crash.undo)
    stage.workflows[flow] = deadly.into(stage.workflows[flow])
    return deadly


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("crash", crashes.of(BACK_UP), ids=str)
def test_a_death_at_any_step_is_survived(stages: Stages, crash: crashes.Crash, mode: str) -> None:
    """The next process goes on: the VM is saved once, and everything is as it was."""
    stage = staged(stages, mode)
    deadly = dying(stage, crash)
    run = ended(stage, request(stage))
    assert deadly.deaths == 1
    saved(stage, run)
    assert stage.plugins.product.begun == [f"job-{run.id}"]


@pytest.mark.parametrize("crash", [place for place in crashes.of_undo(BACK_UP) if place.step != "keep_account"], ids=str)
def test_a_death_at_any_undo_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """Given up when the product is to begin, no job is left at work, the VM is home and the line is written."""
    stage = staged(stages)
    stage.plugins.product.polls = ["broken"]
    deadly = dying(stage, crash)
    run = ended(stage, request(stage))
    assert deadly.deaths == 1
    assert (run.status, line(stage, run).status) == (Status.UNDONE, "failed")
    assert stage.plugins.product.at_work == set()
    assert stage.complaints() == []


@pytest.mark.parametrize("step", [step.name for step in BACK_UP.steps[:-1]])
def test_given_up_after_any_step_nothing_of_ours_stays(stages: Stages, step: str) -> None:
    """Whatever was done is undone, and the hooks that come after are told, each once."""
    stage = staged(stages)
    stage.workflows[BACK_UP.name] = giving_up(BACK_UP, step)
    run = ended(stage, request(stage))
    assert run.status is Status.UNDONE
    assert line(stage, run).status == ("failed" if step in ("ask_vm", "track", "make_ready", "ask_job", "save") else "saved")
    assert [hook for hook, _ in stage.plugins.said].count("after_vm") == 1
    assert stage.complaints() == []


@pytest.mark.parametrize("crash", [place for place in crashes.of(PREPARE) if "snapshot" in place.step], ids=str)
def test_a_death_around_the_snapshot_thaws_the_guest(stages: Stages, crash: crashes.Crash) -> None:
    """Whoever takes the run up tells the hook that the snapshot is taken."""
    stage = staged(stages, "online")
    deadly = dying(stage, crash, PREPARE.name)
    run = ended(stage, request(stage))
    assert deadly.deaths == 1
    saved(stage, run)
    assert ("after_snapshot", "taken") in stage.plugins.said


@pytest.mark.parametrize("mode", MODES)
def test_a_death_at_any_call_is_survived(stages: Stages, mode: str) -> None:
    """Before and after each single call that changes something, in whichever run it is."""

    def check(stage: Stage, run: Run) -> None:
        stage.finish_all()
        saved(stage, stage.at(run.id))

    assert crash_everywhere(lambda: staged(stages, mode), request, check, run=ended) > 8
