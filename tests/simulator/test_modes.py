"""Enabling by driver mode beyond the transcripts: the boots in between, several ports, half-made ones."""

from typing import Any

import pytest

from tests.simulator.conftest import Make, Setting, wait_until


def create(pool: Setting, host: int, device: str, network: str) -> str:
    """Enable the device of the host on the network."""
    return str(pool.client("network_sriov.create", port(pool, host, device), network))


def port(pool: Setting, host: int, device: str) -> str:
    """The physical PIF."""
    pifs: dict[str, Any] = pool.client("PIF.get_all_records")
    (found,) = [ref for ref, row in pifs.items() if row["physical"] and (row["host"], row["device"]) == (pool.host(host), device)]
    return found


def reboot(pool: Setting, host: int) -> None:
    """Disable and reboot the host, wait until it is enabled again."""
    ref = pool.host(host)
    pool.client("host.disable", ref, True)
    pool.client("host.reboot", ref)
    wait_until(lambda: pool.client("host.get_enabled", ref))


def test_modprobe_brings_its_vfs_with_the_boot(setting: Make) -> None:
    """Before: requires_reboot, no VF. After: attached, no reboot wanted, VFs on every port of that driver."""
    pool = setting(hosts=2, driver="modprobe", sriov=False)
    network = pool.pool.add_network("fast")
    sriov = create(pool, 2, "eth1", network)
    assert pool.client("network_sriov.get_requires_reboot", sriov) is True
    reboot(pool, 2)
    wait_until(lambda: pool.client("network_sriov.get_remaining_capacity", sriov) == 4)
    record = pool.client("network_sriov.get_record", sriov)
    assert (record["configuration_mode"], record["requires_reboot"]) == ("modprobe", False)
    assert pool.client("PIF.get_currently_attached", record["logical_PIF"]) is True
    assert [port["total"] for port in pool.pool.state()["ports"] if port["host"] == "host2"] == [4, 4]


def test_a_second_port_of_a_modprobe_driver_needs_no_reboot(setting: Make) -> None:
    """The file is right already, the VFs are there."""
    pool = setting(hosts=2, driver="modprobe", sriov=False)
    create(pool, 2, "eth1", pool.pool.add_network("fast"))
    reboot(pool, 2)
    wait_until(lambda: pool.pool.state()["ports"][2]["total"] == 4)
    second = create(pool, 2, "eth2", pool.pool.add_network("faster"))
    record = pool.client("network_sriov.get_record", second)
    assert (record["configuration_mode"], record["requires_reboot"]) == ("modprobe", False)
    assert pool.client("network_sriov.get_remaining_capacity", second) == 4


def test_the_last_port_of_a_modprobe_driver_takes_the_vfs_away_with_the_next_boot(setting: Make) -> None:
    """Destroying one of two changes nothing; destroying the last empties the file, and the boot the port."""
    pool = setting(hosts=2, driver="modprobe")
    second = create(pool, 2, "eth2", pool.pool.add_network("more"))
    pool.client("network_sriov.destroy", second)
    reboot(pool, 2)
    wait_until(lambda: pool.free(2) == 4)
    pool.client("network_sriov.destroy", pool.port(2))
    assert [port["total"] for port in pool.pool.state()["ports"] if port["host"] == "host2"] == [4, 4]
    reboot(pool, 2)
    assert [port["total"] for port in pool.pool.state()["ports"] if port["host"] == "host2"] == [0, 0]


@pytest.mark.parametrize("driver", ["sysfs", "modprobe", "manual"])
def test_a_boot_makes_the_vfs_anew(driver: str, setting: Make) -> None:
    """New records, all free, whatever was leaked; the port is attached again."""
    pool = setting(hosts=2, driver=driver)
    old = {vf["uuid"] for port in pool.pool.state()["ports"] for vf in port["vfs"] if port["host"] == "host2"}
    pool.pool.control.leak("host2", "SR-IOV", 3)
    reboot(pool, 2)
    wait_until(lambda: pool.free(2) == 4)
    new = {vf["uuid"] for port in pool.pool.state()["ports"] for vf in port["vfs"] if port["host"] == "host2"}
    assert new
    assert not old & new
    assert pool.client("PIF.get_currently_attached", pool.logical(2)) is True


