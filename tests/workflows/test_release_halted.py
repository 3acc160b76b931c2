"""VMs that stay halted lose their VIFs on SR-IOV networks, where the policy says so."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.stage import Stage
from workflows import release, release_halted
from workflows.policy import Policy, ReclaimPolicy
from workflows.release_halted import RELEASE_HALTED

Stages = Callable[..., Stage]
MONTH = timedelta(days=30)


def pool(stages: Stages, after: timedelta | None = MONTH) -> Stage:
    """A pool with one VM, halted, that wants a VF."""
    stage: Stage = stages(vms=0, hosts=1, policy=Policy(reclaim=ReclaimPolicy(halted_longer_than=after)))
    stage.simulated.add_vm("asleep", running=False)
    return stage


def followed(stage: Stage) -> Run:
    """The run that follows the VM, parked."""
    return stage.settle(stage.submit(release_halted.request("lab", stage.vm("asleep"), stage.now)))


def test_a_vm_that_stays_halted_loses_its_vf_when_the_time_is_over(stages: Stages) -> None:
    """Not before; and by the run that takes VFs from VMs, which does it as carefully as ever."""
    stage = pool(stages)
    began, run = stage.now, followed(stage)
    assert run.status is Status.WAITING
    assert stage.vm("asleep").sriov_vifs
    assert {one.status for one in stage.finish_all()} == {Status.DONE}
    assert sorted(one.workflow for one in stage.runs()) == [release_halted.NAME, release.NAME]
    assert stage.now - began >= MONTH
    assert not stage.vm("asleep").vifs


def test_a_vm_that_is_started_keeps_its_vf(stages: Stages) -> None:
    """Its change wakes the run, which is done; halted again, the time begins anew."""
    stage = pool(stages)
    run = followed(stage)
    stage.client.call("VM.start", stage.simulated.database.by_name("VM", "asleep")[0], False, False)
    assert stage.wake(run.waits_on or "") == 1
    assert stage.finish(run.id).reason == "it is not halted any more"
    assert not release_halted.concerns(stage.vm("asleep"))
    assert stage.vm("asleep").sriov_vifs


def test_without_the_policy_no_vm_loses_anything(stages: Stages) -> None:
    """A run that was parked while the policy had it ends when the policy has it no more."""
    stage = pool(stages)
    run = followed(stage)
    stage.policy = Policy()
    stage.pass_time(MONTH * 2)
    assert stage.finish(run.id).status is Status.DONE
    assert stage.vm("asleep").sriov_vifs
    assert len(stage.runs()) == 1


def test_a_vm_that_is_gone_needs_nothing(stages: Stages) -> None:
    """Deleted while it was halted: the run is done."""
    stage = pool(stages)
    run = followed(stage)
    stage.simulated.destroy_vm("asleep")
    stage.wake(run.waits_on or "")
    assert stage.finish(run.id).reason == "the VM is gone"


@pytest.mark.parametrize("crash", crashes.of(RELEASE_HALTED), ids=str)
def test_a_crash_takes_the_vf_once(stages: Stages, crash: crashes.Crash) -> None:
    """One run of release-vf follows, whenever the process dies."""
    stage = pool(stages)
    stage.survive(release_halted.request("lab", stage.vm("asleep"), stage.now), crash)
    assert [run.workflow for run in stage.finish_all()].count(release.NAME) == 1
    assert not stage.vm("asleep").vifs
