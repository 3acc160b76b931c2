"""Products with a scheduler of their own: what they do on a prepared VM is noticed and waited for, and never for ever."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from state.run import Run, Status
from tests.engine import crashes
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.stage import Stage
from workflows import release_backup
from workflows.outcome import PARENT, wake_on_object
from workflows.release_backup import RELEASE

NAME = "VENDOR_SNAPSHOT"


def held(stage: Stage, mode: str = "failover", **fields: Any) -> UUID:
    """A prepared VM, up to its hold."""
    prepared = stage.run(backups.request(stage, mode, **fields))
    assert prepared.status is Status.DONE, stage.story(prepared.id)
    run_id = release_backup.id_for(prepared.id)
    assert "held until" in stage.settle(run_id).reason
    return run_id


def vendor_snapshot(stage: Stage, run_id: UUID) -> str:
    return stage.simulated.add_snapshot(stage.at(run_id).data["vm"], NAME)


def without(stage: Stage, run_id: UUID, snapshot: str) -> None:
    """The vendor is done: its snapshot goes with its disks, and the VM changes."""
    blocks = [stage.client.call("VBD.get_record", vbd) for vbd in stage.client.call("VM.get_VBDs", snapshot)]
    stage.client.call("VM.destroy", snapshot)
    for block in blocks:
        stage.client.call("VDI.destroy", block["VDI"])
    stage.wake(wake_on_object("lab", "vm", stage.at(run_id).data["vm"]))


def on_sriov(stage: Stage, run_id: UUID) -> list[bool]:
    return [vif.on_sriov for vif in stage.pool.vm(stage.at(run_id).data["vm"]).vifs]


def released(stage: Stage, run_id: UUID) -> Run:
    stage.engine.approve(run_id, by="me")
    return stage.settle(run_id)


def run_out(stage: Stage, run_id: UUID) -> Run:
    stage.pass_time(timedelta(hours=13))
    return stage.settle(run_id)


@pytest.mark.parametrize("end", [released, run_out], ids=["released", "ran out"])
@pytest.mark.parametrize("mode", ["online", "offline", "failover"])
def test_a_vendors_snapshot_is_waited_for(stages: Stages, mode: str, end: Callable[[Stage, UUID], Run]) -> None:
    """Released or at the end of its hold: nothing is touched before the snapshot is gone, and the run says whose it waits for."""
    stage = backups.staged(stages)
    run_id = held(stage, mode)
    snapshot = vendor_snapshot(stage, run_id)
    run = end(stage, run_id)
    assert (run.status, run.step) == (Status.WAITING, "hold")
    assert f"snapshot '{NAME}'" in run.reason
    assert run.reason.startswith(("released by me", "the hold ran out"))
    assert on_sriov(stage, run_id) == [mode != "failover"]
    assert len(backups.snapshots(stage)) == 2, "ours is there yet, too"
    without(stage, run_id, snapshot)
    backups.ended(stage, stage.settle(run_id))
    assert on_sriov(stage, run_id) == [True]
    assert stage.complaints() == []


def test_it_is_not_waited_for_for_ever(stages: Stages) -> None:
    """A product that keeps its last snapshot holds a VF back as long as the policy says, counted from the release."""
    stage = backups.staged(stages, {"foreign_patience": timedelta(hours=2)})
    run_id = held(stage)
    vendor_snapshot(stage, run_id)
    began = stage.now
    run = released(stage, run_id)
    assert "UTC at most" in run.reason
    stage.finish(run_id)
    assert stage.at(run_id).status is Status.DONE
    assert timedelta(hours=2) <= stage.now - began < timedelta(hours=3)
    assert on_sriov(stage, run_id) == [True]
    assert NAME in backups.snapshots(stage), "what is not ours stays"


def test_a_policy_may_ignore_them(stages: Stages) -> None:
    """For products that keep their last snapshot for the next increment."""
    stage = backups.staged(stages, {"foreign_snapshot": "ignore"})
    run_id = held(stage)
    vendor_snapshot(stage, run_id)
    began = stage.now
    backups.ended(stage, released(stage, run_id))
    assert stage.now - began < timedelta(hours=1)
    assert on_sriov(stage, run_id) == [True]


def test_snapshots_that_were_there_before_are_nobodys_work(stages: Stages) -> None:
    """Somebody keeps one since last week."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    stage.simulated.add_snapshot(vm.uuid, "before the upgrade")
    stage.began = stage.look()
    run_id = held(stage, vm=vm)
    backups.ended(stage, released(stage, run_id))
    assert stage.complaints() == []


