"""The pool, its network and its hosts fail in the middle of a backup; and the process dies on the way back."""

from typing import Any, Literal

import pytest

from orchestrator.simulator.control import find
from state.run import Run, Status
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.stage import Stage, giving_up
from workflows.prepare import PREPARE

STEPS = [step.name for step in PREPARE.steps]
CHANGING = (
    "VM.add_to_other_config", "VM.add_to_blocked_operations", "VM.clean_shutdown", "VIF.move", "VM.snapshot", "VM.start_on",
    "VM.remove_from_blocked_operations", "VM.update_allowed_operations", "VM.add_tags", "VM.remove_from_other_config", "VDI.destroy",
    "VM.destroy", "network.create",
)  # fmt: skip


def well(stage: Stage, run: Run) -> None:
    backups.ended(stage, run)
    assert [other.reason for other in stage.runs() if other.status is Status.STUCK] == []
    assert stage.complaints() == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", CHANGING)
def test_a_call_whose_fate_is_unknown_is_looked_at(stages: Stages, method: str, when: Literal["before", "after"]) -> None:
    """The connection dies before or after it took effect: nothing is done twice, nothing is left out."""
    stage = backups.staged(stages)
    stage.simulated.control.cut(method, when, times=2)
    well(stage, stage.run(backups.request(stage)))
    assert len(backups.snapshots(stage)) == 0


@pytest.mark.parametrize("step", STEPS)
def test_a_toolstack_restart_is_waited_out(stages: Stages, step: str) -> None:
    """Tasks and sessions are forgotten; guests run on."""
    stage = backups.staged(stages)
    backups.meanwhile(stage, PREPARE.name, step, lambda _, __: stage.simulated.control.toolstack_restart())
    well(stage, stage.run(backups.request(stage)))


@pytest.mark.parametrize("step", ["shut_down", "take_snapshot", "start_again"])
def test_a_task_that_is_forgotten_says_nothing(stages: Stages, step: str) -> None:
    """The toolstack restarts while the task is at work: the object is judged, and the work begun again where it is not so."""
    stage = backups.staged(stages, speed=0.02)
    run_id = stage.submit(backups.request(stage))
    backups.until_at_work(stage, run_id, step)
    stage.simulated.control.toolstack_restart()
    well(stage, stage.finish(run_id))


@pytest.mark.parametrize("step", ["park_vifs", "take_snapshot", "restore_vifs", "start_again"])
def test_a_vm_whose_host_dies_meanwhile_runs_elsewhere(stages: Stages, step: str) -> None:
    """It is halted, so it is not lost with its host (story 12)."""
    stage = backups.staged(stages)
    dead = next(host for host in stage.pool.hosts() if not host.is_coordinator)
    stage.simulated.add_vm("away", host=dead.name)
    vm = stage.vm("away")
    ref = find(stage.simulated.database, "host", dead.uuid)
    backups.meanwhile(stage, PREPARE.name, step, lambda _, __: stage.simulated.control.host(ref, "off"))
    run = backups.ended(stage, stage.run(backups.request(stage, "offline", vm)))
    now = stage.pool.vm(vm.uuid)
    assert (now.power_state, len(now.held), now.resident_on != dead.uuid) == ("Running", 1, True), stage.story(run.id)


@pytest.mark.parametrize("mode", ["offline", "failover"])
@pytest.mark.parametrize("step", ["park_vifs", "take_snapshot", "start_again"])
def test_a_death_at_any_call_on_the_way_back_is_survived(stages: Stages, step: str, mode: str) -> None:
    """Given up, and dead before or after each call that brings it home."""

    def check(stage: Stage, run: Run) -> None:
        backups.ended(stage, run, Status.UNDONE)
        assert stage.complaints() == []

    def given_up(stage: Stage) -> None:
        stage.workflows[PREPARE.name] = giving_up(PREPARE, step)

    made: Any = lambda: backups.staged(stages)  # noqa: E731
    assert crash_everywhere(made, lambda stage: backups.request(stage, mode), check, prepare=given_up) > 8
