"""A VM that a revert took its SR-IOV VIF from: by what the rows knew of it, the VIF is made anew."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.simulator.control import find
from state.run import Run, Status
from tests.engine import crashes
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.stage import Stage
from workflows import parking, put_right
from workflows.objects import VIF, VM
from workflows.outcome import Request
from workflows.put_right import PUT_RIGHT


def ref(stage: Stage, uuid: str, kind: str = "VM") -> str:
    return find(stage.simulated.database, kind, uuid)


def reverted(stage: Stage) -> tuple[VM, Request]:
    """A VM as it was, and the run for it after it was reverted to a snapshot of somebody else's, which had lost its SR-IOV VIF."""
    vm = stage.with_vf()
    snapshot = stage.client.call("VM.snapshot", ref(stage, vm.uuid), "theirs", [])
    for vif in stage.client.call("VM.get_VIFs", snapshot):
        stage.client.call("VIF.destroy", vif)
    stage.client.call("VM.revert", snapshot)
    assert stage.pool.vm(vm.uuid).sriov_vifs == ()
    return vm, put_right.request("lab", vm.uuid, vm.name, [vif.as_note() for vif in vm.sriov_vifs])


def places(vifs: tuple[VIF, ...]) -> list[tuple[str, str, str]]:
    return [(vif.device, vif.MAC, vif.network) for vif in vifs]


def test_what_the_revert_took_is_there_again(stages: Stages) -> None:
    """Where it was and with its MAC; the VM stays halted, as the revert left it, and nothing of ours is on it."""
    stage = backups.staged(stages)
    vm, wanted = reverted(stage)
    run = stage.run(wanted)
    assert run.status is Status.DONE, stage.story(run.id)
    now = stage.pool.vm(vm.uuid)
    assert places(now.vifs) == places(vm.vifs)
    assert (now.power_state, dict(now.blocked_operations), parking.NOTE in now.other_config) == ("Halted", {}, False)
    assert f"it was reverted to a snapshot without VIF {vm.vifs[0].device} ({vm.vifs[0].MAC})" in "".join(stage.story(run.id))
    assert stage.run(wanted).reason == "it has the VIFs that the revert took from it"
    assert places(stage.pool.vm(vm.uuid).vifs) == places(vm.vifs)


def test_a_reverted_vm_that_was_started_gets_it_at_its_next_halt(stages: Stages) -> None:
    """Nobody's VM is shut down for it without being asked."""
    stage = backups.staged(stages)
    vm, wanted = reverted(stage)
    stage.client.call("VM.start", ref(stage, vm.uuid), False, False)
    run_id = stage.submit(wanted)
    assert "when somebody halts the VM" in stage.settle(run_id).reason
    stage.simulated.halt_vm(vm.uuid)
    assert stage.finish(run_id).status is Status.DONE
    now = stage.pool.vm(vm.uuid)
    assert (now.power_state, places(now.vifs)) == ("Halted", places(vm.vifs))


def give(stage: Stage, vm: str, network: str, device: str, mac: str) -> None:
    stage.port.create_vif(vm, network, device, mac, {})


def network_gone(stage: Stage, vm: VM, request: Request) -> None:
    request.data["missing"][0]["network"] = "no-such-network"


def network_changed(stage: Stage, vm: VM, request: Request) -> None:
    request.data["missing"][0]["network"] = stage.network(backups.ORDINARY)


def device_taken(stage: Stage, vm: VM, request: Request) -> None:
    give(stage, vm.uuid, stage.network(backups.ORDINARY), vm.vifs[0].device, "02:00:00:00:00:61")


def on_another_network(stage: Stage, vm: VM, request: Request) -> None:
    give(stage, vm.uuid, stage.network(backups.ORDINARY), "5", vm.vifs[0].MAC)


def mac_in_use(stage: Stage, vm: VM, request: Request) -> None:
    other = next(one for one in stage.port.vms() if one.uuid != vm.uuid)
    give(stage, other.uuid, stage.network(backups.ORDINARY), "5", vm.vifs[0].MAC.upper())


