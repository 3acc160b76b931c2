"""A product whose repository takes one backup at a time: those who wait for their turn are in service, and nothing runs out over it."""

from datetime import timedelta

from plugins.errors import Queued
from state import backups as rows
from state.run import Status
from tests.workflows.backups import Stages
from tests.workflows.policies import at_work, ended, line, request, saved, staged
from workflows.policies import Keep, Timeouts


def test_the_vm_is_in_service_while_others_come_first(stages: Stages) -> None:
    """It has its VF while the product says for hours that others come first, and no time-out of the job runs meanwhile."""
    stage = staged(stages, timeouts=Timeouts(job=timedelta(minutes=20)))
    stage.plugins.product.starts = [*["queued"] * 180, "ok"]
    run = at_work(stage, "save")
    vm = stage.port.condition(run.data["vm"])
    assert vm.power_state == "Running"
    began = stage.now
    stage.finish_all()
    saved(stage, stage.at(run.id))
    assert stage.now - began > timedelta(hours=2)
    assert line(stage, stage.at(run.id)).details["queued"] > 7200


def test_what_was_waited_for_others_is_not_what_the_vm_takes(stages: Stages) -> None:
    """The next window would not find it too long for that."""
    stage = staged(stages)
    stage.plugins.product.starts = [*["queued"] * 180, "ok"]
    began = stage.now
    run = ended(stage, request(stage))
    assert stage.now - began > timedelta(hours=2)
    with stage.store.read() as session:
        (_, took), = rows.latest_saved(session, "lab", "nightly").values()  # fmt: skip
    assert took[0] < timedelta(minutes=30), run.data


def test_others_are_let_go_first_when_old_points_are_removed(stages: Stages) -> None:
    """For longer than a product that is busy is asked; then the backup is saved all the same, and says what is left."""
    stage = staged(stages, keep=Keep(last=1))
    saved(stage, ended(stage, request(stage)))
    stage.plugins.product.forgets = "queued"
    began = stage.now
    run_id = stage.submit(request(stage))
    stage.finish_all()
    assert stage.at(run_id).status is Status.DONE
    assert stage.now - began >= timedelta(minutes=30)
    with stage.store.read() as session:
        found = next(one for one in rows.since(session, began - timedelta(days=1)) if one.id == run_id)
    assert (found.status, "old restore points could not be removed" in found.reason) == ("saved", True)
    assert str(Queued("others come first")) in found.reason
