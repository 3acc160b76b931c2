"""What the records of a pool say about its ports."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.xapi.looks import looks
from orchestrator.xapi.records import PCI, VIF, HostMetrics, Reading, Sriov
from tests.xapi import readings
from tests.xapi.readings import LONG_AGO, NETWORK, NOW, changed
from workflows.ports import PortLook, User

AT = datetime(2026, 11, 22, tzinfo=UTC)


def seen(reading: Reading) -> dict[str, PortLook]:
    return {look.name: look for look in looks(reading, AT)}


def test_a_pool_at_rest() -> None:
    """Free VFs as the pool says, the VIFs that hold the others, as many VF records as VFs, and nothing in flight."""
    look = seen(readings.pool())["one/eth1"]
    assert (look.remaining, look.users, look.records, look.in_flight) == (7, (User("u-web", "web", "ui-web", "0"),), 8, ())
    assert (look.port, look.host, look.network, look.mode, look.attached) == ("us-one-eth1", "u-one", "un-sriov", "sysfs", True)
    assert look.at == AT


def test_a_vif_uses_only_the_port_of_the_host_that_its_vm_is_on() -> None:
    """One network spans the pool: residence decides the port."""
    assert seen(readings.pool())["two/eth1"].users == ()


def test_a_vif_on_a_vlan_on_top_uses_the_port() -> None:
    """The VLAN stands on the logical PIF, so its VIFs take VFs of the port."""
    look = seen(readings.pool(readings.vlan("one", "n-vlan"), readings.running("db", "one", network="n-vlan")))["one/eth1"]
    assert [user.vm_name for user in look.users] == ["db", "web"]


def test_a_vif_on_another_network_is_no_user() -> None:
    """Ordinary VIFs of the same host take no VF."""
    assert len(seen(readings.pool(readings.running("db", "one", network="n-other")))["one/eth1"].users) == 1


def test_a_paused_vm_holds_its_vf_and_a_suspended_one_does_not() -> None:
    """The VF is released on Suspended and on Halted, not before (xapi_vm_lifecycle.ml: force_state_reset_keep_current_operations)."""
    paused = readings.running("db", "one", power_state="Paused")
    suspended = readings.running("old", "one", power_state="Suspended", resident_on="OpaqueRef:NULL")
    look = seen(readings.pool(paused, suspended))["one/eth1"]
    assert [user.vm_name for user in look.users] == ["db", "web"]
    assert look.in_flight == ()


def test_hosts_of_the_same_name_are_told_apart() -> None:
    """XenAPI does not keep name_labels apart; figures of two ports under one name would be one port's."""
    twin = {"hosts": {"two": changed(readings.host("two")["hosts"]["two"], name_label="one", uuid="1b2c3d4e-5f60")}}
    assert list(seen(readings.pool(twin))) == ["one (1b2c3d4e)/eth1", "one (u-one)/eth1"]


def in_flight(*parts: dict[str, dict[str, Any]], name: str = "one/eth1", **changes: dict[str, Any]) -> tuple[str, ...]:
    return seen(readings.pool(*parts, **changes))[name].in_flight


@pytest.mark.parametrize("operation", ["start", "clean_shutdown", "hard_reboot", "pool_migrate", "power_state_reset"])
def test_an_operation_that_moves_vfs_is_in_flight(operation: str) -> None:
    """The VM and what it is in are named."""
    assert in_flight(readings.running("db", "one", current_operations={"t": operation})) == (f"db is in {operation}",)


def test_an_operation_that_moves_no_vfs_is_not() -> None:
    """A snapshot of a running VM changes nothing about VFs."""
    assert in_flight(readings.running("db", "one", current_operations={"t": "snapshot"})) == ()


def test_a_start_on_one_host_does_not_disturb_the_port_of_another() -> None:
    """Where it is known where a VM is going, only that port waits."""
    start = readings.running(
        "db", "OpaqueRef:NULL", power_state="Halted", scheduled_to_be_resident_on="two", current_operations={"t": "start"}
    )
    assert in_flight(start) == ()
    assert in_flight(start, name="two/eth1") == ("db is in start", "db is scheduled to start on a host")


def test_what_is_reserved_for_a_vm_that_starts_is_told() -> None:
    """Its VIFs are attached, it is not resident yet, and its VFs are not free any more; while that number moves nobody knows."""
    start: dict[str, Any] = {
        "power_state": "Halted", "scheduled_to_be_resident_on": "two", "current_operations": {"t": "start_on"}
    }  # fmt: skip
    parts = readings.running("db", "OpaqueRef:NULL", **start)
    looks = seen(readings.pool(parts))
    assert looks["two/eth1"].starting == (User("u-db", "db", "ui-db", "0"),)
    assert (looks["two/eth1"].taken_by("u-db"), looks["one/eth1"].starting, looks["two/eth1"].users) == (1, (), ())
    moving = readings.pool(parts)
    port = next(ref for ref, sriov in moving.sriovs.items() if sriov.uuid == looks["two/eth1"].port)
    moving.before[port] = moving.after[port] + 1
    assert seen(moving)["two/eth1"].starting == ()


