"""SR-IOV taken away again."""

from collections.abc import Callable

import pytest

from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.sriov_scene import Scene
from tests.workflows.stage import Stage
from workflows import disable
from workflows.disable import DISABLE

Stages = Callable[..., Stage]


def enabled(stages: Stages, **more: object) -> Scene:
    """[sriov.fast] is so on all hosts, with a VLAN."""
    scene = Scene(stages, **{"hosts": 2, "vms": 4, "modprobe": False, "wanted": {"vlans": (120,)}, **more})  # type: ignore[arg-type]
    assert scene.enable().status is Status.DONE
    return scene


def taken_away(scene: Scene, *, force: bool = False) -> Run:
    return scene.stage.run(disable.request("lab", "fast", force=force))


def test_what_was_enabled_is_taken_away_with_its_networks(stages: Stages) -> None:
    """No port, no VLAN, no network of ours is left; the other port's VFs and VMs are untouched."""
    scene = enabled(stages)
    run = taken_away(scene)
    assert run.status is Status.DONE, run.reason
    assert set(scene.vfs_of().values()) == {0}
    assert scene.stage.complaints() == []
    assert not any(network.name.startswith("fast") for network in scene.stage.port.networks())


def test_nothing_is_taken_from_a_running_vm(stages: Stages) -> None:
    """Refused, and the VM is named (story 34)."""
    scene = enabled(stages)
    scene.simulated.add_vm("user", network="fast vlan 120")
    run = taken_away(scene, force=True)
    assert run.status is Status.REFUSED
    assert run.reason == "VMs run with VFs of network 'fast': user (vfo release, or shut them down)"
    assert set(scene.vfs_of().values()) == {4}


def test_halted_vms_are_said_before_they_lose_their_vfs(stages: Stages) -> None:
    """Xapi would not look at them (network_sriov.destroy): refused, unless forced."""
    scene = enabled(stages)
    scene.simulated.add_vm("sleeper", network="fast", running=False)
    run = taken_away(scene)
    assert run.status is Status.REFUSED
    assert "sleeper" in run.reason
    assert taken_away(scene, force=True).status is Status.DONE
    assert set(scene.vfs_of().values()) == {0}
    assert [network.name for network in scene.stage.port.networks() if network.name.startswith("fast")] == ["fast"], "a VIF is on it"


def test_vfs_that_stay_until_the_next_boot_are_said(stages: Stages) -> None:
    """A driver's file is read at boot: the run ends done, and says what is still there (story 33)."""
    scene = enabled(stages, modprobe=True)
    run = taken_away(scene)
    assert run.status is Status.DONE
    assert "the VFs of host1/eth2, host2/eth2 stay until their hosts boot the next time" in run.reason


def test_where_there_is_nothing_there_is_nothing_to_do(stages: Stages) -> None:
    """Done at the first step."""
    run = taken_away(Scene(stages, modprobe=False))
    assert (run.status, run.reason) == (Status.DONE, "no port has SR-IOV on network 'fast'")


def test_the_plan_says_who_is_in_the_way_and_changes_nothing(stages: Stages) -> None:
    """--dry-run: the same refusals as the run's."""
    scene = enabled(stages)
    scene.simulated.add_vm("sleeper", network="fast", running=False)
    before = scene.stage.look()
    plan = disable.plan(scene.stage.port, scene.stage.policy.sriov["fast"], force=False)
    assert plan.calls == ("VLAN.destroy", "network_sriov.destroy", "network.destroy")
    assert len(plan.refusals) == 1
    assert scene.stage.look().records == before.records


@pytest.mark.parametrize("crash", crashes.of(DISABLE), ids=str)
def test_dead_at_every_step_it_goes_on(stages: Stages, crash: crashes.Crash) -> None:
    """The end is the same."""
    scene = enabled(stages)
    run = scene.stage.survive(disable.request("lab", "fast"), crash)
    assert run.status is Status.DONE, run.reason
    assert scene.stage.complaints() == []


@pytest.mark.parametrize("crash", crashes.of_undo(DISABLE), ids=str)
def test_given_up_and_dead_it_is_enabled_again(stages: Stages, crash: crashes.Crash) -> None:
    """Every port has its VFs and its VLAN back."""
    scene = enabled(stages)
    run = scene.stage.survive(disable.request("lab", "fast"), crash, give_up_after="disable_ports")
    assert run.status is Status.UNDONE, run.reason
    assert set(scene.vfs_of().values()) == {4}
    assert [[tag for tag, _ in nic.tagged] for nic in scene.stage.port.nics() if nic.device == "eth2"] == [[120], [120]]
    assert scene.complaints() == []
