"""SR-IOV that is kept as it is wanted."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.bootstrap import PoolAccess
from orchestrator.upkeep import Upkeep
from orchestrator.views import sriov as view
from orchestrator.views.care import care
from state.run import Run, Status
from tests.workflows.sriov_scene import Scene
from tests.workflows.stage import Stage
from workflows import disable

SETTLES = timedelta(seconds=30)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Callable[..., tuple[Scene, Callable[[], list[Run]]]]]:
    """A scene, and a look of the upkeep at it that says which runs it began."""
    made: list[Stage] = []

    def stages(**fields: object) -> Stage:
        made.append(Stage(tmp_path, **fields))  # type: ignore[arg-type]
        return made[-1]

    def make(**wanted: object) -> tuple[Scene, Callable[[], list[Run]]]:
        scene = Scene(stages, modprobe=False, hosts=2, vms=0, wanted=wanted)
        stage = scene.stage
        access = PoolAccess("lab", stage.client, stage.port, stage.ledger)
        upkeep = Upkeep(access, stage.store, stage.engine, stage.policy.sriov, lambda: True, SETTLES, lambda: stage.now)

        def looked() -> list[Run]:
            before = {run.id for run in stage.runs()}
            for _ in range(2):
                upkeep.see_to(stage.policy.sriov["fast"])
                stage.pass_time(SETTLES)
            return [run for run in stage.runs() if run.id not in before]

        return scene, looked

    yield make
    for stage in made:
        stage.close()


Kept = Callable[..., tuple[Scene, Callable[[], list[Run]]]]


def test_nothing_is_enabled_before_a_person_has_said_so(kept: Kept) -> None:
    """A table in the configuration alone touches nothing."""
    scene, looked = kept()
    assert looked() == []
    assert care(scene.stage.store, "lab", scene.stage.policy.sriov["fast"]).why == "nobody has said `vfo sriov enable fast` yet"


def test_a_host_that_joins_is_enabled_too(kept: Kept) -> None:
    """It has no SR-IOV when it joins (POOL_JOINING_HOST_HAS_NETWORK_SRIOVS)."""
    scene, looked = kept()
    scene.enable()
    assert looked() == []
    scene.simulated.add_host("host3")
    (run,) = looked()
    assert run.data["why"] == "host3/eth2: not enabled"
    assert scene.stage.finish(run.id).status is Status.DONE
    assert scene.vfs_of() == {"host1": 4, "host2": 4, "host3": 4}


def test_a_port_that_was_unplugged_gets_its_vfs_back(kept: Kept) -> None:
    """Without its physical PIF the VFs are useless although attached: drift of a port that is there (story 45)."""
    scene, looked = kept()
    scene.enable()
    nic = next(nic for nic in scene.stage.port.nics() if nic.device == "eth2")
    task = scene.stage.port.begin_unplug(nic.uuid)
    while scene.stage._pending(task):
        pass
    (run,) = looked()
    assert scene.stage.finish(run.id).status is Status.DONE
    assert scene.vfs_of() == {"host1": 4, "host2": 4}


def test_a_port_whose_record_somebody_destroyed_is_enabled_again(kept: Kept) -> None:
    """As a network reset does (story 42)."""
    scene, looked = kept()
    scene.enable()
    nic = next(nic for nic in scene.stage.port.nics() if nic.device == "eth2")
    task = scene.stage.port.begin_disable(nic.sriov or "")
    while scene.stage._pending(task):
        pass
    (run,) = looked()
    assert scene.stage.finish(run.id).status is Status.DONE
    assert scene.vfs_of() == {"host1": 4, "host2": 4}


def test_what_was_disabled_stays_so(kept: Kept) -> None:
    """Until a person enables it again."""
    scene, looked = kept()
    scene.enable()
    scene.stage.pass_time(SETTLES)
    scene.stage.run(disable.request("lab", "fast"))
    assert looked() == []
    assert "it was disabled" in care(scene.stage.store, "lab", scene.stage.policy.sriov["fast"]).why


def test_drift_that_passes_is_none(kept: Kept) -> None:
    """A port that is plugged by its host's boot was never lost: one look is not enough."""
    scene, _ = kept()
    scene.enable()
    stage = scene.stage
    access = PoolAccess("lab", stage.client, stage.port, stage.ledger)
    upkeep = Upkeep(access, stage.store, stage.engine, stage.policy.sriov, lambda: True, SETTLES, lambda: datetime.now(UTC))
    scene.simulated.add_host("host3")
    upkeep.see_to(stage.policy.sriov["fast"])
    assert len(stage.runs()) == 1


def test_drift_may_be_only_reported(kept: Kept) -> None:
    """With drift = "report" the status shows it, and nothing is touched."""
    scene, looked = kept(mend=False)
    scene.enable()
    scene.simulated.add_host("host3")
    assert looked() == []
    (row,) = view.rows(scene.stage.port, scene.stage.store, scene.stage.policy.sriov.values())
    assert (row["is_so"], row["kept"], row["why"]) == (False, False, 'drift = "report"')
    assert [port["state"] for port in row["ports"]] == ["enabled", "enabled", "not enabled"]


def test_a_stuck_run_goes_on_when_somebody_has_mended_it(kept: Kept) -> None:
    """What it was stuck at is so now: it is taken up and ends done."""
    scene, looked = kept()
    scene.simulated.control.driver("host2", "enable-fails")
    run = scene.enable()
    assert run.status is Status.STUCK
    scene.simulated.control.driver("host2", "sysfs")
    nic = next(nic for nic in scene.stage.port.nics() if nic.host_name == "host2" and nic.device == "eth2")
    task = scene.stage.port.begin_enable(nic.uuid, scene.stage.network("fast"))
    while scene.stage._pending(task):
        pass
    looked()
    assert scene.stage.finish(run.id).status is Status.DONE


def test_only_what_may_be_drift_makes_it_look(kept: Kept) -> None:
    """A PIF that changed does; a VM does not."""
    scene, _ = kept()
    stage = scene.stage
    access = PoolAccess("lab", stage.client, stage.port, stage.ledger)
    upkeep = Upkeep(access, stage.store, stage.engine, stage.policy.sriov, lambda: True, SETTLES)
    upkeep.heard(["vm:lab:1", "pif:other:1"])
    assert not upkeep._changed.is_set()
    upkeep.heard(["pif:lab:1"])
    assert upkeep._changed.is_set()
