"""Bonds, hosts that leave, a coordinator that is lost, a driver that gets well: what changes a pool's shape."""

from typing import Any

import pytest

from tests.simulator.conftest import Make, Setting, client_of, wait_until


def port(pool: Setting, host: int, device: str) -> str:
    """The physical PIF."""
    pifs: dict[str, Any] = pool.client("PIF.get_all_records")
    (found,) = [ref for ref, row in pifs.items() if row["physical"] and (row["host"], row["device"]) == (pool.host(host), device)]
    return found


def test_a_bonds_member_may_carry_sriov_and_the_bond_may_not(setting: Make) -> None:
    """PIF_IS_NOT_PHYSICAL for the bond; the member keeps its VFs."""
    pool = setting(hosts=1)
    bond = pool.client(
        "Bond.create", pool.pool.add_network("bonded"), [port(pool, 1, "eth1"), port(pool, 1, "eth2")], "", "active-backup", {}
    )
    master = pool.client("Bond.get_master", bond)
    assert pool.client("PIF.get_device", master) == "bond0"
    assert pool.client.refusal("network_sriov.create", master, pool.pool.add_network("more")) == ["PIF_IS_NOT_PHYSICAL", master]
    assert pool.free(1) == 4
    pool.client("network_sriov.create", port(pool, 1, "eth2"), pool.pool.add_network("other"))
    pool.client("Bond.destroy", bond)
    assert pool.client("PIF.get_bond_slave_of", port(pool, 1, "eth1")) == "OpaqueRef:NULL"


@pytest.mark.parametrize("members", [["eth1"], ["eth1", "eth1 of host2"]])
def test_a_bond_wants_two_ports_of_one_host(members: list[str], setting: Make) -> None:
    """PIF_BOND_NEEDS_MORE_MEMBERS, PIF_CANNOT_BOND_CROSS_HOST."""
    pool = setting(hosts=2)
    refs = [port(pool, 2 if "host2" in member else 1, "eth1") for member in members]
    code = "PIF_CANNOT_BOND_CROSS_HOST" if len(refs) > 1 else "PIF_BOND_NEEDS_MORE_MEMBERS"
    assert pool.client.refusal("Bond.create", pool.pool.add_network("bonded"), refs, "", "lacp", {}) == [code]


def test_a_host_with_guests_cannot_leave(setting: Make) -> None:
    """Nor the coordinator; an empty member can, with its ports and VFs."""
    pool = setting(hosts=2)
    vm = pool.pool.add_vm("guest", host="host2")
    gone = pool.host(2)
    assert pool.client.refusal("pool.eject", gone) == ["HOST_HAS_RESIDENT_VMS", gone]
    assert pool.client.refusal("pool.eject", pool.host(1)) == ["HOST_CANNOT_DESTROY_SELF", pool.host(1)]
    pool.client("VM.hard_shutdown", vm)
    pool.client("pool.eject", gone)
    assert pool.client("host.get_all") == [pool.host(1)]
    for cls in ("PIF", "PCI", "PBD"):
        assert {row["host"] for row in pool.client(f"{cls}.get_all_records").values()} == {pool.host(1)}
    assert len(pool.client("network_sriov.get_all")) == 1


def test_only_a_dead_host_can_be_destroyed(setting: Make) -> None:
    """HOST_IS_LIVE."""
    pool = setting(hosts=2)
    gone = pool.host(2)
    assert pool.client.refusal("host.destroy", gone) == ["HOST_IS_LIVE", gone]
    pool.pool.control.host("host2", "off")
    pool.client("host.destroy", gone)
    assert pool.client("host.get_all") == [pool.host(1)]


def test_high_availability_replaces_a_coordinator_that_is_lost(setting: Make) -> None:
    """Another host answers as coordinator."""
    pool = setting(hosts=2)
    pool.client("pool.enable_ha", [], {})
    heir = pool.host(2)
    pool.pool.control.host("host1", "off")
    wait_until(lambda: pool.pool.server.coordinator == heir)
    assert client_of(pool.pool)("host.get_all") != []


def test_a_driver_that_gets_well_lets_the_half_made_port_come_up(setting: Make) -> None:
    """PIF.plug of the logical PIF that was left is the cure for a create that failed."""
    pool = setting(hosts=1, sriov=False, driver="enable-fails")
    network = pool.pool.add_network("fast")
    left = pool.client.refusal("network_sriov.create", port(pool, 1, "eth1"), network)[1]
    pool.pool.control.driver("host1", "sysfs")
    pool.client("PIF.plug", left)
    (record,) = pool.client("network_sriov.get_all_records").values()
    assert (record["logical_PIF"], record["configuration_mode"]) == (left, "sysfs")
    assert pool.client("PIF.get_currently_attached", left) is True


def test_a_host_may_come_back_without_its_vfs(setting: Make) -> None:
    """When its driver refuses after the boot: enabled, live, and no VF."""
    pool = setting(hosts=2)
    pool.pool.control.driver("host2", "enable-fails")
    pool.pool.control.host("host2", "off")
    pool.pool.control.host("host2", "on")
    assert pool.client("host.get_enabled", pool.host(2)) is True
    assert (pool.free(2), pool.client("PIF.get_currently_attached", pool.logical(2))) == (0, False)


def test_a_vm_with_a_vf_cannot_be_sent_away(setting: Make) -> None:
    """VM_HAS_PCI_ATTACHED by VM.migrate_send as by VM.pool_migrate."""
    pool = setting(hosts=2)
    vm = pool.pool.add_vm("fixed")
    assert pool.client.refusal("VM.migrate_send", vm, {}, True, {}, {}, {}, {}, {}) == ["VM_HAS_PCI_ATTACHED", vm]
    assert pool.client.refusal("VM.pool_migrate", vm, pool.host(1), {}) == ["VM_HAS_PCI_ATTACHED", vm]
