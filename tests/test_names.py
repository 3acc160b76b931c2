from collections.abc import Callable

import pytest

from orchestrator import names
from tests.workflows.conftest import stages
from tests.workflows.stage import Stage

__all__ = ["stages"]


def test_a_vm_is_found_by_name_and_by_uuid(stages: Callable[..., Stage]) -> None:
    """Both give the same VM, and the pool that it is in."""
    one, other = stages(vms=4), stages(vms=0, seed=2)
    pools = [other.pool, one.pool]
    pool, by_name = names.vm(pools, "web-01")
    assert (pool, names.vm(pools, by_name.uuid)) == (one.pool, (one.pool, by_name))


def test_a_name_that_fits_two_things_is_refused_with_both_uuids(stages: Callable[..., Stage]) -> None:
    """Nothing is guessed."""
    stage = stages(vms=1)
    stage.simulated.add_vm("web-01", running=False)
    with pytest.raises(names.WrongName) as refused:
        names.vm([stage.pool], "web-01")
    assert all(vm.uuid in str(refused.value) for vm in stage.port.vms())
    assert "write the uuid of the one that is meant" in str(refused.value)


def test_what_is_not_there_is_said_so(stages: Callable[..., Stage]) -> None:
    """With the kind and what was written."""
    stage = stages(vms=1)
    for find, kind in ((names.vm, "VM"), (names.host, "host"), (names.network, "network"), (names.nic, "NIC")):
        with pytest.raises(names.WrongName, match=f"{kind} 'nobody': there is none"):
            find([stage.pool], "nobody")
    with pytest.raises(names.WrongName, match="there is none"):
        names.vm([stage.pool], "00000000-0000-0000-0000-000000000000")


def test_templates_and_snapshots_are_found_by_uuid_only(stages: Callable[..., Stage]) -> None:
    """A name means a VM."""
    stage = stages(vms=1)
    ref = stage.simulated.add_snapshot("web-01", "web-01")
    uuid = stage.simulated.database.get("VM", ref)["uuid"]
    assert not names.vm([stage.pool], "web-01")[1].is_snapshot
    assert names.vm([stage.pool], uuid)[1].is_snapshot


def test_hosts_networks_and_nics_are_found(stages: Callable[..., Stage]) -> None:
    """A host by its address too, a NIC by its host and device; a device alone where two hosts have it is refused."""
    stage = stages(hosts=2, vms=0)
    host = names.host([stage.pool], "host1")[1]
    assert names.host([stage.pool], host.address)[1] == host
    assert names.host([stage.pool], host.uuid)[1] == host
    assert names.network([stage.pool], "SR-IOV")[1].is_sriov
    nic = names.nic([stage.pool], "host2/eth1")[1]
    assert (nic.host_name, nic.device) == ("host2", "eth1")
    assert names.nic([stage.pool], nic.uuid)[1] == nic
    with pytest.raises(names.WrongName, match=r"host1/eth1, pool lab.*host2/eth1, pool lab"):
        names.nic([stage.pool], "eth1")
