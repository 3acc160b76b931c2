"""What `vfo backup release --dry-run` says is what the release does."""

from datetime import timedelta

import pytest

from state import runs
from state.run import Status
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.dying import Dying
from tests.workflows.test_recovering_plans import CALLS, OF_A_START
from workflows import release_backup, release_plans


@pytest.mark.parametrize(("mode", "retention"), [("online", timedelta()), ("offline", timedelta(hours=2)), ("failover", timedelta())])
def test_the_plan_of_a_release_names_the_calls_of_its_run(stages: Stages, mode: str, retention: timedelta) -> None:
    """Where the VM is failed over its VF comes back; how long the snapshot is kept is said."""
    stage = backups.staged(stages)
    prepared = stage.submit(backups.request(stage, mode, retention=retention))
    held = release_backup.id_for(prepared)
    stage.finish(prepared)
    stage.settle(held)
    plan = release_plans.of_held("release", stage.at(held).data)
    assert any("put VIFs" in sentence for sentence in plan.sentences) is (mode == "failover")
    assert ("keep the snapshot for 2:00:00" in plan.sentences) is bool(retention)
    with stage.store.write() as session:
        runs.approve(session, held, now=stage.now, by="a person")
    counting = Dying(stage.port)
    stage.pool = counting.pool()
    run = stage.finish(held)
    names = CALLS | {"begin_start": OF_A_START[True]}
    assert (run.status, [call for name in counting.called for call in names[name]]) == (Status.DONE, list(plan.calls))
