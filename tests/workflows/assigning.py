"""Scenes for assign-vf and release-vf: what is asked for, and what the judge must find afterwards."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from orchestrator.simulator.control import find
from tests.engine import waiting
from tests.workflows.stage import Stage
from workflows import assign, release
from workflows.assign import Wish
from workflows.objects import VM
from workflows.outcome import Request
from workflows.ports import Pool

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


class Meddled:
    """A pool where somebody else does something just before a call of ours: *before* maps the call's name to it, once."""

    def __init__(self, real: Pool, before: Mapping[str, Callable[[], Any]]) -> None:
        self._real = real
        self._before = dict(before)

    def pool(self) -> Pool:
        """The pool as steps see it."""
        return cast("Pool", self)

    def __getattr__(self, name: str) -> Any:
        meddle = self._before.pop(name, None)
        if meddle is not None:
            meddle()
        return getattr(self._real, name)


def meddle(stage: Stage, **before: Callable[[], Any]) -> None:
    """Have somebody do something just before these calls of ours."""
    stage.pool = Meddled(stage.port, before).pool()


def fill(stage: Stage, leave: int = 0) -> None:
    """Nobody gets another VF of any port, but for so many in all."""
    for look in stage.port.look_at_ports():
        host = look.name.split("/")[0]
        taken = max(0, look.remaining - leave)
        leave -= look.remaining - taken
        if taken:
            stage.simulated.control.leak(host, "SR-IOV", taken)


def change(stage: Stage, kind: str, uuid: str, **fields: Any) -> None:
    """Change a record behind XenAPI."""
    stage.simulated.database.set(kind, find(stage.simulated.database, kind, uuid), **fields)
