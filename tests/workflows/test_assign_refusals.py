"""Nothing is touched, and every reason is said."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from state.run import Status
from tests.workflows.assigning import Stages, asking, change, returning
from tests.workflows.stage import Stage
from workflows import assignment_plans
from workflows.objects import VM
from workflows.outcome import Request


def a_control_domain(stage: Stage) -> Request:
    vm = stage.client.fetch(dict[str, dict[str, Any]], "VM.get_all_records")
    uuid = next(record["uuid"] for record in vm.values() if record["is_control_domain"])
    return asking(stage, stage.port.vm(uuid))


def a_snapshot(stage: Stage) -> Request:
    ref = stage.simulated.add_snapshot(stage.with_vf().uuid, "before")
    stage.began = stage.look()
    return asking(stage, stage.port.vm(stage.simulated.database.get("VM", ref)["uuid"]))


def a_template(stage: Stage) -> Request:
    vm = stopped(stage)
    change(stage, "VM", vm.uuid, is_a_template=True)
    stage.began = stage.look()
    return asking(stage, stage.port.vm(vm.uuid))


def protected_by_ha(stage: Stage) -> Request:
    vm = stage.with_vf()
    change(stage, "VM", vm.uuid, ha_restart_priority="restart")
    return asking(stage, vm, device="3")


def blocked_by_somebody(stage: Stage) -> Request:
    vm = stage.with_vf()
    change(stage, "VM", vm.uuid, blocked_operations={"clean_shutdown": "ask Mary first"})
    return asking(stage, vm, device="3")


def paused(stage: Stage) -> Request:
    vm = stage.with_vf()
    change(stage, "VM", vm.uuid, power_state="Paused")
    stage.began = stage.look()
    return asking(stage, vm, device="3")


def without_licence(stage: Stage) -> Request:
    pool = stage.port.facts().uuid
    change(stage, "pool", pool, restrictions={"restrict_network_sriov": "true"})
    return asking(stage, stage.with_vf(), device="3")


def an_ordinary_network(stage: Stage) -> Request:
    uuid = stage.port.create_network("office", {})
    stage.began = stage.look()
    return with_network(asking(stage, stage.with_vf()), uuid)


def no_network(stage: Stage) -> Request:
    return with_network(asking(stage, stage.with_vf()), "no-such-uuid")


def no_attached_port(stage: Stage) -> Request:
    for vm in stage.port.vms():
        stage.simulated.halt_vm(vm.uuid)
    for nic in stage.port.nics():
        if nic.logical_PIF:
            change(stage, "PIF", nic.logical_PIF, currently_attached=False)
    stage.began = stage.look()
    return asking(stage, stopped(stage), device="3")


def not_a_vlan_on_it(stage: Stage) -> Request:
    request = asking(stage, stage.with_vf(), device="3")
    request.data["below"] = stage.port.create_network("another", {})
    stage.began = stage.look()
    return request


def a_device_that_is_taken(stage: Stage) -> Request:
    return asking(stage, stage.with_vf(), device="0", mac="02:00:00:00:00:21")


def a_mac_in_use(stage: Stage) -> Request:
    return asking(stage, stage.with_vf(), mac=stopped(stage).vifs[0].MAC)


def all_devices_taken(stage: Stage) -> Request:
    vm, network = stopped(stage), stage.port.create_network("office", {})
    for device in {str(number) for number in range(7)} - {vif.device for vif in vm.vifs}:
        stage.port.create_vif(vm.uuid, network, device, f"02:00:00:00:01:0{device}", {})
    stage.began = stage.look()
    return asking(stage, vm, mac="02:00:00:00:00:22")


def a_vm_that_is_gone(stage: Stage) -> Request:
    vm = stopped(stage)
    request = asking(stage, vm, device="3")
    stage.simulated.destroy_vm(vm.uuid)
    stage.began = stage.look()
    return request


def a_full_network(stage: Stage) -> Request:
    for look in stage.port.look_at_ports():
        stage.simulated.control.leak(look.name.split("/")[0], "SR-IOV", look.remaining)
    stage.began = stage.look()
    return asking(stage, stage.with_vf(), device="3")


def stopped(stage: Stage) -> VM:
    return next(vm for vm in stage.port.vms() if vm.power_state == "Halted")


def with_network(request: Request, uuid: str) -> Request:
    request.data["network"] = uuid
    return request


REFUSED: dict[str, Callable[[Stage], Request]] = {
    "is a control domain": a_control_domain,
    "is a snapshot: it never runs; name its VM": a_snapshot,
    "is a template": a_template,
    "is protected by HA": protected_by_ha,
    "clean_shutdown is blocked by somebody: ask Mary first": blocked_by_somebody,
    "is paused: resume it or shut it down first, or use --when next-halt": paused,
    "does not include SR-IOV (restrict_network_sriov)": without_licence,
    "network office is not an SR-IOV network": an_ordinary_network,
    "network no-such-uuid is not in the pool": no_network,
    "no port of it is attached on any host": no_attached_port,
    "network SR-IOV is not a VLAN on another": not_a_vlan_on_it,
    "is taken: by its VIF": a_device_that_is_taken,
    "is in use: by VM": a_mac_in_use,
    "has a VIF on each of its 7 devices already": all_devices_taken,
    "is not in the pool": a_vm_that_is_gone,
    "no VF is to be had: host1/eth1: 0 free; host2/eth1: 0 free": a_full_network,
}


@pytest.mark.parametrize("says", REFUSED)
def test_what_cannot_be_is_refused_with_its_reason(stages: Stages, says: str) -> None:
    """The plan says the same before, and neither touches anything."""
    stage = stages()
    request = REFUSED[says](stage)
    plan = assignment_plans.of_assignment(stage.pool, stage.ledger, stage.policy, request, stage.now)
    assert any(says in refusal for refusal in plan.refusals), plan
    before = stage.look()
    run = stage.run(request)
    assert (run.status, says in run.reason) == (Status.REFUSED, True), run.reason
    assert stage.look().records == before.records
    assert stage.ledger.promised_to(request.data["vm"]) == {}


def test_every_reason_is_said_at_once(stages: Stages) -> None:
    """Nobody mends one to be told the next."""
    stage = stages()
    change(stage, "VM", stage.with_vf().uuid, ha_restart_priority="restart")
    run = stage.run(asking(stage, stage.with_vf(), device="0", mac="02:00:00:00:00:21"))
    assert "protected by HA" in run.reason
    assert "device 0" in run.reason


def test_an_address_of_a_snapshot_is_no_conflict(stages: Stages) -> None:
    """It never runs beside its VM: only VMs can have two NICs of one MAC alive at once (story 10)."""
    stage = stages()
    vm = stopped(stage)
    stage.simulated.add_snapshot(vm.uuid, "before")
    stage.port.destroy_vif(vm.vifs[0].uuid)
    assert stage.run(asking(stage, vm, mac=vm.vifs[0].MAC)).status is Status.DONE


def on_an_ordinary_network(stage: Stage) -> Request:
    vm = stage.with_vf()
    stage.port.create_vif(vm.uuid, stage.port.create_network("office", {}), "4", "02:00:00:00:00:31", {})
    stage.began = stage.look()
    return returning(stage, vm, "4")


RETURNS: dict[str, Callable[[Stage], Request]] = {
    "has no VIF 9; it has 0 (": lambda stage: returning(stage, stage.with_vf(), "9"),
    "which is not an SR-IOV network": on_an_ordinary_network,
    "is a template": lambda stage: returning(stage, stage.port.vm(a_template(stage).data["vm"])),
    "clean_shutdown is blocked by somebody": lambda stage: returning(stage, stage.port.vm(blocked_by_somebody(stage).data["vm"])),
}


@pytest.mark.parametrize("says", RETURNS)
def test_what_cannot_be_given_back_is_refused_with_its_reason(stages: Stages, says: str) -> None:
    """The plan says the same before, and neither touches anything."""
    stage = stages()
    request = RETURNS[says](stage)
    plan = assignment_plans.of_release(stage.pool, stage.policy, request, stage.now)
    assert any(says in refusal for refusal in plan.refusals), plan
    before = stage.look()
    run = stage.run(request)
    assert (run.status, says in run.reason) == (Status.REFUSED, True), run.reason
    assert stage.look().records == before.records


def test_a_refusal_for_want_of_room_is_not_hasty(stages: Stages) -> None:
    """Two looks must agree: what is in motion may come to rest."""
    stage = stages()
    began = stage.now
    run = stage.run(a_full_network(stage))
    assert run.status is Status.REFUSED
    assert stage.now - began >= timedelta(seconds=2)
