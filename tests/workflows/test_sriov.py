"""What is wanted held against what there is: refusals and warnings, from values alone."""

from dataclasses import replace
from typing import Any, cast

import pytest

from workflows import hurts, sriov
from workflows.objects import NIC, Host, Network, PoolFacts
from workflows.ports import Pool
from workflows.sriov import Sight, State, Target
from workflows.wanted import PortChoice, SriovPolicy

FACTS = PoolFacts("pool", "lab", "h1", ha_enabled=False, restricted=False, default_SR=None)
WANTED = SriovPolicy("fast", "fast", PortChoice(device="eth1"))


def host(number: int, **more: Any) -> Host:
    made = Host(f"h{number}", f"host{number}", "", True, True, number == 1, 1.0, 1.0, (), {}, (), True)
    return replace(made, **more)


def nic(number: int, device: str = "eth1", **more: Any) -> NIC:
    card = ("Intel", "X710", "i40e")
    made = NIC(
        f"n{number}-{device}", f"h{number}", f"host{number}", device, *card, True, True, False, 0, (), None, "", False, None, None, False
    )
    return replace(made, **more)


def network(name: str = "fast", **more: Any) -> Network:
    return replace(Network(f"net-{name}", name, True, False, (), {}, 0, 0), **more)


def sight(
    *nics: NIC, policy: SriovPolicy = WANTED, facts: PoolFacts = FACTS, hosts: tuple[Host, ...] = (), nets: tuple[Network, ...] = ()
) -> Sight:
    there = {one.uuid: one for one in hosts or (host(1), host(2))}
    first = next((one for one in nets if one.name == policy.network), None)
    targets = [Target(one, there[one.host], sriov.state_of(one, first)) for one in nics if one.capable and policy.wants(one)]
    return Sight(policy, facts, tuple(there.values()), nics, nets, tuple(targets))


UP: dict[str, Any] = {"sriov": "s", "mode": "sysfs", "network": "net-fast", "logical_PIF": "l", "attached": True}


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, State.ABSENT),
        (UP, State.UP),
        ({**UP, "mode": "unknown", "attached": False}, State.HALF_MADE),
        ({**UP, "mode": "unknown"}, State.HALF_MADE),
        ({**UP, "attached": False}, State.DETACHED),
        ({**UP, "mode": "modprobe", "attached": False, "requires_reboot": True}, State.REBOOT),
        ({**UP, "network": "net-other"}, State.ELSEWHERE),
    ],
)
def test_a_port_stands_in_one_of_six_ways(changes: dict[str, Any], state: State) -> None:
    """By what its network_sriov says."""
    assert sriov.state_of(nic(1, **changes), network()) is state


def said(seen: Sight) -> str:
    return "; ".join(sriov.refusals(seen))


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (sight(nic(1), facts=replace(FACTS, restricted=True)), "licence"),
        (sight(nic(1, "eth0")), "no port fits device 'eth1'"),
        (sight(nic(1, capable=False)), "none of the ports that fit can do SR-IOV"),
        (sight(nic(1), nic(1, "eth2"), policy=replace(WANTED, ports=PortChoice(vendor="intel"))), "2 ports of host1 fit (eth1, eth2)"),
        (sight(nic(1), nic(2, device_name="X520")), "host1/eth1 is X710; host2/eth1 is X520"),
        (sight(nic(1), nets=(network(), network(uuid="again"))), "2 networks are named 'fast'"),
        (sight(nic(1), nets=(network(is_sriov=False, pifs=2),)), "is an ordinary one: 2 PIFs"),
        (sight(nic(1), nets=(network(is_parking=True),)), "is where VIFs are parked"),
        (sight(nic(1), nic(1, "eth2", **UP), nets=(network(),)), "host1 is on network 'fast' already, with eth2"),
        (sight(nic(1, **{**UP, "network": "net-other"}), nets=(network(), network("other"))), "has SR-IOV already, on network 'other'"),
        (sight(nic(1, managed=False)), "host1/eth1 is not managed by xapi"),
        (sight(nic(1), hosts=(host(1, iommu=False),)), "the IOMMU of host1 is off"),
        (sight(nic(1), policy=replace(WANTED, hosts=("host1", "host9"))), "there is no host 'host9'"),
        (
            sight(nic(1), nic(2), policy=replace(WANTED, hosts=("twin",)), hosts=(host(1, name="twin"), host(2, name="twin"))),
            "2 hosts are named 'twin'",
        ),
    ],
)
def test_what_forbids_it_is_refused(seen: Sight, told: str) -> None:
    """Each reason in a sentence, with the thing's name."""
    assert told in said(seen)


