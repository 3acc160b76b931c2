"""Looks at a simulated pool, over the wire, held against its hidden truth."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from workflows.ports import PortLook

Pools = Callable[..., SimulatedPool]
Join = Callable[..., Client]
Until = Callable[[Callable[[], bool]], None]


def looked(port: PoolPort) -> dict[str, PortLook]:
    return {look.name: look for look in port.look_at_ports()}


def truth(pool: SimulatedPool) -> dict[str, dict[str, Any]]:
    return {f"{port['host']}/{port['device']}": port for port in pool.state()["ports"] if port["network"]}


@pytest.mark.parametrize("driver", ["sysfs", "modprobe", "manual"])
def test_a_look_at_a_pool_at_rest_is_the_hidden_truth(make_simulated_pool: Pools, join: Join, driver: str) -> None:
    """Free, used by whom, and how many in all where XenAPI can tell; nothing in flight."""
    pool = make_simulated_pool(hosts=3, ports=2, vfs=8, vms=12, driver=driver)
    looks, ports = looked(PoolPort(join(pool))), truth(pool)
    assert list(looks) == sorted(ports)
    assert sum(len(look.users) for look in looks.values()) == 6
    for name, look in looks.items():
        held = sorted(vf["attached"] for vf in ports[name]["vfs"] if vf["attached"])
        assert (look.remaining, [user.vm_name for user in look.users], look.mode) == (ports[name]["free"], held, driver)
        assert look.in_flight == ()
        assert look.records == (8 if driver == "sysfs" else None)


def test_a_leak_is_what_is_missing_in_the_sum(make_simulated_pool: Pools, join: Join) -> None:
    """Free and used do not add up to what is there, and nothing is in flight that would explain it."""
    pool = make_simulated_pool(hosts=1, vms=4)
    port = PoolPort(join(pool))
    before = looked(port)["host1/eth1"]
    pool.control.leak("host1", "SR-IOV", 2)
    after = looked(port)["host1/eth1"]
    assert before.records == after.records == 8
    assert (before.remaining + len(before.users), after.remaining + len(after.users)) == (8, 6)
    assert after.in_flight == ()
    assert after.epoch == before.epoch


def test_a_vm_that_is_deleted_gives_its_vf_back(make_simulated_pool: Pools, join: Join) -> None:
    """It is no user any more, the VF is free, and the VM is not there."""
    pool = make_simulated_pool(hosts=1, vms=2)
    port = PoolPort(join(pool))
    (user,) = looked(port)["host1/eth1"].users
    assert port.vm_exists(user.vm)
    pool.destroy_vm(user.vm)
    look = looked(port)["host1/eth1"]
    assert (look.remaining, look.users, look.in_flight) == (8, (), ())
    assert not port.vm_exists(user.vm)


def test_a_start_under_way_is_in_flight_until_it_has_ended(make_simulated_pool: Pools, join: Join, until: Until) -> None:
    """While it runs the free VFs have gone down and nobody says yet that he holds one."""
    pool = make_simulated_pool(hosts=1, vms=2, speed=0.2)
    client = join(pool)
    port = PoolPort(client)
    halted = next(vm for vm in client.call("VM.get_all") if _is_halted_guest(client, vm))
    task = client.start("VM.start", halted, False, False)
    name = client.call("VM.get_name_label", halted)
    until(lambda: looked(port)["host1/eth1"].remaining == 6)
    during = looked(port)["host1/eth1"]
    assert any(name in sentence for sentence in during.in_flight)
    until(lambda: client.call("task.get_status", task) == "success")
    after = looked(port)["host1/eth1"]
    assert (after.remaining, len(after.users), after.in_flight) == (6, 2, ())


def _is_halted_guest(client: Client, vm: str) -> bool:
    record = client.call("VM.get_record", vm)
    return record["power_state"] == "Halted" and not record["is_a_template"] and bool(record["VIFs"])


def test_a_port_plugged_anew_has_a_new_epoch(make_simulated_pool: Pools, join: Join) -> None:
    """Its VFs are new records, so what was learned of the old ones does not count; while it is unplugged it is in flight."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool)
    port = PoolPort(client)
    before = looked(port)["host1/eth1"]
    (logical,) = [record["logical_PIF"] for record in client.call("network_sriov.get_all_records").values()]
    client.call("PIF.unplug", logical)
    during = looked(port)["host1/eth1"]
    client.call("PIF.plug", logical)
    after = looked(port)["host1/eth1"]
    assert (during.attached, during.remaining, during.in_flight) == (False, 0, ("its logical PIF is not attached",))
    assert (after.remaining, after.in_flight) == (8, ())
    assert len({before.epoch, during.epoch, after.epoch}) == 3


