from typing import Any

import pytest

from orchestrator.listener import holdings, records, topology
from orchestrator.listener.events import NetworkSriovEvent
from orchestrator.listener.holdings import Holding
from tests.listener import pools


def held(vm: records.VM, *vifs: records.VIF, before: Holding | None = None) -> Holding | None:
    mirror = pools.mirror(vm, vifs=vifs)
    return holdings.holding(mirror, topology.draw(mirror), "ref:web", before)


def test_a_running_vm_holds_vfs_of_its_hosts_port() -> None:
    """The port is that of the VIF's network on the VM's host; what is noted of the VIF would do to make it again."""
    found = held(pools.vm(power_state="Running", resident_on="ref:two"), pools.vif(currently_attached=True))
    assert found == pools.known(ports=("port-two",))


def test_a_vm_that_is_being_started_holds_already() -> None:
    """While a start runs the VM is halted, but its VIFs are attached and xapi says where it will be: the VF is reserved."""
    found = held(pools.vm(scheduled_to_be_resident_on="ref:one"), pools.vif(currently_attached=True))
    assert found
    assert found.ports == ("port-one",)


def test_a_vlan_on_top_of_a_port_leads_to_its_vfs() -> None:
    """A VIF on the VLAN's network takes a VF of the port that the VLAN stands on."""
    vif = pools.vif(network="ref:vlan", currently_attached=True)
    found = held(pools.vm(power_state="Running", resident_on="ref:one"), vif)
    assert found
    assert (found.ports, found.vifs[0].network) == (("port-one",), "vlan")


def test_a_halted_vm_keeps_the_ports_it_last_held() -> None:
    """Where it ran last is where it may have left something."""
    found = held(pools.vm(), pools.vif(), before=pools.known(ports=("port-two",)))
    assert found
    assert found.ports == ("port-two",)


def test_a_vm_on_ordinary_networks_is_nothing_to_remember() -> None:
    """It has nothing to do with VFs."""
    assert held(pools.vm(), pools.vif(network="ref:lan")) is None


def test_a_vm_that_lost_its_vifs_is_remembered_for_its_ports() -> None:
    """It held VFs there once; if it is destroyed, that port is worth a look."""
    found = held(pools.vm(), before=pools.known(ports=("port-one",)))
    assert found == pools.known(vifs=(), ports=("port-one",))


@pytest.mark.parametrize("flag", ["is_a_template", "is_a_snapshot", "is_control_domain"])
def test_templates_snapshots_and_control_domains_hold_nothing(flag: str) -> None:
    """They have VIFs on SR-IOV networks and no VF: never orphans."""
    flags: dict[str, Any] = {flag: True}
    assert held(pools.vm(**flags), pools.vif(), before=pools.known()) is None


def test_a_network_whose_sr_iov_was_disabled_leads_to_no_vf() -> None:
    """The topology follows the pool."""
    mirror = pools.mirror()
    assert topology.draw(mirror).port("ref:sriov", "ref:two") == "port-two"
    mirror.apply([NetworkSriovEvent("del", "ref:port-one"), NetworkSriovEvent("del", "ref:port-two")])
    drawn = topology.draw(mirror)
    assert not drawn.leads_to_vfs("ref:sriov")
    assert not drawn.leads_to_vfs("ref:vlan")


PARKED = "ref:parking"


def parked(*vifs: records.VIF, before: Holding | None) -> list[tuple[str, str]]:
    """What is remembered of the VIFs of a VM in a pool with our parking network: the uuid and the network of each."""
    mirror = pools.mirror(pools.vm(), vifs=vifs)
    mirror.load("network", {**mirror.networks, PARKED: records.Network("parking", other_config={"vfo:parking": "true"})})
    found = holdings.holding(mirror, topology.draw(mirror), "ref:web", before)
    return [(vif.uuid, vif.network) for vif in found.vifs] if found else []


def test_a_parked_vif_is_remembered_where_it_was() -> None:
    """By its uuid, else by its MAC, at every look; one of which nothing was known is not, nor one that went to another network."""
    before = pools.known()
    (home,) = [vif.network for vif in before.vifs]
    assert parked(pools.vif(network=PARKED), before=before) == [("web-0", home)]
    assert parked(pools.vif("new-0", network=PARKED), before=before) == [("new-0", home)]
    assert parked(pools.vif(network=PARKED), before=None) == []
    assert parked(pools.vif("new-0", network=PARKED, MAC="02:00:00:00:00:99"), before=before) == []
    assert parked(pools.vif(network="ref:lan"), before=before) == []
