from datetime import timedelta

import pytest

from orchestrator.simulator.control import find
from state.run import Run, Status
from tests.engine import crashes
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.stage import Stage
from workflows.prepare import PREPARE
from workflows.release_backup import RELEASE

MODES = ("online", "offline", "failover")


@pytest.mark.parametrize("mode", MODES)
def test_a_vm_is_prepared_and_in_the_end_everything_is_as_it_was(stages: Stages, mode: str) -> None:
    """The snapshot is there while it is held, the VM runs meanwhile, and nothing of ours is left when the hold has run out."""
    stage = backups.staged(stages)
    run = stage.run(backups.request(stage, mode))
    assert run.status is Status.DONE, stage.story(run.id)
    assert stage.pool.vm(run.data["vm"]).power_state == "Running"
    assert stage.pool.vm(run.data["snapshot"]).tags == ("vfo",)
    backups.ended(stage, run)
    assert stage.complaints() == []


@pytest.mark.parametrize("mode", MODES)
def test_what_is_prepared_wants_no_vf(stages: Stages, mode: str) -> None:
    """No VIF of the snapshot is on an SR-IOV network: restored elsewhere it starts without one."""
    stage = backups.staged(stages)
    snapshot = stage.pool.vm(stage.run(backups.request(stage, mode)).data["snapshot"])
    assert len(snapshot.vifs) == 1
    assert snapshot.sriov_vifs == ()
    assert dict(snapshot.blocked_operations) == {}, "what is restored from it may be started"


def test_a_halted_vm_stays_halted(stages: Stages) -> None:
    """It is prepared offline without being started or shut down."""
    stage = backups.staged(stages)
    stage.simulated.halt_vm(stage.with_vf().uuid)
    stage.began = stage.look()
    vm = next(vm for vm in stage.port.vms() if vm.sriov_vifs and vm.power_state == "Halted")
    run = backups.ended(stage, stage.run(backups.request(stage, "offline", vm)))
    assert stage.complaints() == []
    assert not any("start" in line and "wait" in line for line in stage.story(run.id))