def test_a_start_that_has_no_host_yet_disturbs_every_port_of_its_network() -> None:
    """Before xapi has chosen, it may be any."""
    start = readings.running("db", "OpaqueRef:NULL", power_state="Halted", current_operations={"t": "start"})
    assert in_flight(start) == in_flight(start, name="two/eth1") == ("db is in start",)


def test_an_operation_of_the_vif_is_in_flight() -> None:
    """A VIF says attach or unplug for itself before its VM shows why."""
    vif = VIF("ui-db", "1", NETWORK, "v-web", current_operations={"t": "attach"})
    assert in_flight(vifs={"i-db": vif}) == ("VIF 1 of web is in attach",)


def test_an_attached_vif_of_a_halted_vm_is_in_flight() -> None:
    """It is about to be one or the other."""
    halted = readings.running("db", "OpaqueRef:NULL", power_state="Halted")
    assert in_flight(halted) == ("VIF 0 of db is attached although the VM is halted",)


def test_a_vm_that_was_destroyed_during_the_look_is_in_flight() -> None:
    """Its VIF was read, it was not: the numbers are of two moments."""
    vif = VIF("ui-db", "1", NETWORK, "v-db", currently_attached=True)
    assert in_flight(vifs={"i-db": vif}) == ("the VM of VIF ui-db was destroyed during the look",)


def test_a_vm_that_holds_fewer_devices_than_it_has_attached_vifs_spoils_the_sum() -> None:
    """A VIF moved to the SR-IOV network under a running VM says attached and holds nothing (xapi_vif.ml, xapi_xenops.ml)."""
    moved = VIF("ui-2", "1", NETWORK, "v-web", currently_attached=True)
    assert in_flight(vifs={"i-2": moved}) == ("web has 2 attached SR-IOV VIFs and holds 1 PCI devices",)


def test_a_device_that_is_gone_does_not_count_as_held() -> None:
    """VM.attached_PCIs may name devices that are no more."""
    assert in_flight(readings.running("db", "one", attached_PCIs=["gone"])) == ("db has 1 attached SR-IOV VIFs and holds 0 PCI devices",)


def test_capacity_that_moved_is_in_flight() -> None:
    """Looked at before and after everything else."""
    assert in_flight(after={"s-one-eth1": 6}) == ("its free VFs went from 7 to 6 during the look",)


def test_a_port_that_is_not_up_is_in_flight() -> None:
    """Half enabled, waiting for a reboot, or unplugged."""
    sriov = Sriov("us", "p-one-eth1", "l-one-eth1", requires_reboot=True)
    unplugged = changed(readings.pool().pifs["l-one-eth1"], currently_attached=False)
    assert in_flight(sriovs={"s-one-eth1": sriov}, pifs={"l-one-eth1": unplugged}) == (
        "SR-IOV is being enabled on it, or failed to be (configuration_mode unknown)",
        "its host must be rebooted before it has VFs",
        "its logical PIF is not attached",
    )


def test_a_host_that_is_not_live_is_in_flight() -> None:
    """Its port's numbers are of the past."""
    assert in_flight(metrics={"m-one": HostMetrics(live=False)}) == ("its host is not live",)


def test_a_host_that_just_booted_is_in_flight() -> None:
    """Capacity 0 right after a boot is neither a leak nor full."""
    config = {"boot_time": str(NOW - 20), "agent_start_time": str(NOW - 5)}
    assert in_flight(readings.host("one", other_config=config)) == ("one booted less than 120 s ago",)


def test_a_host_that_is_not_enabled_yet_is_in_flight() -> None:
    """Its toolstack has just come up and has not enabled it."""
    config = {"boot_time": LONG_AGO, "agent_start_time": f"{NOW - 5:.0f}."}
    expected = ("one is not enabled and its toolstack started less than 120 s ago",)
    assert in_flight(readings.host("one", enabled=False, other_config=config)) == expected


def test_a_host_that_an_administrator_disabled_is_looked_at() -> None:
    """Disabled is not in motion: its VMs keep their VFs, and leaks on it are leaks."""
    assert in_flight(readings.host("one", enabled=False)) == ()


def test_a_host_that_does_not_say_when_it_booted_is_looked_at() -> None:
    """Old records lack the times: that is no reason never to look."""
    assert in_flight(readings.host("one", other_config={"boot_time": "?"})) == ()


def test_two_ports_of_the_same_device_share_the_vf_records() -> None:
    """XenAPI does not say which VF is of which port: the same device has the same number."""
    two = (readings.port("one", "eth2", network="n-2"), {"pcis": readings.vfs("one", 8, made=2)})
    found = seen(readings.pool(*two))
    assert (found["one/eth1"].records, found["one/eth2"].records) == (8, 8)