def test_ours_of_an_earlier_backup_is_not_foreign(stages: Stages) -> None:
    """It is kept for its retention."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    first = held(stage, "online", vm=vm, retention=timedelta(days=7))
    second = held(stage, "failover", vm=vm)
    assert released(stage, first).step == "retain"
    assert released(stage, second).status is Status.DONE


def test_an_operation_in_progress_is_waited_for(stages: Stages) -> None:
    """While the snapshot is being taken it is in no list yet."""
    stage = backups.staged(stages)
    run_id = held(stage)
    ref, vm = stage.simulated.database.by_name("VM", stage.at(run_id).data["vm_name"])[0], stage.at(run_id).data["vm"]
    operations = {"OpaqueRef:somebody": "snapshot"}
    stage.simulated.database.set("VM", ref, current_operations=operations)
    assert "snapshot in progress" in released(stage, run_id).reason
    stage.simulated.database.set("VM", ref, current_operations={})
    stage.wake(wake_on_object("lab", "vm", vm))
    backups.ended(stage, stage.settle(run_id))
    assert on_sriov(stage, run_id) == [True]


def test_what_begins_after_the_release_is_seen_before_the_vm_goes_down(stages: Stages) -> None:
    """Between the release and the shutdown for the VF."""
    stage = backups.staged(stages)
    run_id = held(stage)
    taken: list[str] = []
    backups.meanwhile(stage, RELEASE.name, "take_over", lambda _, __: taken.append(vendor_snapshot(stage, run_id)))
    run = released(stage, run_id)
    assert (run.step, NAME in run.reason) == ("take_over", True)
    assert on_sriov(stage, run_id) == [False]
    without(stage, run_id, taken[0])
    backups.ended(stage, stage.settle(run_id))
    assert stage.complaints() == []


def test_a_person_who_gives_up_waits_for_no_snapshot(stages: Stages) -> None:
    """Cancelled, the VF comes back at once."""
    stage = backups.staged(stages)
    run_id = held(stage)
    vendor_snapshot(stage, run_id)
    began = stage.now
    stage.engine.cancel(run_id, by="me")
    assert stage.finish(run_id).status is Status.UNDONE
    assert stage.now - began < timedelta(minutes=10)
    assert on_sriov(stage, run_id) == [True]


def test_a_vm_that_is_gone_is_waited_for_by_nobody(stages: Stages) -> None:
    """Deleted while a vendor's snapshot of it was there."""
    stage = backups.staged(stages)
    run_id = held(stage)
    vendor_snapshot(stage, run_id)
    released(stage, run_id)
    stage.simulated.destroy_vm(stage.at(run_id).data["vm"])
    stage.wake(wake_on_object("lab", "vm", stage.at(run_id).data["vm"]))
    assert stage.finish(run_id).status is Status.DONE


def test_a_backup_by_policy_in_service_waits_for_no_other_product(stages: Stages) -> None:
    """Its own product is done, and nothing of the VM is touched any more."""
    stage = backups.staged(stages)
    run_id = held(stage, "online")
    run = stage.at(run_id)
    world, data = stage._world(run, stage.now), {**run.data, PARENT: str(run_id), "released_at": stage.now.isoformat(), "released": "x"}
    vendor_snapshot(stage, run_id)
    assert type(release_backup.hold(world, data)).__name__ == "Done"
    assert type(release_backup.hold(world, {**data, "failed_over": True})).__name__ == "Wait"


@pytest.mark.parametrize("crash", crashes.of(RELEASE)[:6], ids=str)
def test_a_crash_in_the_wait_changes_nothing(stages: Stages, crash: crashes.Crash) -> None:
    """Whoever takes the run over waits on for the same snapshot, and the VM comes home."""
    stage = backups.staged(stages)
    run_id = held(stage)
    snapshot = vendor_snapshot(stage, run_id)
    stage.workflows[RELEASE.name] = crash.into(RELEASE)
    run = released(stage, run_id)
    assert on_sriov(stage, run_id) == [False]
    assert NAME in run.reason
    without(stage, run_id, snapshot)
    assert stage.finish(run_id).status is Status.DONE
    stage.finish_all()
    assert crash.deaths == 1
    assert on_sriov(stage, run_id) == [True]
    assert stage.complaints() == []