def test_the_vf_is_promised_while_it_is_away(stages: Stages) -> None:
    """From before it is taken off until it is held again (story 8)."""
    stage = backups.staged(stages)
    seen: list[object] = []
    for step in ("shut_down", "take_snapshot", "leave_nothing", "prepared"):
        backups.meanwhile(stage, PREPARE.name, step, lambda world, data: seen.append(sum(world.ledger.promised_to(data["vm"]).values())))
    stage.run(backups.request(stage))
    assert seen == [1, 1, 1, 0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("crash", crashes.of(PREPARE), ids=str)
def test_a_death_at_any_step_is_survived(stages: Stages, crash: crashes.Crash, mode: str) -> None:
    """The next process goes on, and everything ends as without it (stories 1, 2, 3 and 5)."""
    stage = backups.staged(stages)
    backups.ended(stage, stage.survive(backups.request(stage, mode), crash))
    assert stage.complaints() == []


@pytest.mark.parametrize("crash", crashes.of(RELEASE), ids=str)
def test_a_death_at_any_step_of_the_release_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """The VF is given back and the snapshot goes (story 69)."""
    stage = backups.staged(stages)
    stage.workflows[RELEASE.name] = crash.into(RELEASE)
    backups.ended(stage, stage.run(backups.request(stage, "failover")))
    assert [run.status for run in stage.runs()] == [Status.DONE, Status.DONE]
    assert stage.complaints() == []


@pytest.mark.parametrize("crash", crashes.of_undo(PREPARE), ids=str)
def test_a_death_at_any_undo_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """Given up when the snapshot is taken, the VM runs again and the snapshot is gone (story 1)."""
    stage = backups.staged(stages)
    backups.ended(stage, stage.survive(backups.request(stage), crash, give_up_after="take_snapshot"), Status.UNDONE)
    assert stage.complaints() == []


@pytest.mark.parametrize("step", [step.name for step in PREPARE.steps[1:]])
@pytest.mark.parametrize("mode", MODES)
def test_given_up_after_any_step_the_vm_is_as_it_was(stages: Stages, mode: str, step: str) -> None:
    """Whatever was done is undone: power state, network, snapshot, note, block, promise (stories 1 and 4)."""
    stage = backups.staged(stages)
    run = stage.survive(backups.request(stage, mode), crashes.Crash(step, "before"), give_up_after=step)
    backups.ended(stage, run, Status.UNDONE)
    assert stage.complaints() == []


@pytest.mark.parametrize("mode", MODES)
def test_a_death_at_any_call_is_survived(stages: Stages, mode: str) -> None:
    """Before and after each single call that changes something (story 3)."""

    def check(stage: Stage, run: Run) -> None:
        backups.ended(stage, run)
        assert stage.complaints() == []

    assert crash_everywhere(lambda: backups.staged(stages), lambda stage: backups.request(stage, mode), check) > 8


def test_a_cancelled_hold_lets_everything_go(stages: Stages) -> None:
    """Cancelled in the hold of a failover the VF comes back at once and the snapshot goes."""
    stage = backups.staged(stages)
    stage.run(backups.request(stage, "failover"))
    release = next(run for run in stage.runs() if run.workflow == RELEASE.name)
    stage.settle(release.id)
    stage.engine.cancel(release.id, by="me")
    assert stage.finish(release.id).status is Status.UNDONE
    assert stage.complaints() == []


def test_a_cancelled_hold_of_a_vm_that_is_gone_ends(stages: Stages) -> None:
    """There is nothing to give back, and the snapshot goes."""
    stage = backups.staged(stages)
    run = stage.run(backups.request(stage, "failover"))
    release = next(run for run in stage.runs() if run.workflow == RELEASE.name)
    stage.settle(release.id)
    stage.simulated.destroy_vm(run.data["vm"])
    stage.engine.cancel(release.id, by="me")
    assert stage.finish(release.id, turns=40).status is Status.UNDONE
    assert backups.snapshots(stage) == set()


def test_cancelled_while_the_snapshot_is_taken_it_is_waited_for_and_goes(stages: Stages) -> None:
    """A snapshot that comes to be after the run has given up would be nobody's (story 69)."""
    stage = backups.staged(stages, speed=0.05)
    run_id = stage.submit(backups.request(stage))
    backups.until_at_work(stage, run_id, "take_snapshot")
    stage.engine.cancel(run_id, by="me")
    assert stage.finish(run_id).status is Status.UNDONE
    assert stage.complaints() == []


def test_the_snapshot_stays_as_long_as_its_policy_says(stages: Stages) -> None:
    """Released, it stays for its retention and not longer."""
    stage = backups.staged(stages)
    stage.run(backups.request(stage, retention=timedelta(days=2)))
    release = next(run for run in stage.runs() if run.workflow == RELEASE.name)
    stage.settle(release.id)
    stage.engine.approve(release.id, by="the product")
    assert stage.settle(release.id).step == "retain"
    assert len(backups.snapshots(stage)) == 1
    stage.finish(release.id)
    assert backups.snapshots(stage) == set()
    assert stage.complaints() == []


@pytest.mark.parametrize("mode", MODES)
def test_vifs_on_vlans_of_sriov_are_taken_off_and_back_too(stages: Stages, mode: str) -> None:
    """All VIFs that take a VF, none that does not, each to its own network; QoS, locking and order are kept."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    vlan = stage.pool.create_network("SR-IOV vlan 7", {})
    for nic in stage.pool.nics():
        if nic.logical_PIF:
            stage.pool.create_vlan(nic.logical_PIF, 7, vlan)
    stage.simulated.halt_vm(vm.uuid)
    stage.pool.create_vif(vm.uuid, vlan, "1", "", {"kept": "yes"})
    stage.pool.create_vif(vm.uuid, stage.network(backups.ORDINARY), "2", "", {})
    stage.pool.create_vif(vm.uuid, stage.network(), "3", "02:00:00:00:00:33", {})
    stage.client.call("VM.start", find(stage.simulated.database, "VM", vm.uuid), False, False)
    stage.began = stage.look()
    run = stage.run(backups.request(stage, mode, stage.pool.vm(vm.uuid)))
    assert [noted["device"] for noted in run.data["vifs"]] == ["0", "1", "3"]
    assert len(stage.pool.vm(run.data["snapshot"]).vifs) == 4
    assert stage.pool.vm(run.data["snapshot"]).sriov_vifs == ()
    backups.ended(stage, run)
    assert len(stage.pool.vm(vm.uuid).held) == 3
    assert stage.complaints() == []