def test_while_enabling_the_record_is_visible_with_mode_unknown(setting: Make) -> None:
    """And a second create answers ALREADY_ENABLED meanwhile."""
    pool = setting(hosts=1, sriov=False, speed=0.2)
    network = pool.pool.add_network("slow")
    task = pool.client("Async.network_sriov.create", port(pool, 1, "eth1"), network)
    wait_until(lambda: pool.client("network_sriov.get_all") != [])
    (record,) = pool.client("network_sriov.get_all_records").values()
    assert (record["configuration_mode"], record["requires_reboot"]) == ("unknown", False)
    assert pool.client.refusal("network_sriov.create", port(pool, 1, "eth1"), network)[0] == "NETWORK_SRIOV_ALREADY_ENABLED"
    assert pool.client.finish(task)["status"] == "success"


def test_what_a_failed_create_left_can_be_destroyed(setting: Make) -> None:
    """Record and logical PIF stay, ALREADY_ENABLED is all a second create says; destroy clears them."""
    pool = setting(hosts=1, driver="enable-fails")
    assert pool.client.refusal("network_sriov.create", port(pool, 1, "eth1"), pool.network)[0] == "NETWORK_SRIOV_ENABLE_FAILED"
    assert pool.client.refusal("network_sriov.create", port(pool, 1, "eth1"), pool.network)[0] == "NETWORK_SRIOV_ALREADY_ENABLED"
    (left,) = pool.client("network_sriov.get_all")
    pool.client("network_sriov.destroy", left)
    assert pool.client("network_sriov.get_all") == []
    assert [row for row in pool.client("PIF.get_all_records").values() if not row["physical"]] == []


def test_a_restricted_pool_cannot_enable(setting: Make) -> None:
    """LICENCE_RESTRICTION comes before everything else."""
    pool = setting(hosts=1, sriov=False)
    ref, row = next(iter(pool.client("pool.get_all_records").items()))
    pool.pool.database.set("pool", ref, restrictions={**row["restrictions"], "restrict_network_sriov": "true"})
    network = pool.pool.add_network("fast")
    assert pool.client.refusal("network_sriov.create", port(pool, 1, "eth0"), network)[0] == "LICENCE_RESTRICTION"


def test_a_network_with_ordinary_pifs_is_incompatible(setting: Make) -> None:
    """NETWORK_INCOMPATIBLE_WITH_SRIOV, when the host itself is not on it yet."""
    pool = setting(hosts=1, sriov=False)
    pool.pool.add_host("host2")
    other = pool.client("PIF.get_network", port(pool, 1, "eth2"))
    mine = port(pool, 2, "eth2")
    pool.client("PIF.forget", mine)
    assert pool.client.refusal("network_sriov.create", port(pool, 2, "eth1"), other) == ["NETWORK_INCOMPATIBLE_WITH_SRIOV", other]


def test_a_host_that_joins_has_no_sriov(setting: Make) -> None:
    """It must be enabled there; then it serves the same network."""
    pool = setting(hosts=1)
    pool.pool.add_host("host2")
    vm = pool.pool.add_vm("picky", running=False)
    assert pool.client("VM.get_possible_hosts", vm) == [pool.host(1)]
    create(pool, 2, "eth1", pool.network)
    assert set(pool.client("VM.get_possible_hosts", vm)) == {pool.host(1), pool.host(2)}


def test_a_port_of_a_host_that_is_down_cannot_be_enabled(setting: Make) -> None:
    """HOST_OFFLINE [host]."""
    pool = setting(hosts=2, sriov=False)
    there = port(pool, 2, "eth1")
    pool.pool.control.host("host2", "off")
    network = pool.pool.add_network("fast")
    assert pool.client.refusal("network_sriov.create", there, network) == ["HOST_OFFLINE", pool.host(2)]


def test_unplugging_the_port_takes_the_logical_pif_down(setting: Make) -> None:
    """And its VFs with it, in sysfs mode."""
    pool = setting(hosts=1)
    pool.client("PIF.unplug", port(pool, 1, "eth1"))
    assert pool.client("PIF.get_currently_attached", pool.logical(1)) is False
    assert pool.free(1) == 0


def test_a_vif_on_a_vlan_above_takes_a_vf(setting: Make) -> None:
    """The VLAN's network is an SR-IOV network too: it cannot be plugged by hand, and counts."""
    pool = setting(hosts=1)
    tagged = pool.pool.add_network("tagged")
    pool.client("VLAN.create", pool.logical(1), 77, tagged)
    vm = pool.pool.add_vm("on the VLAN", network="tagged")
    assert pool.free(1) == 3
    vif = pool.client("VM.get_VIFs", vm)[0]
    assert pool.client.refusal("VIF.plug", vif)[0] == "OPERATION_NOT_ALLOWED"
    assert pool.client.refusal("PIF.unplug", pool.logical(1)) == ["VIF_IN_USE", tagged, vif]
