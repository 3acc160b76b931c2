"""What no run sees to any more: notes of reboots that are over, and VIFs that are parked without a note."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.stage import Stage
from tests.workflows.test_put_right import know
from workflows import booting, clean_up, guests, leftovers, parking
from workflows.clean_up import CLEAN_UP
from workflows.objects import VM
from workflows.outcome import Request

Stages = Callable[..., Stage]
OVER, AT_WORK, UNKNOWN = UUID(int=1), UUID(int=2), UUID(int=3)


def wanted(stage: Stage) -> list[Request]:
    return clean_up.everything(leftovers.see(stage.pool), {OVER: True, AT_WORK: False}.get, stage.now)


def note_restart(stage: Stage, vm: VM, run: UUID) -> None:
    stage.port.note(vm.uuid, guests.RESTART, json.dumps({"vm": vm.uuid, "run": str(run), "host": stage.port.hosts()[0].uuid}))


def park(stage: Stage) -> VM:
    """A halted VM whose VIF somebody moved to our parking network, and nothing says where it belongs."""
    stage.simulated.add_vm("web", running=False)
    network = stage.port.create_network(parking.NETWORK_NAME, {parking.NETWORK: "true"})
    stage.port.move_vif(stage.vm("web").vifs[0].uuid, network)
    return stage.vm("web")


def test_the_note_of_a_reboot_that_is_over_goes(stages: Stages) -> None:
    """The VM is left as it is, halted or not: the run had seen to it."""
    stage = stages(vms=2, hosts=1)
    for vm in stage.port.vms():
        note_restart(stage, vm, OVER)
    before = {vm.name: vm.power_state for vm in stage.port.vms()}
    for request in wanted(stage):
        assert stage.run(request).status is Status.DONE
    assert stage.complaints() == []
    assert {vm.name: vm.power_state for vm in stage.port.vms()} == before
    assert wanted(stage) == []


@pytest.mark.parametrize("run", [AT_WORK, UNKNOWN], ids=["at work", "unknown"])
def test_a_note_that_may_be_needed_stays(stages: Stages, run: UUID) -> None:
    """The run sees to it, or `vfo recover` does."""
    stage = stages(vms=1, hosts=1)
    note_restart(stage, stage.port.vms()[0], run)
    stage.port.note_host(stage.port.hosts()[0].uuid, booting.AT_WORK, json.dumps({"run": str(run)}))
    assert wanted(stage) == []


@pytest.mark.parametrize("crash", crashes.of(CLEAN_UP), ids=str)
def test_the_mark_of_a_reboot_that_is_over_goes_whatever_crashes(stages: Stages, crash: crashes.Crash) -> None:
    """The mark on the host alone: one that somebody disabled stays disabled."""
    stage = stages(vms=0, hosts=2)
    host = stage.port.hosts()[0].uuid
    stage.port.disable_host(host)
    stage.began = stage.look()
    stage.port.note_host(host, booting.AT_WORK, json.dumps({"run": str(OVER), "was_enabled": True}))
    (request,) = wanted(stage)
    assert stage.survive(request, crash).status is Status.DONE
    assert (stage.complaints(), stage.port.host(host).enabled, wanted(stage)) == ([], False, [])


def test_a_mark_that_another_run_made_meanwhile_stays(stages: Stages) -> None:
    """Between the look and the run the host may have been begun anew."""
    stage = stages(vms=0, hosts=1)
    host = stage.port.hosts()[0].uuid
    stage.port.note_host(host, booting.AT_WORK, json.dumps({"run": str(OVER)}))
    (request,) = wanted(stage)
    stage.port.note_host(host, booting.AT_WORK, json.dumps({"run": str(AT_WORK)}))
    assert stage.run(request).reason == "nothing is left behind any more"
    assert booting.run_at(stage.port.host(host)) == str(AT_WORK)


def stuck(stage: Stage) -> Run:
    """The run about the VIF that is parked without a note."""
    (request,) = wanted(stage)
    run = stage.run(request)
    assert run.status is Status.STUCK
    return run


def test_a_vif_that_is_parked_without_a_note_needs_a_person(stages: Stages) -> None:
    """Which, and the command; nothing is changed, and no run keeps the VM from others meanwhile."""
    stage = stages(vms=0, hosts=1)
    vm = park(stage)
    stage.began = stage.look()
    run = stuck(stage)
    assert run.reason.startswith(f"VIFs 0 ({vm.vifs[0].MAC}) of VM web are on our parking network")
    assert run.next_command == f"xe vif-move uuid={vm.vifs[0].uuid} network-uuid=..."
    assert [line for line in stage.complaints() if "stuck" not in line and "is on the parking network" not in line] == []


def test_a_retry_looks_again(stages: Stages) -> None:
    """Moved by hand: done. Still there: stuck again."""
    stage = stages(vms=0, hosts=1)
    vm = park(stage)
    run = stuck(stage)
    stage.engine.retry(run.id, by="a person")
    assert stage.finish(run.id).status is Status.STUCK
    stage.port.move_vif(vm.vifs[0].uuid, stage.network())
    stage.engine.retry(run.id, by="a person")
    assert stage.finish(run.id).status is Status.DONE


@pytest.mark.parametrize("crash", [None, *crashes.of(CLEAN_UP)], ids=str)
def test_a_vif_whose_place_our_rows_know_is_put_back(stages: Stages, crash: crashes.Crash | None) -> None:
    """The run that knows how follows, and nobody is asked."""
    stage = stages(vms=0, hosts=1)
    stage.simulated.add_vm("web", running=False)
    vm = stage.vm("web")
    know(stage, vm)
    stage.port.move_vif(vm.vifs[0].uuid, stage.port.create_network(parking.NETWORK_NAME, {parking.NETWORK: "true"}))
    (request,) = wanted(stage)
    assert (stage.survive(request, crash) if crash else stage.run(request)).status is Status.DONE
    assert {run.status for run in stage.finish_all()} == {Status.DONE}
    assert stage.vm("web").vifs == vm.vifs
    assert wanted(stage) == []


def test_vifs_that_a_run_or_a_snapshot_has_parked_are_nobodys_business(stages: Stages) -> None:
    """A note says where they belong; a snapshot's stay parked."""
    stage = stages(vms=0, hosts=1)
    vm = park(stage)
    snapshot: Any = stage.client.call("VM.get_uuid", stage.simulated.add_snapshot("web", "of web"))
    note = {"vm": vm.uuid, "run": str(AT_WORK), "ran": False, "vifs": []}
    stage.port.note(vm.uuid, parking.NOTE, json.dumps(note))
    assert snapshot in {one.uuid for one in stage.port.marked()}
    assert wanted(stage) == []


def test_a_plan_says_what_would_be_done(stages: Stages) -> None:
    """For a host and for a VM."""
    stage = stages(vms=0, hosts=1)
    park(stage)
    stage.port.note_host(stage.port.hosts()[0].uuid, booting.AT_WORK, json.dumps({"run": str(OVER)}))
    plans = [clean_up.plan(request) for request in wanted(stage)]
    assert [plan.title for plan in plans] == ["clean-up of host host1", "clean-up of VM web"]
    assert [plan.calls for plan in plans] == [("host.remove_from_other_config",), ()]