def test_a_vm_on_a_vlan_on_top_of_the_port_is_a_user(make_simulated_pool: Pools, join: Join) -> None:
    """Its VIF takes a VF of the port that the VLAN stands on."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool)
    (logical,) = [record["logical_PIF"] for record in client.call("network_sriov.get_all_records").values()]
    client.call("VLAN.create", logical, 42, pool.add_network("tagged"))
    pool.add_vm("tagged-01", network="tagged")
    look = looked(PoolPort(client))["host1/eth1"]
    assert (look.remaining, [user.vm_name for user in look.users], look.in_flight) == (7, ["tagged-01"], ())


def test_a_host_without_power_and_one_that_comes_back_are_in_flight(make_simulated_pool: Pools, join: Join) -> None:
    """The numbers of a port whose host is down are of the past, and those of a fresh boot may be late."""
    pool = make_simulated_pool(hosts=2, vms=0)
    port = PoolPort(join(pool))
    before = looked(port)["host2/eth1"]
    pool.control.host("host2", "off")
    assert looked(port)["host2/eth1"].in_flight[-1] == "its host is not live"
    pool.control.host("host2", "on")
    after = looked(port)["host2/eth1"]
    assert after.in_flight[0].startswith("host2 booted ")
    assert after.epoch != before.epoch


def test_a_pool_without_sriov_has_no_ports(make_simulated_pool: Pools, join: Join) -> None:
    """Nothing enabled, nothing to look at."""
    assert PoolPort(join(make_simulated_pool(hosts=1, vms=2, sriov=False))).look_at_ports() == ()


def test_a_look_that_a_restart_fell_into_is_begun_anew(make_simulated_pool: Pools, join: Join) -> None:
    """What was read before and after it does not belong together: all that is told was read after."""
    pool = make_simulated_pool(hosts=1, vms=2)
    client = join(pool)
    port = PoolPort(client)
    port.look_at_ports()
    pool.control.leak("host1", "SR-IOV", 3)
    pool.control.delay("VIF.get_all_records", 0.5, times=1)
    found: list[dict[str, PortLook]] = []
    thread = threading.Thread(target=lambda: found.append(looked(port)))
    thread.start()
    thread.join(0.2)
    pool.control.toolstack_restart(0.05)
    thread.join(60)
    look = found[0]["host1/eth1"]
    assert (client.epoch, look.remaining + len(look.users), look.in_flight) == (2, 8, ())


def test_where_many_vms_hold_vfs_they_are_read_in_one_call(make_simulated_pool: Pools, join: Join) -> None:
    """More than a few are not asked for one by one, and what is seen is the same."""
    pool = make_simulated_pool(hosts=1, vfs=32, vms=48)
    made: list[str] = []
    meet = pool.server.faults.meet

    def met(method: str, params: list[Any]) -> Any:
        made.append(method)
        return meet(method, params)

    pool.server.faults.meet = met  # type: ignore[method-assign]
    (look,) = looked(PoolPort(join(pool))).values()
    held = sorted(vf["attached"] for vf in truth(pool)[look.name]["vfs"] if vf["attached"])
    assert (len(look.users), [user.vm_name for user in look.users]) == (24, held)
    assert (made.count("VM.get_all_records"), made.count("VM.get_record")) == (1, 0)
