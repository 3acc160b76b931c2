"""Looks that are passed on or shared between tables: what they say is what the longer ones say."""

import pytest

from tests.xapi.acting import Bench
from tests.xapi.test_reading import counted
from workflows import starting
from workflows.downtime import STARTS
from workflows.objects import Guest
from workflows.ports import Refused

REASON = starting.reason("of a test")


def test_what_vms_take_when_they_start_is_as_among_all_by_two_tables(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates, snapshots and control domains are left out of both."""
    lab = bench(hosts=2, vms=4)
    lab.pool.add_snapshot(lab.vm("web-01").uuid, "before")
    lab.port.block(lab.vm("web-01").uuid, STARTS, REASON)
    whole = tuple(
        Guest(vm.uuid, vm.name, vm.power_state, vm.blocked_operations, vm.networks, tuple(vif.MAC.lower() for vif in vm.vifs))
        for vm in lab.port.vms()
    )
    lab.port.guests()  # now the networks are known
    made = counted(lab, monkeypatch)
    assert lab.port.guests() == whole
    assert made == ["VM.get_all_records", "VIF.get_all_records"]


def test_vms_and_networks_of_one_reading_are_what_each_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No table is read twice."""
    lab = bench(hosts=2, vms=2)
    apart = (lab.port.vms(), lab.port.networks())
    made = counted(lab, monkeypatch)
    assert lab.port.census() == apart
    assert len(made) == len(set(made)) == 7


def test_a_snapshot_is_found_by_its_name_among_those_that_are_new(bench: Bench) -> None:
    """One that was there before is not taken for it."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01").uuid
    lab.pool.add_snapshot(vm, "ours")
    (old,) = lab.port.vm(vm).snapshots
    assert lab.port.taking(vm, "ours", [old]).snapshot is None
    lab.pool.add_snapshot(vm, "other")
    lab.pool.add_snapshot(vm, "ours")
    seen = lab.port.taking(vm, "ours", [old])
    assert (seen.snapshot, seen.current_operations) == (lab.port.vm(vm).snapshots[-1], ())


def test_a_look_counts_for_a_vif_while_nobody_can_start_the_vm(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is moved, and nothing is looked at (but for the uuid of a network that is new)."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.pool.halt_vm(vm.uuid)
    lab.port.block(vm.uuid, STARTS, REASON)
    away = lab.port.create_network("away", {})
    seen, made = lab.port.vm(vm.uuid), counted(lab, monkeypatch)
    lab.port.move_vif(vm.vifs[0].uuid, away, seen=seen)
    assert made == ["network.get_by_uuid", "VIF.move"]
    assert lab.port.vm(vm.uuid).vifs[0].network == away


def test_a_look_does_not_count_where_somebody_may_have_started_the_vm(bench: Bench) -> None:
    """It is looked at again, and the VIF of one that runs by now is not moved to SR-IOV."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.pool.halt_vm(vm.uuid)
    away = lab.port.create_network("away", {})
    lab.port.move_vif(vm.vifs[0].uuid, away)
    seen = lab.port.vm(vm.uuid)
    lab.client.call("VM.start", lab.client.call("VM.get_by_uuid", vm.uuid), False, False)
    with pytest.raises(Refused):
        lab.port.move_vif(vm.vifs[0].uuid, vm.vifs[0].network, seen=seen)


def test_a_start_takes_the_block_of_its_reason_away_and_no_other(bench: Bench) -> None:
    """What somebody else blocks stays blocked."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01").uuid
    lab.pool.halt_vm(vm)
    lab.port.block(vm, STARTS, REASON)
    lab.port.block(vm, ["destroy"], "vfo: of another")
    lab.port.begin_start(vm, unblocking=REASON)
    assert lab.port.vm(vm).blocked_operations == {"destroy": "vfo: of another"}


def test_a_snapshot_is_destroyed_by_one_look_at_it_and_at_each_of_its_disks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a disk is marked, and outlives it, is in the same record."""
    lab = bench(hosts=1, vms=1)
    snapshot = str(lab.client.call("VM.get_uuid", lab.pool.add_snapshot(lab.vm("web-01").uuid, "vfo 1")))
    lab.port.tag(snapshot, "vfo")
    made = counted(lab, monkeypatch)
    lab.port.destroy_snapshot(snapshot)
    assert made == ["VM.get_record", "VBD.get_record", "VDI.get_record", "VDI.destroy", "VM.destroy"]


def test_where_a_vm_could_start_is_told_with_the_uuids_of_the_ports_reading(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hosts' records were read for the ports."""
    lab = bench(hosts=2, vms=1)
    vm = lab.vm("web-01").uuid
    lab.pool.halt_vm(vm)
    assert lab.port.vm_exists(vm)  # now its ref is known
    hosts = {look.host for look in lab.port.look_at_ports()}
    made = counted(lab, monkeypatch)
    assert set(lab.port.possible_hosts(vm)) == hosts
    assert made == ["VM.get_possible_hosts"]
