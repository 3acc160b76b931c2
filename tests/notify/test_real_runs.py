"""What real workflows come to is what people are told of: a run says by its own words that it asks for somebody."""

from collections.abc import Callable
from datetime import datetime

from orchestrator.notify import looking
from orchestrator.notify.kinds import Kind
from orchestrator.notify.looking import Watched
from orchestrator.notify.news import News
from state.store import Store
from tests.workflows.conftest import stages
from tests.workflows.sriov_scene import Scene
from tests.workflows.stage import Stage
from tests.workflows.test_cures import RESET, for_port, pool

__all__ = ["stages"]

Stages = Callable[..., Stage]


def stands(store: Store, now: datetime) -> list[News]:
    with store.read() as session:
        found = looking.look(session, Watched(("lab",), (), (), now), began=now, now=now).stands
    return [one for one in found if one.kind not in (Kind.POOL_AWAY, Kind.NO_WORKER)]


def test_a_reboot_that_wants_a_word_is_told_until_it_is_given(stages: Stages) -> None:
    """Whom it will hurt stands in it, and the command."""
    scene = Scene(stages, wanted={"reboot": "approved"})
    run_id = scene.begin()
    scene.until(run_id, "approve")
    (news,) = stands(scene.stage.store, scene.stage.now)
    assert news.kind is Kind.APPROVAL
    assert "must be rebooted" in news.means
    assert f"vfo run {run_id} approve" in news.commands
    scene.approve(run_id)
    assert stands(scene.stage.store, scene.stage.now) == []


def test_vfs_that_are_lost_for_good_are_told_as_such(stages: Stages) -> None:
    """By the run that holds them, with what was tried."""
    stage = pool(stages, RESET)
    stage.simulated.add_vm("at work", host="host1")
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    run = stage.run(for_port(stage))
    (news,) = stands(stage.store, stage.now)
    assert (news.kind, news.level) == (Kind.LEAKED_VFS, "failure")
    assert "leaked VFs: 1 of host1/eth1" in news.means
    assert news.commands == (f"vfo run {run.id}", f"vfo run {run.id} retry", f"vfo run {run.id} cancel")
