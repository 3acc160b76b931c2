"""Many ports and hosts at work at once, and kill -9 again and again: at the end the judge finds nothing."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.journey import kills, scenes
from tests.journey.lab import Lab
from tests.journey.scenes import Hands
from workflows import bring_back, disable, enable, reclaim
from workflows.objects import NIC

HOSTS = 8
PORTS = 3  # of each host, besides the one that has SR-IOV from the beginning
POOL = ("--hosts", str(HOSTS), "--ports", str(PORTS + 1), "--vfs", "2", "--vms", "32", "--speed", "0.02")
GUESTS = ("--hosts", str(HOSTS), "--vfs", "8", "--vms", "64", "--speed", "0.02")
KILLS = 3
FEW = 12  # so many things are recorded between two kills, at most
FEWEST = 4  # of a few runs that have a few steps each
DEVICES = [f"eth{number}" for number in range(2, 2 + PORTS)]
WANTED = """
[sriov.{device}]
network = "on {device}"
ports = {{ device = "{device}" }}
vlan = 120
"""


def ports(lab: Lab) -> list[dict[str, Any]]:
    """The ports that had no SR-IOV from the beginning, as they really are."""
    return [port for port in lab.truth()["ports"] if port["device"] in DEVICES]


def with_a_network_of_its_own(at: Hands, nic: NIC) -> str:
    """Enable SR-IOV on the port, on a network that is there for it alone; the network's name."""
    name = f"{nic.host_name} {nic.device}"
    network = at.port.create_network(name, {})
    at.client.call("network_sriov.create", at.ref("PIF", nic.uuid), at.ref("network", network))
    return name


@pytest.mark.timeout(300)
def test_killed_while_lost_vfs_of_24_ports_are_got_back(lab: Callable[..., Lab]) -> None:
    """One VF of each is lost, a third of them by a halted VM, which is reset; the others' VFs are made anew. No VM loses a VF for it."""
    here = lab(*POOL, every="1s")
    with scenes.hands(here) as at:
        nics = [nic for nic in at.port.nics() if nic.device in DEVICES]
        names = scenes.each(nics, lambda nic: with_a_network_of_its_own(at, nic))
        holders = dict(zip(names[::PORTS], at.vms("Halted"), strict=False))
        networks = {network.name: network.uuid for network in at.port.networks()}
        for name, vm in holders.items():
            at.port.move_vif(vm.vifs[0].uuid, networks[name])
    before = kills.look(here)
    for nic, name in zip(nics, names, strict=True):
        here.control("leak", host=nic.host_name, network=name, count=1, vm=holders[name].name if name in holders else None)
    assert [port["leaked"] for port in ports(here)] == [1] * HOSTS * PORTS
    assert kills.kill_through(here, KILLS, seed=21, most=FEW, at_least=HOSTS * PORTS) == KILLS
    assert kills.ended_otherwise(here) == []
    assert {run.workflow for run in here.runs()} == {reclaim.NAME}
    assert [(port["leaked"], port["free"]) for port in ports(here)] == [(0, 2)] * HOSTS * PORTS
    said = here.said()
    assert sum(line.startswith("reset VM") for line in said) >= HOSTS
    assert sum("was plugged anew" in line for line in said) >= HOSTS * (PORTS - 1)
    assert kills.wrong(here, before) == []


@pytest.mark.timeout(300)
def test_killed_while_24_ports_are_enabled_and_disabled(lab: Callable[..., Lab]) -> None:
    """Three tables on eight hosts, with a VLAN each, whose driver needs no reboot: all enabled, and then as if nothing had been."""
    here = lab(*POOL)
    here.config.write_text(here.config.read_text() + "".join(WANTED.format(device=device) for device in DEVICES))
    before = kills.look(here)
    kills.submit(here, (enable.request("lab", device) for device in DEVICES))
    assert kills.kill_through(here, KILLS, seed=22, most=FEWEST) == KILLS
    assert kills.ended_otherwise(here) == []
    assert [(port["network"], port["free"]) for port in ports(here)] == [(f"on {port['device']}", 2) for port in ports(here)]
    assert len(ports(here)) == HOSTS * PORTS
    kills.submit(here, (disable.request("lab", device) for device in DEVICES))
    assert kills.kill_through(here, KILLS, seed=23, most=FEWEST) == KILLS
    assert kills.ended_otherwise(here) == []
    assert [(port["network"], port["total"]) for port in ports(here)] == [(None, 0)] * HOSTS * PORTS
    assert kills.wrong(here, before) == []


@pytest.mark.timeout(300)
def test_killed_while_eight_hosts_and_their_32_vms_are_brought_back(lab: Callable[..., Lab]) -> None:
    """Their runs are lost, all at once: each host is in service again, and its VMs run with their VFs."""
    here, lost = lab(*GUESTS), uuid4()
    before = kills.look(here)
    with scenes.hands(here) as at:
        running, hosts = at.vms("Running"), at.port.hosts()
        scenes.each(hosts, lambda host: scenes.bar(at, host, [vm for vm in running if vm.resident_on == host.uuid], lost))
        kills.submit(here, bring_back.requests("lab", at.port.hosts(), at.port.marked(), ()))
    assert (len(running), len(here.runs())) == (32, HOSTS)
    assert kills.kill_through(here, KILLS, seed=24, most=FEW) == KILLS
    assert kills.ended_otherwise(here) == []
    assert kills.wrong(here, before) == []
