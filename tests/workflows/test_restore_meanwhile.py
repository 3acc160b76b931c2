"""What becomes of a restore that is at work: no VF is left, a storage fills up, a job is lost, a product is away, a person cancels it."""

import pytest

from plugins.errors import GiveUp, RetryLater
from plugins.values import RestorePoint
from state.run import Status
from tests.workflows import backups
from tests.workflows.restores import Stages, altered, came_back, ended, left, point, record, request, staged
from workflows import restore
from workflows.restore_examining import Asked


@pytest.mark.parametrize(("error", "status"), [(GiveUp("the share is gone"), Status.REFUSED), (RetryLater("it is locked"), Status.DONE)])
def test_a_product_that_cannot_be_asked_is_waited_for_or_said(stages: Stages, error: Exception, status: Status) -> None:
    """Nothing is made meanwhile."""
    stage = staged(stages)
    asked: list[str] = []
    real = stage.plugins.points

    def away(product: str) -> tuple[RestorePoint, ...]:
        asked.append(product)
        if status is Status.REFUSED or len(asked) < 3:
            raise error
        return real(product)

    stage.plugins.points = away  # type: ignore[method-assign]
    run = ended(stage, request(stage))
    if status is Status.DONE:
        came_back(stage, run)
        assert len(asked) >= 3
    else:
        assert (run.status in (Status.REFUSED, Status.UNDONE), "the share is gone" in run.reason, left(stage)) == (True, True, [])


def test_a_storage_that_fills_up_meanwhile_leaves_nothing(stages: Stages) -> None:
    """There was room when it was looked at, and is none when the disks are made: the VM goes."""
    stage = staged(stages)
    SR = next(one.uuid for one in stage.port.storages() if one.for_disks)
    backups.meanwhile(stage, restore.NAME, "make_disks", lambda *_: stage.simulated.control.sr_free(SR, 0))
    run = ended(stage, request(stage))
    said = "disk 0 (web-01 disk) cannot be made on SR Shared SR, which has 0 MiB free: SR_BACKEND_FAILURE_44"
    assert (run.status, run.reason.startswith(said)) == (Status.UNDONE, True), run.reason
    assert left(stage) == []


def test_the_last_vf_goes_to_one_of_two_that_come_back(stages: Stages) -> None:
    """Admission counts what is promised to a VM that is halted: the other one is whole, without its VIF, and its run says so."""
    stage = staged(stages, hosts=1, vfs=2, vms=2)
    for name in ("first", "second"):
        stage.submit(request(stage, name=name, new_macs=True))
    stage.finish_all()
    ours = {run.data["name"]: run for run in stage.runs() if run.workflow == restore.NAME}
    assert sorted(run.status for run in ours.values()) == [Status.DONE, Status.STUCK]
    for run in ours.values():
        vm = stage.port.vm(run.data["vm"])
        assert sum(vif.on_sriov for vif in vm.vifs) == (run.status is Status.DONE)
        assert len(stage.port.disks(vm.uuid)) == len(point(stage).disks)


def test_without_a_vf_it_is_not_started(stages: Stages) -> None:
    """It would run without its network: a person decides."""
    stage = staged(stages, hosts=1, vfs=1, vms=2)
    run = ended(stage, request(stage, starts=True))
    assert run.status is Status.STUCK, stage.story(run.id)
    assert stage.port.power_state(run.data["vm"]) == "Halted"


def test_without_a_vf_the_vm_stays_and_a_person_is_told(stages: Stages) -> None:
    """The run is stuck; when there is a VF again, `retry` gives it."""
    stage = staged(stages, hosts=1, vfs=1, vms=2)  # the only VF is what the halted VM will want
    run = ended(stage, request(stage))
    assert run.status is Status.STUCK, stage.story(run.id)
    assert "is restored, and has no VIF" in run.reason
    assert run.next_command == f"vfo run {run.id} retry"
    vm = stage.port.vm(run.data["vm"])
    assert len(stage.port.disks(vm.uuid)) == len(point(stage).disks)
    for vif in next(other for other in stage.port.vms() if other.uuid != vm.uuid).sriov_vifs:
        stage.pool.destroy_vif(vif.uuid)
    stage.engine.retry(run.id, by="a person")
    stage.finish_all()
    came_back(stage, stage.at(run.id))


def test_cancelled_while_it_is_filled_nothing_stays(stages: Stages) -> None:
    """The job ends first, then what it wrote goes."""
    stage = staged(stages)
    stage.transfers.says = ["running"]
    run_id = stage.submit(request(stage))
    stage.settle(run_id)
    stage.engine.cancel(run_id, by="a person")
    stage.finish_all()
    assert stage.at(run_id).status is Status.UNDONE
    assert stage.transfers.cancelled
    assert left(stage) == []


def test_a_disk_that_cannot_be_written_is_named_with_its_storage(stages: Stages) -> None:
    """What the job says may be no more than an I/O error: how much is free tells the reason."""
    stage = staged(stages)
    stage.transfers.says = ["running", "failed"]
    run = ended(stage, request(stage))
    assert run.status is Status.UNDONE
    assert "disk 0 could not be written to SR Shared SR, which has" in run.reason
    assert left(stage) == []


def test_a_job_that_is_lost_is_begun_anew(stages: Stages) -> None:
    """As often as it gets anywhere at all, and then given up."""
    stage = staged(stages)
    stage.transfers.says = ["running", "lost", "lost", "done"]
    came_back(stage, ended(stage, request(stage)))
    other = staged(stages)
    other.transfers.says = ["lost"]
    run = ended(other, request(other))
    assert (run.status, "was lost" in run.reason) == (Status.UNDONE, True)
    assert left(other) == []


def test_blocks_of_people_come_back_and_ha_does_not(stages: Stages) -> None:
    """Protection is a person's to give: with a VF it is refused."""
    stage = staged(stages)
    altered(stage, blocked_operations={"destroy": "the boss says so"}, ha_restart_priority="restart")
    run = ended(stage, request(stage))
    came_back(stage, run)
    now = record(stage, run.data["vm"])
    assert (now["blocked_operations"], now["ha_restart_priority"]) == ({"destroy": "the boss says so"}, "")


def test_two_restores_of_one_name_are_one(stages: Stages) -> None:
    """The second request is the first one's run."""
    stage = staged(stages)
    assert stage.submit(request(stage)) == stage.submit(restore.request("lab", "nas", point(stage), Asked(point(stage).vm_name)))
