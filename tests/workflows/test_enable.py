from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest

from plugins.errors import GiveUp
from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.sriov_scene import MARK, Scene
from tests.workflows.stage import Stage
from workflows import enable
from workflows.enable import ENABLE
from workflows.outcome import Outcome, Wait
from workflows.policy import Policy
from workflows.sriov import OURS
from workflows.wanted import PortChoice
from workflows.workflow import Data
from workflows.world import World

Stages = Callable[..., Stage]


def test_ports_that_need_no_reboot_are_enabled_at_once(stages: Stages) -> None:
    """In mode sysfs every host's port has its VFs, on one new network that says whose it is, and no host goes down."""
    scene = Scene(stages, modprobe=False)
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    assert scene.vfs_of() == {"host1": 4, "host2": 4, "host3": 4}
    assert not scene.downs
    assert scene.stage.complaints() == [MARK]


def test_what_is_so_already_is_left_alone(stages: Stages) -> None:
    """A second run ends done without a call that changes anything."""
    scene = Scene(stages, modprobe=False)
    scene.enable()
    run = scene.enable()
    assert (run.status, run.step) == (Status.DONE, "look_first")
    assert run.reason.startswith("nothing to do: host1/eth2: enabled, mode sysfs")


def test_manual_mode_is_left_as_the_administrator_set_it(stages: Stages) -> None:
    """VFs that were made by hand are used, and their number is not touched (story 43)."""
    scene = Scene(stages, modprobe=False, driver="manual")
    before = scene.vfs_of()
    assert scene.enable().status is Status.DONE
    assert scene.vfs_of() == before


def test_vlans_stand_on_every_port(stages: Stages) -> None:
    """Each tag has a network of its own, which leads to VFs on all hosts."""
    scene = Scene(stages, modprobe=False, wanted={"vlans": (120, 130)})
    assert scene.enable().status is Status.DONE
    assert {nic.host_name: [tag for tag, _ in nic.tagged] for nic in scene.stage.port.nics() if nic.device == "eth2"} == {
        name: [120, 130] for name in ("host1", "host2", "host3")
    }
    made = [network for network in scene.stage.port.networks() if OURS in network.other_config]
    assert [(network.name, network.is_sriov) for network in made] == [("fast", True), ("fast vlan 120", True), ("fast vlan 130", True)]


def half_made(scene: Scene, host: str) -> None:
    """An attempt of somebody else's that failed: the record and its logical PIF are left (xapi_network_sriov.ml)."""
    scene.simulated.add_network("fast")
    scene.simulated.control.driver(host, "enable-fails")
    port = next(nic for nic in scene.stage.port.nics() if nic.host_name == host and nic.device == "eth2")
    task = scene.stage.port.begin_enable(port.uuid, scene.stage.network("fast"))
    while scene.stage._pending(task):
        pass


def test_what_a_failed_attempt_left_half_made_is_repaired(stages: Stages) -> None:
    """A record of mode unknown answers ALREADY_ENABLED although nothing is: it is plugged (story 32)."""
    scene = Scene(stages, modprobe=False)
    half_made(scene, "host2")
    scene.simulated.control.driver("host2", "sysfs")
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    assert scene.vfs_of() == {"host1": 4, "host2": 4, "host3": 4}


def test_a_port_that_fails_keeps_no_other_from_it(stages: Stages) -> None:
    """The run is stuck at the one, with what its host said; the others have VFs; nothing half made is left, and a retry mends it."""
    scene = Scene(stages, modprobe=False)
    scene.simulated.control.driver("host2", "enable-fails")
    run = scene.enable()
    assert run.status is Status.STUCK
    assert "host2/eth2: network_sriov.create: NETWORK_SRIOV_ENABLE_FAILED no resources" in run.reason
    assert scene.vfs_of() == {"host1": 4, "host2": 0, "host3": 4}
    assert next(nic for nic in scene.stage.port.nics() if nic.host_name == "host2" and nic.device == "eth2").sriov is None
    scene.simulated.control.driver("host2", "sysfs")
    scene.stage.engine.retry(run.id, by="a person")
    assert scene.stage.finish(run.id).status is Status.DONE
    assert scene.complaints() == []