def test_vf_records_that_do_not_divide_tell_nothing() -> None:
    """Fifteen VFs on two ports are not the same number each."""
    two = (readings.port("one", "eth2", network="n-2"), {"pcis": readings.vfs("one", 7, made=2)})
    assert {look.records for look in seen(readings.pool(*two)).values() if look.name.startswith("one/")} == {None}


def test_ports_of_different_devices_of_a_vendor_tell_nothing() -> None:
    """Their VFs cannot be told apart."""
    other = readings.port("one", "eth2", network="n-2", card=readings.nic("one", "82599ES", ref="c-82599"))
    found = seen(readings.pool(other, pcis=readings.vfs("one", 8, made=2)))
    assert (found["one/eth1"].records, found["one/eth2"].records, found["two/eth1"].records) == (None, None, 8)


def test_vfs_made_anew_on_another_card_leave_what_was_learned() -> None:
    """Two cards of a vendor in one host, the first by modprobe, with a leak: enabling the second must not make that be forgotten."""

    def at(address: str, pcis: dict[str, PCI]) -> dict[str, PCI]:
        return {ref: changed(pci, pci_id=f"{address}.{number}") for number, (ref, pci) in enumerate(pcis.items())}

    first = readings.port("one", "eth1", mode="modprobe") | {"pcis": at("0000:04:00", readings.port("one", "eth1")["pcis"])}
    second = readings.port("one", "eth5", "n-other") | {"pcis": at("0000:81:00", readings.port("one", "eth5")["pcis"])}
    on_first = at("0000:04:10", readings.vfs("one", 8))

    def epoch(name: str, made: int) -> str:
        on_second = at("0000:82:00", readings.vfs("one", 8, made))
        return seen(readings.reading(readings.host("one"), first, second, {"pcis": on_first | on_second}))[name].epoch

    assert epoch("one/eth1", made=2) == epoch("one/eth1", made=3)
    assert epoch("one/eth5", made=2) != epoch("one/eth5", made=3)


def test_ports_of_different_vendors_are_told_apart() -> None:
    """The vendor is in the VF's record too."""
    card = readings.nic("one", "ConnectX-5", vendor="Mellanox Technologies", ref="c-mlx")
    other = readings.port("one", "eth2", network="n-2", card=card)
    found = seen(readings.pool(other, pcis=readings.vfs("one", 16, vendor="Mellanox Technologies")))
    assert (found["one/eth1"].records, found["one/eth2"].records) == (8, 16)


def test_vfs_of_accelerators_are_not_counted() -> None:
    """Other devices of the same vendor have virtual functions too."""
    assert seen(readings.pool(pcis=readings.vfs("one", 16, kind="Co-processor")))["one/eth1"].records == 8


@pytest.mark.parametrize("mode", ["modprobe", "manual", "unknown"])
def test_records_tell_nothing_beside_a_port_that_is_not_in_mode_sysfs(mode: str) -> None:
    """There VFs may exist on ports that are not enabled."""
    found = seen(readings.pool(readings.port("one", "eth2", network="n-2", mode=mode)))
    assert (found["one/eth1"].records, found["one/eth2"].records, found["two/eth1"].records) == (None, None, 8)


def test_a_port_that_accounts_for_more_than_its_share_shows_that_the_records_tell_nothing() -> None:
    """Nine VFs free or in use cannot be among eight."""
    assert seen(readings.pool(before={"s-one-eth1": 8}, after={"s-one-eth1": 8}))["one/eth1"].records is None


def test_a_new_making_of_the_vfs_is_a_new_epoch() -> None:
    """VFs are new records after every plug, and a boot makes them anew; what a VM does to one is none."""
    before = seen(readings.pool())["one/eth1"].epoch
    without = readings.pool()
    plugged = changed(
        without, pcis={ref: pci for ref, pci in without.pcis.items() if not ref.startswith("vf-one")} | readings.vfs("one", 8, 2)
    )
    booted = readings.host("one", other_config={"boot_time": str(NOW - 500)})
    assert before != seen(plugged)["one/eth1"].epoch
    assert before != seen(readings.pool(booted))["one/eth1"].epoch
    assert before == seen(readings.pool(readings.running("db", "one")))["one/eth1"].epoch
    assert before == seen(readings.pool(readings.host("two", other_config={"boot_time": "5"})))["one/eth1"].epoch


def test_a_port_that_went_during_the_look_is_left_out() -> None:
    """Its capacity could not be read the second time."""
    reading = readings.pool()
    gone = changed(reading, after={"s-two-eth1": 8})
    assert list(seen(gone)) == ["two/eth1"]


def test_a_device_that_is_no_virtual_function_by_name_is_none() -> None:
    """The name is all that XenAPI shows of it."""
    assert not PCI("u", "one", device_name="Ethernet Controller X710").is_vf
    assert PCI("u", "one", device_name="82599 Ethernet Controller Virtual Function").is_vf
