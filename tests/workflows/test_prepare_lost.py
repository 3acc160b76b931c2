"""Snapshots of runs that are lost before they were marked: the note on the VM, which a snapshot copies, says whose they are."""

import json
from collections.abc import Sequence
from uuid import uuid4

import pytest

from state.run import Run, Status
from tests.engine import crashes
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.stage import Stage
from tests.workflows.test_put_right import abandoned, ref, with_empty_database
from workflows import backup_snapshots, clean_up, parking, put_right, recovering
from workflows.objects import VM
from workflows.outcome import Request
from workflows.prepare import PREPARE


def recovered(stage: Stage, wanted: Sequence[Request]) -> list[Run]:
    """The runs of `vfo recover`, and those that follow them, at their end."""
    for request in wanted:
        stage.submit(request)
    return stage.finish_all()


def wanted(stage: Stage) -> list[Request]:
    return recovering.requests("lab", stage.port.marked(), (), stage.now)


def as_before(stage: Stage) -> bool:
    """Whether nothing of ours is left and every VM is as it was; what says why not is in the failure."""
    assert stage.complaints() == []
    return wanted(stage) == []


@pytest.mark.parametrize("step", [step.name for step in PREPARE.steps[3:]])
def test_an_online_backup_is_put_right_from_the_pool_alone(stages: Stages, step: str) -> None:
    """The database burned at this step: the snapshot goes, at once or when its time is over, and so does the note; the VM runs on."""
    stage = backups.staged(stages)
    vm = abandoned(stage, step, "online")
    other = with_empty_database(stage, stages)
    other.now = stage.now
    before = other.pool.vm(vm)
    assert {run.status for run in recovered(other, wanted(other))} == {Status.DONE}
    assert as_before(other)
    assert (other.pool.vm(vm).power_state, other.pool.vm(vm).held) == ("Running", before.held)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_snapshot_that_is_being_taken_while_everything_is_recovered_goes_too(stages: Stages, mode: str) -> None:
    """It is not there yet when the pool is looked at: its VM is waited for."""
    stage = backups.staged(stages, speed=0.2)
    other = with_empty_database(stage, stages)
    run_id = stage.submit(backups.request(stage, mode))
    backups.until_at_work(stage, run_id, "take_snapshot")
    other.now = stage.now
    requests = wanted(other)
    assert [request.workflow for request in requests] == [put_right.NAME]
    runs = recovered(other, requests)
    assert sorted(run.workflow for run in runs) == ["put-right", "release-backup"]
    assert as_before(other)