def template(stage: Stage, vm: VM, request: Request) -> None:
    stage.client.call("VM.set_is_a_template", ref(stage, vm.uuid), True)


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [
        (network_gone, "its network no-such-network is not in the pool any more"),
        (network_changed, "is not an SR-IOV network any more"),
        (device_taken, "its VIF 0 (02:00:00:00:00:61) on network Pool-wide"),
        (on_another_network, "its VIF 5 ("),
        (mac_in_use, "its MAC is in use by VM "),
        (template, "was made a template"),
    ],
)
def test_what_cannot_be_put_back_is_refused(stages: Stages, meanwhile: Callable[[Stage, VM, Request], None], reason: str) -> None:
    """And nothing of the VM is touched."""
    stage = backups.staged(stages)
    vm, wanted = reverted(stage)
    meanwhile(stage, vm, wanted)
    before = stage.pool.vm(vm.uuid)
    run = stage.run(wanted)
    assert run.status is Status.REFUSED
    assert "the revert took VIFs from it that cannot be put back: " in run.reason
    assert reason in run.reason
    assert stage.pool.vm(vm.uuid) == before


def test_what_stands_on_our_parking_network_is_moved(stages: Stages) -> None:
    """A snapshot made by others while the VIF was parked, whose note is lost: what the rows knew says where it belongs."""
    stage = backups.staged(stages)
    vm, wanted = reverted(stage)
    parked = stage.port.create_network(parking.NETWORK_NAME, {parking.NETWORK: "true"})
    give(stage, vm.uuid, parked, vm.vifs[0].device, vm.vifs[0].MAC)
    (vif,) = stage.pool.vm(vm.uuid).vifs
    assert stage.run(wanted).status is Status.DONE
    (now,) = stage.pool.vm(vm.uuid).vifs
    assert (now.uuid, now.network) == (vif.uuid, vm.vifs[0].network)


def test_what_the_note_of_an_older_snapshot_does_not_speak_of_comes_back_too(stages: Stages) -> None:
    """A snapshot of ours knows one VIF; the VM was given another since, and was reverted."""
    stage = backups.staged(stages)
    vm = stage.with_vf()
    snapshot = stage.run(backups.request(stage, "offline", vm)).data["snapshot"]
    give(stage, vm.uuid, stage.network(), "4", "02:00:00:00:00:44")
    had = stage.pool.vm(vm.uuid)
    stage.client.call("VM.revert", ref(stage, snapshot))
    run = stage.run(put_right.request("lab", vm.uuid, vm.name, [vif.as_note() for vif in had.sriov_vifs]))
    assert run.status is Status.DONE, stage.story(run.id)
    assert places(stage.pool.vm(vm.uuid).vifs) == places(had.vifs)


@pytest.mark.parametrize("crash", crashes.of(PUT_RIGHT), ids=str)
def test_a_death_at_any_step_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """The next process goes on."""
    stage = backups.staged(stages)
    vm, wanted = reverted(stage)
    assert stage.survive(wanted, crash).status is Status.DONE
    assert places(stage.pool.vm(vm.uuid).vifs) == places(vm.vifs)


def test_a_death_at_any_call_is_survived(stages: Stages) -> None:
    """Before and after each single call that changes something: the VIF is there once."""
    had: list[VM] = []

    def prepared(stage: Stage) -> Any:
        vm, wanted = reverted(stage)
        had[:] = [vm]
        return wanted

    def check(stage: Stage, run: Run) -> None:
        assert run.status is Status.DONE, run.reason
        now = stage.pool.vm(run.data["vm"])
        assert (places(now.vifs), parking.NOTE in now.other_config, dict(now.blocked_operations)) == (places(had[0].vifs), False, {})

    assert crash_everywhere(lambda: backups.staged(stages), prepared, check) > 1
