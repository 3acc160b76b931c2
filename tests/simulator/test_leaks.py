"""Leaked VFs: nothing in XenAPI shows why the capacity is down, and each cure does what it does on a real pool."""

import http.client

import pytest

from tests.simulator.conftest import Client, Make, Refused, wait_until


def test_a_leak_only_shows_in_the_capacity(setting: Make) -> None:
    """No VM has the VF, no record of a PCI device changed, no event came."""
    pool = setting(hosts=1)
    before = pool.client("PCI.get_all_records")
    token = pool.client("event.from", ["*"], "", 1.0)["token"]
    pool.pool.control.leak("host1", "SR-IOV", 2)
    assert pool.free(1) == 2
    assert pool.client("PCI.get_all_records") == before
    assert pool.client("event.from", ["*"], token, 0.2)["events"] == []
    assert [port["leaked"] for port in pool.pool.state()["ports"] if port["network"]] == [2]


@pytest.mark.parametrize("field", ["physical_function", "virtual_functions", "functions", "attached_VMs", "scheduled_to_be_attached_to"])
def test_what_xapi_keeps_to_itself_cannot_be_asked_for(field: str, setting: Make) -> None:
    """Neither as a getter nor as a field of the record."""
    pool = setting(hosts=1)
    vf = pool.client("PCI.get_all")[-1]
    assert pool.client.refusal(f"PCI.get_{field}", vf) == ["MESSAGE_METHOD_UNKNOWN", f"PCI.get_{field}"]
    assert field not in pool.client("PCI.get_record", vf)
    vif = pool.client("VIF.get_record", pool.client("VM.get_VIFs", pool.pool.add_vm("any"))[0])
    assert not [name for name in vif if name.startswith("_") or "reserved" in name]


def test_replugging_the_logical_pif_cures_a_leak_in_sysfs_mode(setting: Make) -> None:
    """The VFs are new records with new refs, and all of them are free."""
    pool = setting(hosts=1)
    old = set(pool.client("PCI.get_all"))
    pool.pool.control.leak("host1", "SR-IOV", 3)
    pool.client("PIF.unplug", pool.logical(1))
    assert pool.free(1) == 0
    pool.client("PIF.plug", pool.logical(1))
    assert pool.free(1) == 4
    assert len(set(pool.client("PCI.get_all")) - old) == 4


def test_a_port_in_use_cannot_be_replugged(setting: Make) -> None:
    """VIF_IN_USE names the network and the VIF."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("in the way")
    vif = pool.client("VM.get_VIFs", vm)[0]
    assert pool.client.refusal("PIF.unplug", pool.logical(1)) == ["VIF_IN_USE", pool.network, vif]


@pytest.mark.parametrize("driver", ["modprobe", "manual"])
def test_replugging_does_not_cure_in_the_other_modes(driver: str, setting: Make) -> None:
    """Only a reboot re-creates VFs there."""
    pool = setting(hosts=1, driver=driver)
    pool.pool.control.leak("host1", "SR-IOV", 1)
    pool.client("PIF.unplug", pool.logical(1))
    pool.client("PIF.plug", pool.logical(1))
    assert pool.free(1) == 3


def test_the_coordinators_toolstack_cures_a_leak_on_any_host(setting: Make) -> None:
    """host.restart_agent on the coordinator drops every reservation; running VMs keep their VFs; sessions are gone."""
    pool = setting(hosts=2)
    vm = pool.pool.add_vm("running on", host="host2")
    pool.pool.control.leak("host2", "SR-IOV", 2)
    restarted: list[str] = []
    pool.pool.server.on_toolstack_start.append(restarted.append)
    pool.client("host.restart_agent", pool.host(1))
    wait_until(lambda: answers(pool.client) in {"SESSION_INVALID", "cut"})
    wait_until(lambda: restarted != [])
    assert [port["leaked"] for port in pool.pool.state()["ports"]] == [0] * 4
    assert [row["power_state"] for row in pool.pool.state()["vms"].values()] == ["Running"]
    assert vm in pool.pool.state()["vms"]


def answers(client: Client) -> str:
    """`yes`, the failure's code, or `cut` when nobody answers."""
    try:
        client("pool.get_all")
    except Refused as refused:
        return refused.details[0]
    except (OSError, http.client.HTTPException):
        return "cut"
    return "yes"


def test_a_members_toolstack_cures_nothing(setting: Make) -> None:
    """Reservations are the coordinator's; its clients do not notice."""
    pool = setting(hosts=2)
    pool.pool.control.leak("host2", "SR-IOV", 2)
    restarted: list[str] = []
    pool.pool.server.on_toolstack_start.append(restarted.append)
    pool.pool.control.toolstack_restart(host="host2")
    wait_until(lambda: restarted == [pool.host(2)])
    assert pool.free(2) == 2


def test_power_state_reset_frees_what_a_halted_vm_still_holds(setting: Make) -> None:
    """The mildest cure, for a leak whose holder is known."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("holder", running=False)
    pool.pool.control.leak("host1", "SR-IOV", 1, vm="holder")
    assert pool.free(1) == 3
    pool.client("VM.power_state_reset", vm)
    assert pool.free(1) == 4


def test_destroying_the_holder_leaves_a_reservation_without_an_owner(setting: Make) -> None:
    """Nobody can release it by the VM any more."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("holder", running=False)
    pool.pool.control.leak("host1", "SR-IOV", 1, vm="holder")
    pool.client("VM.destroy", vm)
    assert pool.free(1) == 3
    assert [vf["reserved"] for port in pool.pool.state()["ports"] if port["network"] for vf in port["vfs"]].count("nobody") == 1


def test_power_state_reset_refuses_what_really_runs(setting: Make) -> None:
    """A domain that exists, and domain 0."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("alive")
    domid = pool.client("VM.get_domid", vm)
    assert pool.client.refusal("VM.power_state_reset", vm) == ["DOMAIN_EXISTS", vm, str(domid)]
    zero = pool.client("host.get_control_domain", pool.host(1))
    assert pool.client.refusal("VM.power_state_reset", zero) == ["CANNOT_RESET_CONTROL_DOMAIN", zero]


def test_deleting_a_vm_brings_its_vf_back(setting: Make) -> None:
    """Shut down and destroyed: the capacity is whole, its VIFs are gone, its disks are not."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("doomed")
    disks = pool.client("VDI.get_all")
    pool.client("VM.hard_shutdown", vm)
    pool.client("VM.destroy", vm)
    assert pool.free(1) == 4
    assert pool.client("VIF.get_all") == []
    assert pool.client("VDI.get_all") == disks


def test_a_vm_may_name_a_device_that_is_gone(setting: Make) -> None:
    """A ref in attached_PCIs that leads nowhere: it takes no capacity and refuses all that a PCI device refuses, until it is reset."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("haunted", running=False)
    pool.pool.control.dangle("haunted")
    (ghost,) = pool.client("VM.get_attached_PCIs", vm)
    assert pool.client.refusal("PCI.get_record", ghost) == ["HANDLE_INVALID", "PCI", ghost]
    assert pool.free(1) == 4
    pool.client("VM.start", vm, False, False)
    assert pool.client.refusal("VM.suspend", vm) == ["VM_HAS_PCI_ATTACHED", vm]
    assert len(pool.client("VM.get_attached_PCIs", vm)) == 2
    pool.client("VM.hard_shutdown", vm)
    pool.client("VM.power_state_reset", vm)
    assert pool.client("VM.get_attached_PCIs", vm) == []
    assert pool.free(1) == 4