@pytest.mark.parametrize("device", ["eth0", "eth7"])
def test_what_cannot_be_is_refused_with_nothing_touched(stages: Stages, device: str) -> None:
    """A port that is not capable, or not there: refused, and said why."""
    scene = Scene(stages, modprobe=False, wanted={"ports": PortChoice(device=device)})
    run = scene.enable()
    assert run.status is Status.REFUSED
    assert device in run.reason
    assert scene.stage.complaints() == []


def test_a_host_that_is_away_is_waited_for(stages: Stages) -> None:
    """The others are enabled; the run is not done before the one that was off has its VFs too."""
    scene = Scene(stages, modprobe=False)
    scene.simulated.control.host("host3", power="off")
    run_id = scene.begin()
    run = scene.until(run_id, "the host is away")
    assert run.status is Status.WAITING
    assert scene.vfs_of()["host2"] == 4
    scene.simulated.control.host("host3", power="on")
    assert {one.status for one in scene.stage.finish_all()} == {Status.DONE}
    assert scene.vfs_of() == {"host1": 4, "host2": 4, "host3": 4}


def test_given_up_everything_that_was_made_is_taken_back(stages: Stages) -> None:
    """Cancelled while it waits for the reboots: no port, no VLAN, no network is left, and nothing was rebooted."""
    scene = Scene(stages, wanted={"reboot": "approved", "vlans": (120,)})
    run_id = scene.begin()
    scene.until(run_id, "approve")
    run = scene.cancel(run_id)
    assert run.status is Status.UNDONE, run.reason
    assert scene.stage.complaints() == []
    assert not scene.downs
    assert not any(network.name.startswith("fast") for network in scene.stage.port.networks())


def test_a_port_that_vms_use_by_now_is_not_taken_back(stages: Stages) -> None:
    """An undo never takes a VF from a running VM: the run is stuck and names it (story 34)."""
    scene = Scene(stages, modprobe=False, wanted={"vlans": (120,)})
    run_id = scene.begin()
    scene.until(run_id, "VLANs are to be made")
    scene.simulated.add_vm("user", network="fast", host="host2")
    run = scene.cancel(run_id)
    assert run.status is Status.STUCK
    assert "host2/eth2: in use by user" in run.reason
    assert scene.vfs_of() == {"host1": 0, "host2": 4, "host3": 0}


def test_a_table_that_goes_while_the_run_waits_ends_it_truthfully(stages: Stages) -> None:
    """What is not wanted any more is taken back."""
    scene = Scene(stages, wanted={"reboot": "approved"})
    run_id = scene.begin()
    scene.until(run_id, "approve")
    scene.stage.policy = Policy()
    run = scene.stage.finish(run_id)
    assert (run.status, run.reason) == (Status.UNDONE, "[sriov.fast] is not in the configuration any more")
    assert scene.stage.complaints() == []


def test_a_table_that_the_daemon_has_not_read_is_refused_with_what_to_do(stages: Stages) -> None:
    """It may have been added after `vfo serve` began: that reads its configuration once."""
    scene = Scene(stages)
    scene.stage.policy = replace(scene.stage.policy, sriov={})
    run = scene.enable()
    assert run.status is Status.REFUSED
    assert (
        "no table [sriov.fast] in its configuration, which it reads when it starts: if the table is there by now, restart it" in run.reason
    )
    assert scene.stage.complaints() == []


def enabled_and_tidy(scenes: dict[int, Scene], vfs: int) -> Callable[[Stage, Run], None]:
    def check(stage: Stage, run: Run) -> None:
        scene = scenes[id(stage)]
        assert run.status is Status.DONE, run.reason
        assert set(scene.vfs_of().values()) == {vfs}
        assert scene.downs == dict.fromkeys(scene.vfs_of(), 1)
        assert scene.together == 1
        assert scene.complaints() == []

    return check


def made(stages: Stages, scenes: dict[int, Scene], **fields: Any) -> Callable[[], Stage]:
    def make() -> Stage:
        scene = Scene(stages, **{"hosts": 2, "vms": 4, **fields})
        scenes[id(scene.stage)] = scene
        return scene.stage

    return make


def with_a_mover(stage: Stage) -> None:
    """A VM that has no VF, and moves."""
    stage.simulated.add_vm("mover", network=None, host="host2", disk=False)
    stage.began = stage.look()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("vfs", "vlans"), [(4, (120,)), (1, ())], ids=["room elsewhere", "no room elsewhere"])
