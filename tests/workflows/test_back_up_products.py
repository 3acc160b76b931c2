"""What a product may do to the backup of a VM by a policy: be busy, fail, lose its job, ask for another mode, forget or not."""

from datetime import timedelta

import pytest

from plugins.values import Needs
from state.run import Status
from tests.workflows import products
from tests.workflows.backups import Stages
from tests.workflows.policies import ended, line, request, saved, staged
from workflows.policies import Keep, Timeouts


def test_a_product_that_is_busy_is_asked_again(stages: Stages) -> None:
    """And again when it does not say how its job stands."""
    stage = staged(stages)
    stage.plugins.product.starts = ["busy", "busy", "ok"]
    stage.plugins.product.polls = ["busy", "running", "done"]
    saved(stage, ended(stage, request(stage)))


@pytest.mark.parametrize(
    ("starts", "polls", "says"),
    [
        (["never"], ["done"], "the repository is gone"),
        (["ok"], ["failed"], "the repository is full"),
        (["ok"], ["broken"], "poll_backup raised KeyError"),
        (["ok"], ["running"], "gave no word of progress for 0:20:00"),
        (["busy"], ["done"], "gave no word of progress for 0:20:00"),
        (["ok"], ["lost"], "its job was lost 4 times"),
    ],
)
def test_a_product_that_does_not_save_fails_the_backup(stages: Stages, starts: list[str], polls: list[str], says: str) -> None:
    """With the reason; no job goes on, and the VM is home."""
    stage = staged(stages, timeouts=Timeouts(job=timedelta(minutes=20)))
    stage.plugins.product.starts, stage.plugins.product.polls = starts, polls
    run = ended(stage, request(stage))
    found = line(stage, run)
    assert (run.status, found.status) == (Status.UNDONE, "failed")
    assert says in found.reason
    assert ("after_job", "failed") in stage.plugins.said
    assert stage.plugins.product.at_work == set()
    assert stage.complaints() == []


def test_a_job_that_gets_on_may_take_as_long_as_it_likes(stages: Stages) -> None:
    """Its time is counted from its last word."""
    stage = staged(stages, timeouts=Timeouts(job=timedelta(minutes=1)))
    stage.plugins.product.polls = [*(str(number) for number in range(60)), "done"]
    began = stage.now
    saved(stage, ended(stage, request(stage)))
    assert stage.now - began > timedelta(minutes=10)


def test_a_job_that_is_lost_and_gets_on_is_begun_anew_each_time(stages: Stages) -> None:
    """What counts is how often it was lost without having got anywhere."""
    stage = staged(stages)
    stage.plugins.product.polls = [*["running", "lost"] * 5, "done"]
    run = ended(stage, request(stage))
    saved(stage, run)
    assert stage.plugins.product.begun == [f"job-{run.id}"] * 6


@pytest.mark.parametrize(("needs", "mode"), [("nothing", "online"), ("snapshot", "offline"), ("job", "failover")])
def test_mode_auto_goes_by_what_the_product_needs(stages: Stages, needs: str, mode: str) -> None:
    """Whatever [backup] needs says."""
    stage = staged(stages, "auto", backup={"needs": "snapshot" if needs != "snapshot" else "nothing"})
    stage.plugins.product.needed = Needs(needs)
    run = ended(stage, request(stage))
    saved(stage, run)
    assert line(stage, run).mode == mode


def test_old_restore_points_of_the_vm_are_forgotten(stages: Stages) -> None:
    """Those of this policy and VM alone; how many is in the catalogue."""
    stage = staged(stages, keep=Keep(last=2))
    vm = stage.with_vf().uuid
    mine = [products.point(number, vm=vm) for number in range(3)]
    others = [products.point(7, vm="another"), products.point(8, vm=vm, policy="weekly"), products.point(9, vm=vm, pool="other")]
    stage.plugins.product.saved = [*mine, *others]
    run = ended(stage, request(stage))
    saved(stage, run)
    assert stage.plugins.product.forgotten == ["old-0", "old-1"]
    assert line(stage, run).details["forgotten"] == {"points": 2, "bytes": 14}


@pytest.mark.parametrize("how", ["busy", "cannot list"])
def test_what_cannot_be_forgotten_fails_no_backup(stages: Stages, how: str) -> None:
    """It is said."""
    stage = staged(stages, keep=Keep(last=1))
    stage.plugins.product.saved = [products.point(1, vm=stage.with_vf().uuid)]
    stage.plugins.product.forgets = how
    run = ended(stage, request(stage))
    saved(stage, run)
    assert "old restore points could not be removed" in line(stage, run).reason
