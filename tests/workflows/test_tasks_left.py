"""What a run began in the pool and is over leaves no task there: xapi would keep and tell each for an hour."""

from typing import Any

from state.run import Status
from tests.workflows import assigning, backups
from tests.workflows.assigning import Stages
from tests.workflows.stage import Stage


def tasks(stage: Stage) -> list[Any]:
    """What every task of the pool is called, and how it stands."""
    return sorted((task["name_label"], task["status"]) for task in stage.client.call("task.get_all_records").values())


def test_a_backup_leaves_no_task(stages: Stages) -> None:
    """Shutdown, snapshot and start, and the release after it."""
    stage = backups.staged(stages)
    backups.ended(stage, stage.run(backups.request(stage)))
    assert tasks(stage) == []


def test_assigning_and_releasing_leave_no_task(stages: Stages) -> None:
    """To a VM that runs, which is shut down and started for each."""
    stage = stages()
    vm = assigning.bare(stage, running=True)
    before = tasks(stage)  # the one by which the test started it
    for request in (assigning.asking(stage, vm), assigning.returning(stage, stage.port.vm(vm.uuid))):
        stage.run(request)
    assert stage.run(assigning.asking(stage, vm)).status is Status.DONE
    assert tasks(stage) == before
