"""Acting on networks, PIFs and SR-IOV through the port, over the wire."""

import pytest

from plugins.errors import RetryLater
from tests.xapi.acting import Bench, Until, Workbench
from workflows.objects import NIC
from workflows.ports import Gone, Refused, Unknown
from workflows.tasks import Failed, Succeeded


def logical(nic: NIC) -> str:
    """The uuid of its logical PIF, which is there."""
    assert nic.logical_PIF is not None
    return nic.logical_PIF


def sriov(nic: NIC) -> str:
    """The uuid of its network_sriov, which is there."""
    assert nic.sriov is not None
    return nic.sriov


def test_a_network_is_made_and_goes_when_nothing_is_on_it(bench: Bench) -> None:
    """With its name and what it is for."""
    lab = bench(hosts=1, vms=0)
    uuid = lab.port.create_network("vfo parking", {"vfo:parking": "true"})
    made = lab.network("vfo parking")
    assert (made.uuid, dict(made.other_config)) == (uuid, {"vfo:parking": "true"})
    lab.port.destroy_network(uuid)
    assert uuid not in {network.uuid for network in lab.port.networks()}
    with pytest.raises(Gone):
        lab.port.destroy_network(uuid)


def test_a_network_with_the_vif_of_a_halted_vm_is_never_destroyed(bench: Bench) -> None:
    """Xapi would destroy the VIF with it, and say nothing."""
    lab = bench(hosts=1, vms=0)
    uuid = lab.port.create_network("vfo parking", {"vfo:parking": "true"})
    lab.pool.add_vm("idle", network="vfo parking", running=False)
    with pytest.raises(Refused, match="NETWORK_CONTAINS_VIF"):
        lab.port.destroy_network(uuid)
    assert lab.network("vfo parking").vifs == 1


def test_a_network_with_pifs_is_never_destroyed(bench: Bench) -> None:
    """Nobody is on it, but it belongs to ports."""
    lab = bench(hosts=1, vms=0)
    with pytest.raises(Refused, match="NETWORK_CONTAINS_PIF"):
        lab.port.destroy_network(lab.network("SR-IOV").uuid)


def test_sriov_is_enabled_and_disabled(bench: Bench, until: Until) -> None:
    """A port of a host that has none on that network yet."""
    lab = bench(hosts=1, vms=0)
    network = lab.port.create_network("fast", {})
    port = lab.nic("host1", "eth2")
    assert isinstance(lab.outcome(lab.port.begin_enable(port.uuid, network), until), Succeeded)
    enabled = lab.nic("host1", "eth2")
    assert (enabled.mode, enabled.network, enabled.attached) == ("sysfs", network, True)
    assert lab.network("fast").is_sriov
    assert isinstance(lab.outcome(lab.port.begin_disable(sriov(enabled)), until), Succeeded)
    assert lab.nic("host1", "eth2") == port


def test_an_enable_whose_task_was_lost_is_not_begun_again(bench: Bench, until: Until) -> None:
    """While its record says mode unknown and a create is pending nothing is begun on that port: no enable, disable, plug or unplug."""
    lab = bench(hosts=1, vms=0, speed=1.0)
    network = lab.port.create_network("fast", {})
    port = lab.nic("host1", "eth2")
    lab.pool.control.cut("network_sriov.create", "after")
    with pytest.raises(Unknown):
        lab.port.begin_enable(port.uuid, network)
    until(lambda: lab.nic("host1", "eth2").sriov is not None)
    half = lab.nic("host1", "eth2")
    assert half.mode == "unknown"
    for begin in (
        lambda: lab.port.begin_enable(port.uuid, network),
        lambda: lab.port.begin_disable(sriov(half)),
        lambda: lab.port.begin_plug(logical(half)),
        lambda: lab.port.begin_unplug(logical(half)),
    ):
        with pytest.raises(RetryLater, match="being enabled"):
            begin()
    assert [lab.begun(f"network_sriov.{verb}") for verb in ("create", "destroy")] == [1, 0]
    assert [lab.begun(f"PIF.{verb}") for verb in ("plug", "unplug")] == [0, 0]


def half_made(lab: Workbench, until: Until) -> NIC:
    """A port on which an enable failed, whose driver is well again."""
    network = lab.port.create_network("fast", {})
    lab.pool.control.driver("host1", "enable-fails")
    outcome = lab.outcome(lab.port.begin_enable(lab.nic("host1", "eth2").uuid, network), until)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "NETWORK_SRIOV_ENABLE_FAILED"
    lab.pool.control.driver("host1", "sysfs")
    return lab.nic("host1", "eth2")


def test_what_a_failed_enable_left_is_plugged(bench: Bench, until: Until) -> None:
    """Its record stays with mode unknown; no create is pending, so it may be mended."""
    lab = bench(hosts=1, vms=0)
    half = half_made(lab, until)
    assert (half.mode, half.attached) == ("unknown", False)
    assert isinstance(lab.outcome(lab.port.begin_plug(logical(half)), until), Succeeded)
    assert (lab.nic("host1", "eth2").mode, lab.nic("host1", "eth2").attached) == ("sysfs", True)


