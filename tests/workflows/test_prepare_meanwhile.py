"""Somebody does something to the VM in the middle of its backup."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.simulator.control import find
from state.run import Run, Status
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.stage import Stage
from workflows.ports import PoolError
from workflows.prepare import PREPARE
from workflows.release_backup import RELEASE

STEPS = [step.name for step in PREPARE.steps]
BEFORE_IT_IS_DOWN = STEPS[: STEPS.index("shut_down") + 1]
WHILE_IT_IS_DOWN = STEPS[STEPS.index("park_vifs") : STEPS.index("start_again") + 1]
AFTER = STEPS[STEPS.index("mark_snapshot") :]


class Somebody:
    """Another client of the pool. What the pool refuses is refused."""

    def __init__(self, stage: Stage, vm: str) -> None:
        self._stage = stage
        self._db = stage.simulated.database
        self.vm = vm
        self.ref = find(self._db, "VM", vm)
        self.refused: list[str] = []

    def call(self, method: str, *params: Any) -> Any:
        try:
            return self._stage.client.call(method, *params)
        except PoolError as error:
            self.refused.append(error.code)

    def starts_it(self) -> None:
        """As somebody does who takes the block away first."""
        for operation in ("start", "start_on"):
            self.call("VM.remove_from_blocked_operations", self.ref, operation)
        self.call("VM.start", self.ref, False, False)

    def reverts_it(self) -> None:
        """To the snapshot that was there before."""
        self.call("VM.revert", self._db.get("VM", self.ref)["snapshots"][0])

    def halts_it(self) -> None:
        self._stage.simulated.halt_vm(self.vm)

    def deletes_it(self) -> None:
        self._stage.simulated.destroy_vm(self.vm)

    def renames_it(self) -> None:
        self.call("VM.set_name_label", self.ref, "renamed")


def prepared(
    stage: Stage, step: str, act: Callable[[Somebody], object], mode: str = "offline", flow: str = PREPARE.name
) -> tuple[Run, Somebody]:
    """The run, with somebody acting before the step, at the end of everything."""
    wanted = backups.request(stage, mode)
    somebody = Somebody(stage, wanted.data["vm"])
    backups.meanwhile(stage, flow, step, lambda _, __: act(somebody))
    run = stage.run(wanted)
    stage.finish_all()
    return stage.at(run.id), somebody


def stuck(stage: Stage) -> list[str]:
    return [f"{run.workflow} {run.status}: {run.reason}" for run in stage.runs() if run.status is Status.STUCK]


@pytest.mark.parametrize("mode", ["online", "offline", "failover"])
@pytest.mark.parametrize("step", STEPS)
def test_a_vm_deleted_in_the_middle_leaves_nothing_behind(stages: Stages, step: str, mode: str) -> None:
    """The run ends undone (or done, when it was prepared), with no snapshot, promise or hold of ours."""
    stage = backups.staged(stages)
    run, _ = prepared(stage, step, Somebody.deletes_it, mode)
    assert stuck(stage) == []
    assert run.status in {Status.REFUSED, Status.UNDONE, Status.DONE}
    said = [line for line in stage.complaints() if "is gone" not in line]
    assert said == []


@pytest.mark.parametrize("step", STEPS)
def test_a_renamed_vm_is_the_same_vm(stages: Stages, step: str) -> None:
    """Nothing goes by names."""
    stage = backups.staged(stages)
    run, _ = prepared(stage, step, Somebody.renames_it)
    assert run.status is Status.DONE
    assert [line for line in stage.complaints() if "name_label" not in line] == []


@pytest.mark.parametrize("step", [*WHILE_IT_IS_DOWN, *AFTER])
def test_a_vm_that_somebody_starts_runs_in_the_end_with_its_vf(stages: Stages, step: str) -> None:
    """auto_poweron, HA or a person who takes the block away: its VIFs are put back, whatever that takes (stories 14 and 19)."""
    stage = backups.staged(stages)
    run, _ = prepared(stage, step, Somebody.starts_it)
    assert stuck(stage) == []
    assert run.status in {Status.UNDONE, Status.DONE}
    assert stage.complaints() == []


@pytest.mark.parametrize("step", WHILE_IT_IS_DOWN[:-1])
def test_nobody_starts_it_while_its_vifs_are_away(stages: Stages, step: str) -> None:
    """What xapi does for auto_poweron and HA is refused like anybody's start (story 19)."""
    stage = backups.staged(stages)
    run, somebody = prepared(stage, step, lambda other: other.call("VM.start", other.ref, False, False))
    assert somebody.refused == ["OPERATION_BLOCKED"]
    backups.ended(stage, run)
    assert stage.complaints() == []


