"""What the pool and other runs may do to the backup of a VM by a policy, before it and meanwhile."""

from datetime import timedelta

from state.run import Status
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.policies import ended, line, request, staged
from workflows.back_up import BACK_UP
from workflows.policies import Timeouts
from workflows.prepare import PREPARE
from workflows.release_backup import RELEASE


def test_a_vm_that_another_run_prepares_is_refused(stages: Stages) -> None:
    """The run is named."""
    stage = staged(stages)
    wanted = request(stage)
    other = stage.submit(backups.request(stage))
    stage.turn(other)
    run = stage.run(wanted)
    assert (line(stage, run).status, line(stage, run).reason) == ("refused", f"run {other} (prepare-backup) is at work on the VM")
    stage.finish_all()
    assert stage.complaints() == []


def test_what_prepare_backup_refuses_is_refused(stages: Stages) -> None:
    """For its reason: nothing was touched."""
    stage = staged(stages, backup={"room": 10**6})
    run = ended(stage, request(stage))
    assert line(stage, run).status == "refused"
    assert "[backup] room asks for" in line(stage, run).reason
    assert stage.complaints() == []


def test_a_guest_that_does_not_shut_down_fails_the_backup(stages: Stages) -> None:
    """It runs on; the policy's patience counts, not that of [backup]."""
    stage = staged(stages, timeouts=Timeouts(shutdown=timedelta(minutes=1)))
    stage.simulated.control.guest(stage.with_vf().uuid, ignores_shutdown=True, acknowledges=True)
    run = ended(stage, request(stage))
    assert line(stage, run).status == "failed"
    assert "(prepare-backup) is undone: the guest d" in line(stage, run).reason
    assert line(stage, run).downtime == 0
    assert stage.plugins.said[-1] == ("after_vm", "failed")


def test_a_child_that_is_stuck_fails_the_backup_with_the_next_command(stages: Stages) -> None:
    """What it prepares when somebody takes it up again is released at once: nobody waits for it."""
    stage = staged(stages, backup={"no_vf": ("leave-halted",)})
    vm = stage.with_vf()
    host = next(one.name for one in stage.pool.hosts() if one.uuid == vm.resident_on)
    thieves: list[str] = []

    def steal(*_: object) -> None:
        free = next(port["free"] for port in stage.simulated.state()["ports"] if port["host"] == host and port["network"])
        thieves.extend(stage.simulated.add_vm(f"thief-{number}", host=host) for number in range(free))

    backups.meanwhile(stage, PREPARE.name, "take_snapshot", steal)
    run = ended(stage, request(stage))
    child = next(one for one in stage.runs() if one.workflow == PREPARE.name)
    assert line(stage, run).status == "failed"
    assert f"run {child.id} (prepare-backup) is stuck" in line(stage, run).reason
    assert f"vfo run {child.id} retry" in line(stage, run).reason
    assert stage.plugins.said[-1] == ("after_vm", "failed")
    stage.simulated.destroy_vm(thieves[0])
    stage.engine.retry(child.id, by="me")
    began = stage.now
    stage.finish_all()
    assert backups.snapshots(stage) == set()
    assert stage.now - began < timedelta(hours=1)


def test_a_release_that_is_stuck_is_named_and_the_backup_is_saved(stages: Stages) -> None:
    """The boss reads that it is saved, and what is still to be done."""
    stage = staged(stages, "failover", backup={"no_vf": ("leave-halted",)})
    vm = stage.with_vf()

    def steal(*_: object) -> None:
        for port in stage.simulated.state()["ports"]:
            for number in range(port["free"] if port["network"] else 0):
                stage.simulated.add_vm(f"thief-{port['host']}-{number}", host=port["host"])

    backups.meanwhile(stage, RELEASE.name, "give_vf_back", steal)
    run = ended(stage, request(stage, vm))
    assert (run.status, line(stage, run).status) == (Status.DONE, "saved")
    assert "(release-backup) is stuck" in line(stage, run).reason
    assert "retry" in line(stage, run).reason


def test_a_vm_that_is_gone_before_its_backup_is_skipped(stages: Stages) -> None:
    """Nothing is amiss."""
    stage = staged(stages)
    wanted = request(stage)
    stage.simulated.destroy_vm(wanted.subject.removeprefix("vm:"))
    run = ended(stage, wanted)
    assert (run.status, line(stage, run).status) == (Status.DONE, "skipped")


def test_a_vm_that_is_deleted_while_it_is_saved_is_saved(stages: Stages) -> None:
    """Its snapshot is there until the product is done with it, and goes then."""
    stage = staged(stages)
    wanted = request(stage)
    stage.plugins.product.meanwhile = lambda: (
        stage.simulated.destroy_vm(wanted.data["vm"]) if stage.pool.vm_exists(wanted.data["vm"]) else 0
    )
    run = ended(stage, wanted)
    assert (run.status, line(stage, run).status) == (Status.DONE, "saved")
    assert backups.snapshots(stage) == set()


def test_a_snapshot_that_somebody_deletes_before_the_job_fails_the_backup(stages: Stages) -> None:
    """The product is not asked."""
    stage = staged(stages)
    backups.meanwhile(stage, BACK_UP.name, "ask_job", lambda world, data: world.pool.destroy_snapshot(data["snapshot"]))
    run = ended(stage, request(stage))
    assert line(stage, run).status == "failed"
    assert stage.plugins.product.begun == []
    assert stage.complaints() == []