def test_what_a_failed_enable_left_is_destroyed(bench: Bench, until: Until) -> None:
    """The other way out; enabling it again without that is refused by xapi."""
    lab = bench(hosts=1, vms=0)
    half = half_made(lab, until)
    outcome = lab.outcome(lab.port.begin_enable(half.uuid, lab.network("fast").uuid), until)
    assert isinstance(outcome, Failed)
    assert (type(outcome.error), outcome.error.code) == (Refused, "NETWORK_SRIOV_ALREADY_ENABLED")
    assert isinstance(lab.outcome(lab.port.begin_disable(sriov(half)), until), Succeeded)
    assert lab.nic("host1", "eth2").sriov is None


def test_a_port_unplugged_and_plugged_has_new_vfs(bench: Bench, until: Until) -> None:
    """What was leaked on it is free again."""
    lab = bench(hosts=1, vms=0)
    lab.pool.control.leak("host1", "SR-IOV", 3)
    nic = lab.nic("host1", "eth1")
    assert isinstance(lab.outcome(lab.port.begin_unplug(logical(nic)), until), Succeeded)
    assert not lab.nic("host1", "eth1").attached
    assert isinstance(lab.outcome(lab.port.begin_plug(logical(nic)), until), Succeeded)
    assert [look.remaining for look in lab.port.look_at_ports()] == [8]


def test_a_port_is_not_plugged_while_an_unplug_that_was_lost_is_at_work(bench: Bench, until: Until) -> None:
    """The answer was cut and nobody knows the task: until it has ended nothing is begun, or the port would be left unplugged."""
    lab = bench(hosts=1, vms=0, speed=0.5)
    port = lab.nic("host1", "eth1")
    lab.pool.control.cut("Async.PIF.unplug", "after")
    with pytest.raises(Unknown):
        lab.port.begin_unplug(logical(port))
    for begin in (lab.port.begin_plug, lab.port.begin_unplug):
        with pytest.raises(RetryLater, match=r"PIF\.unplug"):
            begin(logical(port))
    until(lambda: not lab.nic("host1", "eth1").attached)
    assert isinstance(lab.outcome(lab.port.begin_plug(logical(port)), until), Succeeded)
    assert lab.nic("host1", "eth1").attached


def test_a_port_in_use_is_not_unplugged(bench: Bench, until: Until) -> None:
    """Xapi refuses it, by name."""
    lab = bench(hosts=1, vms=1)
    outcome = lab.outcome(lab.port.begin_unplug(logical(lab.nic("host1", "eth1"))), until)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "VIF_IN_USE"


def test_a_management_interface_is_never_unplugged(bench: Bench) -> None:
    """Before xapi is asked."""
    lab = bench(hosts=1, vms=0)
    with pytest.raises(Refused, match="PIF_IS_MANAGEMENT_INTERFACE"):
        lab.port.begin_unplug(lab.nic("host1", "eth0").uuid)
    assert lab.begun("PIF.unplug") == 0


def test_a_vlan_is_put_on_a_port_once_and_taken_off(bench: Bench) -> None:
    """Doing either twice is doing it once; another network under the same tag is refused by xapi."""
    lab = bench(hosts=1, vms=0)
    nic = lab.nic("host1", "eth1")
    network, other = lab.port.create_network("tagged", {}), lab.port.create_network("other", {})
    for _ in range(2):
        lab.port.create_vlan(logical(nic), 42, network)
    assert lab.nic("host1", "eth1").tagged == ((42, network),)
    assert lab.network("tagged").is_sriov
    with pytest.raises(Refused, match="PIF_VLAN_EXISTS"):
        lab.port.create_vlan(logical(nic), 42, other)
    for _ in range(2):
        lab.port.remove_vlan(logical(nic), 42)
    assert (lab.nic("host1", "eth1"), lab.network("tagged").is_sriov) == (nic, False)


def test_a_vlan_in_use_stays(bench: Bench) -> None:
    """Refused: as long as the VM runs."""
    lab = bench(hosts=1, vms=0)
    nic = lab.nic("host1", "eth1")
    lab.port.create_vlan(logical(nic), 42, lab.port.create_network("tagged", {}))
    lab.pool.add_vm("busy", network="tagged")
    with pytest.raises(Refused, match="VIF_IN_USE"):
        lab.port.remove_vlan(logical(nic), 42)
    assert lab.nic("host1", "eth1").vlans == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_vlan_whose_answer_was_lost_is_made_once(bench: Bench, when: str) -> None:
    """The next try looks first."""
    lab = bench(hosts=1, vms=0)
    nic = lab.nic("host1", "eth1")
    network = lab.port.create_network("tagged", {})
    lab.pool.control.cut("VLAN.create", when)  # type: ignore[arg-type]
    with pytest.raises(Unknown):
        lab.port.create_vlan(logical(nic), 42, network)
    lab.port.create_vlan(logical(nic), 42, network)
    assert lab.nic("host1", "eth1").tagged == ((42, network),)