def test_a_snapshot_of_a_vm_without_vifs_of_ours_is_found_too(stages: Stages) -> None:
    """Nothing was ever parked: the note speaks of no VIF, and the snapshot that is marked keeps none."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    stage.simulated.halt_vm(vm.uuid)
    stage.port.destroy_vif(vm.vifs[0].uuid)
    stage.began = stage.look()
    run = stage.run(backups.request(stage, "online", stage.pool.vm(vm.uuid)))
    kept = stage.pool.vm(run.data["snapshot"])
    assert (parking.NOTE in kept.other_config, backup_snapshots.NOTE in kept.other_config) == (False, True)
    stage.finish_all()
    stage.port.note(vm.uuid, parking.NOTE, json.dumps({"vm": vm.uuid, "run": str(uuid4()), "ran": False, "vifs": [], "untouched": True}))
    late = taken_late(stage, stage.pool.vm(vm.uuid))
    recovered(stage, wanted(stage))
    assert not stage.port.vm_exists(late)
    assert as_before(stage)


def taken_late(stage: Stage, vm: VM, name: str = "vfo backup of it (run {run})") -> str:
    """A snapshot as the call of a run that is over leaves it."""
    note = parking.read(vm)
    assert note is not None
    made = stage.client.call("VM.snapshot", ref(stage, vm.uuid), name.format(run=note["run"][:8]), [])
    return str(stage.client.call("VM.get_uuid", made))


@pytest.mark.parametrize("name", ["nightly", "vfo backup of it (run 01234567)"])
def test_what_others_take_meanwhile_is_never_ours(stages: Stages, name: str) -> None:
    """It has the copy of the note, too, but not the run in its name."""
    stage = backups.staged(stages)
    vm = abandoned(stage, "before_snapshot", "online")
    theirs = taken_late(stage, stage.pool.vm(vm), name)
    other = with_empty_database(stage, stages)
    other.now = stage.now
    recovered(other, wanted(other))
    assert other.port.vm_exists(theirs)
    assert clean_up.requests("lab", other.port.marked(), lambda _: None, other.now, unknown_too=True) == []


@pytest.mark.parametrize(
    ("known", "unknown_too", "goes"), [(True, False, True), (None, False, False), (None, True, True), (False, True, False)]
)
def test_a_snapshot_that_was_never_marked_is_cleaned_up(stages: Stages, known: bool | None, *, unknown_too: bool, goes: bool) -> None:
    """When its run is over, or is not known and a person says so (`vfo reclaim --unknown`); not while the run is at work."""
    stage = backups.staged(stages)
    vm = abandoned(stage, "before_snapshot", "online")
    late = taken_late(stage, stage.pool.vm(vm))
    stage.port.erase(vm, parking.NOTE)
    other = with_empty_database(stage, stages)
    requests = clean_up.requests("lab", other.port.marked(), lambda _: known, other.now, unknown_too=unknown_too)
    assert [request.subject for request in requests] == ([f"vm:{late}"] if goes else [])
    for request in requests:
        assert other.run(request).status is Status.DONE
    assert other.port.vm_exists(late) is not goes


def test_what_the_owner_did_since_stays(stages: Stages) -> None:
    """Online nothing of the VM was touched: one that its owner has halted and taken the VIF off stays so, and its note goes."""
    stage = backups.staged(stages)
    vm = abandoned(stage, "take_snapshot", "online")
    stage.simulated.halt_vm(vm)
    stage.port.destroy_vif(stage.pool.vm(vm).vifs[0].uuid)
    other = with_empty_database(stage, stages)
    other.now = stage.now
    (run,) = recovered(other, wanted(other))
    now = other.pool.vm(vm)
    assert (run.status, now.power_state, now.vifs, parking.NOTE in now.other_config) == (Status.DONE, "Halted", (), False)


def test_a_vif_that_was_parked_since_is_put_back_at_the_next_halt(stages: Stages) -> None:
    """The note says where it belongs, and nobody's VM is shut down for it."""
    stage = backups.staged(stages)
    vm = abandoned(stage, "take_snapshot", "online")
    home = stage.pool.vm(vm).vifs[0].network
    stage.simulated.halt_vm(vm)
    stage.port.move_vif(stage.pool.vm(vm).vifs[0].uuid, stage.network(parking.NETWORK_NAME))
    stage.client.call("VM.start", ref(stage, vm), False, False)
    other = with_empty_database(stage, stages)
    other.now = stage.now
    run_id = other.submit(put_right.request("lab", vm, "web"))
    assert "when somebody halts the VM" in other.settle(run_id).reason
    other.simulated.halt_vm(vm)
    assert other.finish(run_id).status is Status.DONE
    now = other.pool.vm(vm)
    assert (now.power_state, now.vifs[0].network, parking.NOTE in now.other_config) == ("Halted", home, False)


def test_the_note_of_a_lost_online_backup_stands_in_no_backups_way(stages: Stages) -> None:
    """The next night goes on without `vfo recover`, and leaves no note."""
    stage = backups.staged(stages)
    vm = abandoned(stage, "take_snapshot", "online")
    other = with_empty_database(stage, stages)
    other.now = stage.now
    run = other.run(backups.request(other, "offline", other.pool.vm(vm)))
    backups.ended(other, run)
    assert as_before(other)


def test_a_vif_that_came_between_the_note_and_the_snapshot_is_noted(stages: Stages) -> None:
    """The copy of the VM's note does not speak of it, and a clone's is to go home too."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    stage.simulated.halt_vm(vm.uuid)
    sriov = stage.network()
    backups.meanwhile(stage, PREPARE.name, "take_snapshot", lambda *_: stage.port.create_vif(vm.uuid, sriov, "4", "02:00:00:00:00:44", {}))
    snapshot = stage.pool.vm(stage.run(backups.request(stage, "online", stage.pool.vm(vm.uuid))).data["snapshot"])
    note = parking.read(snapshot)
    assert note is not None
    assert [(one["device"], one["network"]) for one in note["vifs"]] == [("0", sriov), ("4", sriov)]
    assert [vif.network_name for vif in snapshot.vifs] == [parking.NETWORK_NAME] * 2


@pytest.mark.parametrize("crash", crashes.of(clean_up.CLEAN_UP), ids=str)
def test_a_death_at_any_step_of_its_cleaning_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """The next process goes on."""
    stage = backups.staged(stages)
    vm = abandoned(stage, "before_snapshot", "online")
    late = taken_late(stage, stage.pool.vm(vm))
    stage.port.erase(vm, parking.NOTE)
    other = with_empty_database(stage, stages)
    (request,) = clean_up.requests("lab", other.port.marked(), lambda _: True, other.now)
    assert other.survive(request, crash).status is Status.DONE
    assert not other.port.vm_exists(late)