@pytest.mark.parametrize("step", [step for step in STEPS if step != "examine"])
def test_a_vm_reverted_in_the_middle_has_its_vf_in_the_end(stages: Stages, step: str) -> None:
    """A revert halts the VM and makes its VIFs anew: they are on their network, and nothing of ours is left (story 13)."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    stage.simulated.add_snapshot(vm.uuid, "before")
    stage.began = stage.look()
    run, _ = prepared(stage, step, Somebody.reverts_it)
    assert stuck(stage) == []
    now = stage.pool.vm(vm.uuid)
    assert [(vif.MAC, vif.network) for vif in now.vifs] == [(vif.MAC, vif.network) for vif in vm.vifs]
    if step not in {"mark_snapshot", "verify", "leave_nothing", "prepared", "promise_return", "leave_note", "guard", "shut_down"}:
        assert now.power_state == "Running", stage.story(run.id)
    expected = ("is gone", "is new", "power_state", "held 1 VFs", "disk ", "VBDs was")
    assert [line for line in stage.complaints() if not any(words in line for words in expected)] == []


@pytest.mark.parametrize("step", BEFORE_IT_IS_DOWN[2:])
def test_a_vm_that_somebody_halts_before_us_runs_again(stages: Stages, step: str) -> None:
    """It ran when the run looked, so it runs in the end."""
    stage = backups.staged(stages)
    run, _ = prepared(stage, step, Somebody.halts_it)
    backups.ended(stage, run)
    assert stage.complaints() == []


def test_a_vm_halted_during_its_failover_stays_halted(stages: Stages) -> None:
    """Somebody wanted that; its VIFs are back on their network all the same."""
    stage = backups.staged(stages)
    run, somebody = prepared(stage, "take_over", Somebody.halts_it, "failover", RELEASE.name)
    backups.ended(stage, run)
    assert [line for line in stage.complaints() if "power_state" not in line] == [
        line for line in stage.complaints() if "held 1 VFs" in line or "currently_attached" in line
    ]
    assert stage.pool.vm(somebody.vm).power_state == "Halted"


def test_a_vm_migrated_during_its_failover_gets_its_vf_back(stages: Stages) -> None:
    """It runs where it ran in the end, or where there is room (story 4)."""
    stage = backups.staged(stages)
    there = {host.uuid for host in stage.pool.hosts()}

    def migrate(other: Somebody) -> None:
        target = next(iter(there - {stage.pool.vm(other.vm).resident_on}))
        other.call("VM.pool_migrate", other.ref, find(stage.simulated.database, "host", target), {"live": "true"})
        assert stage.pool.vm(other.vm).resident_on == target

    run, _ = prepared(stage, "take_over", migrate, "failover", RELEASE.name)
    backups.ended(stage, run)
    assert stage.complaints() == []


def test_a_vm_deleted_during_its_failover_costs_only_itself(stages: Stages) -> None:
    """The release ends done; the promise is void and the snapshot goes in its time."""
    stage = backups.staged(stages)
    prepared(stage, "give_vf_back", Somebody.deletes_it, "failover", RELEASE.name)
    assert stuck(stage) == []
    assert [line for line in stage.complaints() if "is gone" not in line] == []


@pytest.mark.parametrize("step", STEPS)
def test_a_foreign_snapshot_is_left_alone(stages: Stages, step: str) -> None:
    """Whenever a product or a person takes one, it neither stops us nor goes with ours (story 67)."""
    stage = backups.staged(stages)
    run, _ = prepared(stage, step, lambda other: stage.simulated.add_snapshot(other.vm, "theirs"))
    backups.ended(stage, run)
    assert backups.snapshots(stage) == {"theirs"}