def test_what_can_be_is_not_refused() -> None:
    """Two hosts with a port each of one kind, and no network yet."""
    assert said(sight(nic(1), nic(2))) == ""


class Still:
    """A pool in which nothing runs."""

    name = "lab"


def warned(seen: Sight) -> str:
    from workflows.wanted import RebootPolicy

    return "; ".join(hurts.warnings(cast("Pool", Still()), seen, RebootPolicy()))


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (sight(nic(1, bond_slave=True)), "host1/eth1 is in a bond"),
        (sight(nic(1, vlans=2)), "2 VLANs stand on host1/eth1"),
        (sight(nic(1, management=True)), "carries the host's management"),
        (sight(nic(1), nic(1, "eth2")), "a file of driver i40e (on the host: /etc/modprobe.d), which changes eth2 too"),
        (sight(nic(1), nic(2, "eth3", mode="manual", sriov="s9")), "its VFs are set by hand"),
        (sight(nic(1), nic(2, "eth3", mode="manual", sriov="s9")), "write 'options i40e max_vfs=N' into /etc/modprobe.d/i40e.conf on the"),
        (sight(nic(1), nic(2, "eth3", mode="modprobe", sriov="s9")), "to write in /etc/modprobe.d/i40e.conf: '# VFs-maxvfs-by-user: N'"),
        (sight(nic(1)), "where driver i40e takes its number of VFs from a file, it is for the hosts' administrator to write"),
        (sight(nic(1, driver="")), "may have to be rebooted: if its number of VFs comes from the file of its driver in /etc/modprobe.d"),
        (sight(nic(1)), "host2 has no such port"),
        (sight(nic(1), hosts=(host(1, iommu=None),)), "whether the IOMMU of host1 is on XenAPI does not tell"),
        (sight(nic(1), facts=replace(FACTS, ha_enabled=True)), "HA is on"),
        (sight(nic(1), hosts=(host(1),)), "the pool has one host"),
        (sight(nic(1), hosts=(host(1), host(2, live=False))), "the coordinator reboots last"),
        (sight(nic(1)), "hosts reboot one at a time, once the run is approved"),
        (sight(nic(1, **{**UP, "mode": "unknown", "attached": False}), nets=(network(),)), "half made by an attempt that failed"),
    ],
)  # fmt: skip
def test_what_will_hurt_is_said_before(seen: Sight, told: str) -> None:
    """Everything that XenAPI can tell, and what it cannot with the command to type (stories 35, 41)."""
    assert told in warned(seen)


def test_a_driver_that_is_known_to_need_no_reboot_is_not_warned_of() -> None:
    """Another port of it, of mode sysfs, tells; nor is there a file to write."""
    seen = sight(nic(1), nic(2, "eth3", mode="sysfs", sriov="s9"))
    assert not hurts.may_reboot(seen)
    assert "reboot" not in warned(seen)
    assert "modprobe" not in warned(seen)


@pytest.mark.parametrize(("mode", "waits"), [("modprobe", False), ("", False), ("modprobe", True)])
def test_a_host_must_be_rebooted_only_where_xapi_says_so(mode: str, waits: bool) -> None:
    """A file that is right already needs no reboot (facts, 3: requires_reboot is false then), and nobody knows before it is enabled."""
    wanted = nic(1, **{**UP, "mode": "modprobe", "attached": False, "requires_reboot": True}) if waits else nic(1)
    seen = sight(wanted, nic(2, "eth3", mode=mode, sriov="s9" if mode else None), nets=(network(),))
    may = "host1 may have to be rebooted: if its number of VFs comes from /etc/modprobe.d/i40e.conf, and that does not give them already"
    assert ("host1 must be rebooted" in warned(seen), may in warned(seen)) == (waits, not waits)
