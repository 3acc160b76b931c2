"""Scenes for assign-vf and release-vf: what is asked for, and what the judge must find afterwards."""

from collections.abc import Callable
from typing import Any

from tests.engine import waiting
from tests.workflows.stage import Stage
from workflows import assign, release
from workflows.assign import Wish
from workflows.objects import VM
from workflows.outcome import Request

Stages = Callable[..., Stage]


def bare(stage: Stage, *, running: bool) -> VM:
    """A VM without any VIF; a VF would be its first."""
    vm = next(vm for vm in stage.port.vms() if vm.power_state == "Halted")
    for vif in vm.vifs:
        stage.pool.destroy_vif(vif.uuid)
    if running:
        started(stage, vm)
    stage.began = stage.look()
    return stage.port.vm(vm.uuid)


def started(stage: Stage, vm: VM) -> None:
    """Somebody starts the VM."""
    stage.pool.begin_start(vm.uuid)
    waiting.until(lambda: stage.port.power_state(vm.uuid) == "Running")
    waiting.until(lambda: not stage.port.vm(vm.uuid).current_operations)


def asking(stage: Stage, vm: VM, **wish: Any) -> Request:
    """The request that the VM gets a VF on the SR-IOV network; now, unless told otherwise."""
    return assign.request(stage.pool.name, vm.uuid, vm.name, Wish(stage.network(), "SR-IOV", **{"when": "now", **wish}))


def returning(stage: Stage, vm: VM, *vifs: str, when: str = "now", force: bool = False) -> Request:
    """The request that the VM gives VFs back."""
    return release.request(stage.pool.name, stage.port.vm(vm.uuid), vifs, when, force=force)


def vif_uuids(stage: Stage, vm: VM) -> set[str]:
    """Its VIFs now and when the stage was built: those that were to be made or taken away."""
    before = {row["uuid"] for row in stage.began.records["VIF"].values() if stage.began.records["VM"][row["VM"]]["uuid"] == vm.uuid}
    return before ^ {vif.uuid for vif in stage.port.vm(vm.uuid).vifs}


def left_wrong(stage: Stage, vm: VM) -> list[str]:
    """What the judge complains of, the VIF that was to be made or taken away left out."""
    return stage.complaints(changed_vifs=vif_uuids(stage, vm))