def test_dead_at_any_call_it_enables_and_reboots_every_host_once(stages: Stages, vfs: int, vlans: tuple[int, ...]) -> None:
    """Whatever it was doing: VMs run with their VFs, hosts went down once, one at a time, nothing is left (stories 2, 36, 38, 40)."""
    scenes: dict[int, Scene] = {}
    places = crash_everywhere(
        made(stages, scenes, wanted={"vlans": vlans}, vfs=vfs),
        lambda stage: enable.request("lab", "fast"),
        enabled_and_tidy(scenes, vfs),
        prepare=with_a_mover,
    )
    assert places > 30


@pytest.mark.parametrize("crash", crashes.of(ENABLE), ids=str)
def test_dead_at_every_step_it_goes_on(stages: Stages, crash: crashes.Crash) -> None:
    """Before or after any step: the end is the same."""
    scene = Scene(stages, hosts=2, vms=4, wanted={"vlans": (120,)})
    run = scene.stage.survive(enable.request("lab", "fast"), crash)
    assert run.status is Status.DONE, run.reason
    assert scene.downs == {"host1": 1, "host2": 1}
    assert scene.complaints() == []


@pytest.mark.parametrize("crash", crashes.of_undo(ENABLE), ids=str)
def test_dead_at_every_undo_it_is_taken_back(stages: Stages, crash: crashes.Crash) -> None:
    """Given up at the worst moment, and dead while that is undone: nothing of ours is left, and every VM runs with its VF."""
    scene = Scene(stages, hosts=2, vms=4, modprobe=crash.step == "reboot_hosts", wanted={"vlans": (120,)})
    run = scene.stage.survive(enable.request("lab", "fast"), crash, give_up_after="tag_ports")
    assert run.status is Status.UNDONE, run.reason
    assert scene.stage.complaints() == []


def given_up_when(words: str) -> Callable[[Stage], None]:
    """The run is given up when it waits with these words."""

    def prepare(stage: Stage) -> None:
        def reboot_hosts(world: World, data: Data) -> Outcome:
            """Reboot, until it is given up."""
            outcome = enable.reboot_hosts(world, data)
            if isinstance(outcome, Wait) and words in outcome.message:
                raise GiveUp("given up by the test")
            return outcome

        steps = [replace(step, action=reboot_hosts) if step.name == "reboot_hosts" else step for step in ENABLE.steps]
        stage.workflows[ENABLE.name] = replace(ENABLE, steps=tuple(steps))

    return prepare


@pytest.mark.timeout(600)
@pytest.mark.parametrize("words", ["is empty, and reboots now", "was asked to reboot"])
def test_given_up_and_dead_at_any_call_the_host_is_in_service_again(stages: Stages, words: str) -> None:
    """Every VM that ran runs with its VF, every host is enabled, nothing that was made is left (stories 1, 2)."""
    scenes: dict[int, Scene] = {}

    def check(stage: Stage, run: Run) -> None:
        assert run.status is Status.UNDONE, run.reason
        assert stage.complaints() == []
        assert all(host.enabled for host in stage.port.hosts())
        assert set(scenes[id(stage)].downs.values()) <= {1}

    crash_everywhere(made(stages, scenes, vfs=1), lambda stage: enable.request("lab", "fast"), check, prepare=given_up_when(words))


CALLS = (
    "network.create",
    "Async.network_sriov.create",
    "host.add_to_other_config",
    "host.disable",
    "Async.VM.clean_shutdown",
    "Async.VM.pool_migrate",
    "Async.VM.start_on",
    "Async.host.reboot",
    "VLAN.create",
)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", CALLS)
def test_a_call_whose_answer_is_cut_off_is_made_once(stages: Stages, method: str, when: Literal["before", "after"]) -> None:
    """Before it took effect or after: what it was for is looked at, and nothing is done twice."""
    scene = Scene(stages, hosts=2, vms=4, vfs=1, wanted={"vlans": (120,)})
    with_a_mover(scene.stage)
    scene.simulated.control.cut(method, when)
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    assert (scene.downs, scene.together) == ({"host1": 1, "host2": 1}, 1)
    assert scene.complaints() == []
