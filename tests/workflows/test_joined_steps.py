"""prepare-backup records its shutdown, the parking of VIFs and what follows together, where nobody has to be told of it in between."""

import pytest

from state.run import Run, Status
from tests.engine.crashes import Death
from tests.workflows import backups, policies
from tests.workflows.backups import Stages
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.stage import Stage
from workflows.outcome import Request
from workflows.prepare import PREPARE
from workflows.workflow import Data
from workflows.world import World


def staged(stages: Stages, hooks: tuple[str, ...]) -> tuple[Stage, Request]:
    """A backup of mode offline: by a policy that has *hooks*, or without a policy where there are none."""
    if hooks:
        stage = policies.staged(stages, hooks=hooks)
        return stage, policies.request(stage)
    stage = backups.staged(stages)
    return stage, backups.request(stage)


def parked(stage: Stage, vm: str) -> list[bool]:
    return [vif.network_name == "vfo parking" for vif in stage.pool.vm(vm).vifs]


@pytest.mark.parametrize(("hooks", "row"), [((), "shut_down"), (("app",), "before_snapshot")])
def test_vifs_are_parked_without_a_record_of_their_own_unless_hooks_are_asked_next(
    stages: Stages, hooks: tuple[str, ...], row: str
) -> None:
    """The guest waits for one commit less. Hooks are to be told of the end of what they were asked for: then the row must say so first."""
    stage, wanted = staged(stages, hooks)
    seen = []

    def look(world: World, data: Data) -> None:
        seen.append((stage.at(world.run_id).step, parked(stage, data["vm"])))

    backups.meanwhile(stage, PREPARE.name, "before_snapshot", look)
    run_id = stage.submit(wanted)
    stage.finish_all()
    assert seen == [(row, [True])]
    assert stage.at(run_id).status is Status.DONE
    prepared = next(run for run in stage.runs() if run.workflow == PREPARE.name)
    done = [line.split(":")[0] for line in stage.story(prepared.id) if ": done:" in line]
    assert done == [step.name for step in PREPARE.steps], "each has its entry, once and in order"


@pytest.mark.parametrize("hooks", [(), ("app",)])
def test_cancelled_and_dead_with_its_vifs_parked_it_comes_home(stages: Stages, hooks: tuple[str, ...]) -> None:
    """Whatever the row says of the parking, the VIFs go back; and only hooks that were asked are told that there will be no snapshot."""
    stage, wanted = staged(stages, hooks)

    def die(world: World, data: Data) -> None:
        assert parked(stage, data["vm"]) == [True]
        stage.engine.cancel(world.run_id, by="me")
        raise Death

    backups.meanwhile(stage, PREPARE.name, "before_snapshot", die)
    stage.submit(wanted)
    stage.finish_all()
    prepared = next(run for run in stage.runs() if run.workflow == PREPARE.name)
    assert prepared.status is Status.UNDONE, stage.story(prepared.id)
    assert any(line.startswith("before_snapshot: undone") for line in stage.story(prepared.id)) is bool(hooks)
    assert ("after_snapshot", "failed") in stage.plugins.said or not hooks
    assert stage.complaints() == []


def test_a_death_at_any_call_of_a_run_that_is_given_up_with_its_vifs_parked_is_survived(stages: Stages) -> None:
    """Before and after each single call that changes something, on the way there and on the way back."""

    def cancelling(stage: Stage) -> None:
        backups.meanwhile(stage, PREPARE.name, "before_snapshot", lambda world, _: stage.engine.cancel(world.run_id, by="me"))

    def check(stage: Stage, run: Run) -> None:
        assert run.status is Status.UNDONE, f"{run.status}: {run.reason}"
        assert stage.complaints() == []

    assert crash_everywhere(lambda: backups.staged(stages), backups.request, check, prepare=cancelling) > 8
