"""What stands in the way at a pool, and what to do about it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi import doctor, roles, tls
from orchestrator.xapi.client import Client
from orchestrator.xapi.findings import Finding
from orchestrator.xapi.settings import PoolSettings

Pools = Callable[..., SimulatedPool]


@pytest.fixture
def examined() -> Callable[..., dict[str, list[Finding]]]:
    """Examine a simulated pool with settings that may be changed; the findings by subject."""

    def examine(pool: SimulatedPool, **changes: Any) -> dict[str, list[Finding]]:
        pins = (pool.fingerprint,) if pool.fingerprint else ()
        settings = replace(PoolSettings("pool", pool.url, pool.user, SecretStr(pool.password), fingerprints=pins), **changes)
        client = Client(settings)
        try:
            found: dict[str, list[Finding]] = {}
            for finding in doctor.examine(client, settings):
                found.setdefault(finding.subject, []).append(finding)
            return found
        finally:
            client.close()

    return examine


def levels(found: dict[str, list[Finding]]) -> set[str]:
    return {finding.level for findings in found.values() for finding in findings}


def test_a_pool_that_is_well(make_simulated_pool: Pools, examined: Any) -> None:
    """Everything is ok: trust, login, role, licence, hosts, and every port with its card, driver, network, mode and free VFs."""
    pool = make_simulated_pool(hosts=2, vms=4, tls=True)
    found = examined(pool, fingerprints=(str(pool.fingerprint), shown("127.0.0.2", pool)))
    assert levels(found) == {"ok"}
    assert list(found) == ["TLS", "login", "role", "licence", "host1", "host1/eth1", "host1/eth2", "host2", "host2/eth1", "host2/eth2"]
    assert "by SHA-256 fingerprint" in found["TLS"][0].text
    assert found["role"][0].text == "pool-admin (pool-operator is needed)"
    assert found["host1/eth1"][0].text.endswith("driver i40e; SR-IOV on network SR-IOV, mode sysfs: 7 VFs free")
    assert found["host1/eth2"][0].text.endswith("SR-IOV is not enabled")
    advice = 'write [sriov.NAME] with network = "..." and ports = { device = "eth2" } into the configuration, then vfo sriov enable NAME'
    assert found["host1/eth2"][0].advice == f"to enable it: {advice}"


def shown(address: str, pool: SimulatedPool) -> str:
    return tls.fetch_certificate(address, int(pool.url.rpartition(":")[2])).fingerprint


def test_a_member_that_is_not_pinned_is_found_before_it_is_coordinator(make_simulated_pool: Pools, examined: Any) -> None:
    """Its fingerprint is told; the others are fine."""
    pool = make_simulated_pool(hosts=2, vms=0, tls=True)
    found = examined(pool)
    assert [finding.level for finding in found["host1"]] == ["ok", "ok"]
    assert [finding.level for finding in found["host2"]] == ["warn", "ok", "ok"]
    assert shown("127.0.0.2", pool) in found["host2"][0].text


def test_without_encryption_there_is_a_warning(make_simulated_pool: Pools, examined: Any) -> None:
    """The password crosses the network."""
    assert examined(make_simulated_pool(hosts=1, vms=0))["TLS"][0].level == "warn"


def test_an_unverified_server_is_warned_of_with_its_fingerprint(make_simulated_pool: Pools, examined: Any) -> None:
    """What to write into the configuration is said."""
    pool = make_simulated_pool(hosts=1, vms=0, tls=True)
    (finding,) = examined(pool, fingerprints=(), insecure=True)["TLS"]
    assert finding.level == "warn"
    assert str(pool.fingerprint).replace(":", "").upper() in finding.advice.replace(":", "")


def test_a_certificate_that_is_not_pinned_ends_the_examination(make_simulated_pool: Pools, examined: Any) -> None:
    """Nothing was said to that server; the fingerprint that it shows is named."""
    found = examined(make_simulated_pool(hosts=1, vms=0, tls=True), fingerprints=("00" * 32,))
    assert found["TLS"][-1].level == "fail"
    assert "login" not in found


def test_a_certificate_of_an_unknown_authority_ends_the_examination(make_simulated_pool: Pools, examined: Any) -> None:
    """The advice is to pin it or to name the authority."""
    found = examined(make_simulated_pool(hosts=1, vms=0, tls=True), fingerprints=())
    assert found["TLS"][-1].level == "fail"
    assert "ca_file" in found["TLS"][-1].advice


def test_a_wrong_password_is_a_login_that_fails(make_simulated_pool: Pools, examined: Any) -> None:
    """The password itself is not in the finding."""
    (finding,) = examined(make_simulated_pool(hosts=1, vms=0), password=SecretStr("wrong horse"))["login"]
    assert (finding.level, "wrong horse" in repr(finding)) == ("fail", False)


def test_a_pool_that_does_not_answer(make_simulated_pool: Pools, examined: Any) -> None:
    """Nobody is there."""
    pool = make_simulated_pool(hosts=1, vms=0)
    url = pool.url
    pool.server.stop()
    (finding,) = examined(pool, url=url)["reach"]
    assert finding.level == "fail"


def test_a_role_that_is_high_enough(make_simulated_pool: Pools, examined: Any) -> None:
    """A pool-operator may do all that the product does."""
    pool = make_simulated_pool(hosts=1, vms=0, users={"operator": ("secret", "pool-operator")})
    (finding,) = examined(pool, username="operator", password=SecretStr("secret"))["role"]
    assert (finding.level, finding.text) == ("ok", "pool-operator (pool-operator is needed)")


def test_a_role_that_is_too_low(make_simulated_pool: Pools, examined: Any) -> None:
    """The calls that it may not make are named, and the role that may."""
    pool = make_simulated_pool(hosts=1, vms=0, users={"watcher": ("secret", "vm-admin")})
    (finding,) = examined(pool, username="watcher", password=SecretStr("secret"))["role"]
    assert (finding.level, finding.text) == ("fail", f"vm-admin may not call {', '.join(roles.denied('vm-admin'))}")
    assert "pool-operator" in finding.advice


def test_a_licence_without_sriov(make_simulated_pool: Pools, examined: Any) -> None:
    """Of the pool, or of one host."""
    pool = make_simulated_pool(hosts=2, vms=0)
    (ref,) = pool.database.refs("pool")
    pool.database.set("pool", ref, restrictions={"restrict_network_sriov": "true"})
    pool.database.set("host", _host(pool, "host2"), license_params={"restrict_network_sriov": "true"})
    found = examined(pool)
    assert [finding.level for finding in found["licence"]] == ["fail"]
    assert [finding.level for finding in found["host1"]] == ["ok", "ok"]
    assert [finding.level for finding in found["host2"]] == ["ok", "fail", "ok"]


def _host(pool: SimulatedPool, name: str) -> str:
    (ref,) = pool.database.by_name("host", name)
    return ref


def test_a_host_that_is_down_and_one_that_is_disabled(make_simulated_pool: Pools, examined: Any) -> None:
    """The one fails, the other may be on purpose."""
    pool = make_simulated_pool(hosts=3, vms=0)
    pool.control.host("host2", "off")
    pool.database.set("host", _host(pool, "host3"), enabled=False)
    found = examined(pool)
    assert [found[name][0].level for name in ("host1", "host2", "host3")] == ["ok", "fail", "warn"]
    assert "xe host-enable uuid=" in found["host3"][0].advice


@pytest.mark.parametrize(("said", "level"), [({"iommu": "false"}, "fail"), ({}, "warn")])
def test_an_iommu_that_is_off_or_not_told(make_simulated_pool: Pools, examined: Any, said: dict[str, str], level: str) -> None:
    """The command that tells on the host is in the advice."""
    pool = make_simulated_pool(hosts=1, vms=0)
    pool.database.set("host", _host(pool, "host1"), chipset_info=said)
    finding = examined(pool)["host1"][-1]
    assert (finding.level, "xl dmesg" in finding.advice) == (level, True)


def test_a_port_that_waits_for_a_reboot(make_simulated_pool: Pools, examined: Any, join: Callable[..., Client]) -> None:
    """Mode modprobe: enabled, and without VFs until the host has rebooted."""
    pool = make_simulated_pool(hosts=1, vms=0, driver="modprobe", sriov=False)
    _enable(join(pool), pool)
    (finding,) = examined(pool)["host1/eth1"]
    assert finding.level == "warn"
    assert "must be rebooted" in finding.text


def test_a_port_that_was_half_made(make_simulated_pool: Pools, examined: Any, join: Callable[..., Client]) -> None:
    """Enabling failed and left its records: the command that mends it is named, with the table that it needs, and nothing to do by hand."""
    pool = make_simulated_pool(hosts=1, vms=0)
    (ref,) = pool.database.refs("network_sriov")
    pool.database.set("network_sriov", ref, configuration_mode="unknown")
    (finding,) = examined(pool)["host1/eth1"]
    assert finding.level == "fail"
    table = '[sriov.NAME] with network = "SR-IOV" and ports = { device = "eth1" }'
    assert finding.advice == f"to have it repaired, or made anew: vfo sriov enable NAME, with {table} in the configuration"


def _enable(client: Client, pool: SimulatedPool) -> None:
    port = next(ref for ref, pif in client.call("PIF.get_all_records").items() if pif["device"] == "eth1" and pif["physical"])
    client.call("network_sriov.create", port, pool.add_network("fast"))


def test_an_unplugged_port(make_simulated_pool: Pools, examined: Any, join: Callable[..., Client]) -> None:
    """It has no VFs until it is plugged."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool)
    (logical,) = [record["logical_PIF"] for record in client.call("network_sriov.get_all_records").values()]
    client.call("PIF.unplug", logical)
    (finding,) = examined(pool)["host1/eth1"]
    assert finding.level == "fail"
    assert finding.advice.startswith("to have it plugged: vfo sriov enable NAME, with [sriov.NAME]")
    assert finding.advice.endswith(f"xe pif-plug uuid={client.call('PIF.get_uuid', logical)}")


def test_references_to_devices_that_are_gone(make_simulated_pool: Pools, examined: Any) -> None:
    """Said of the VM, with what ends it: nothing is lost by them."""
    pool = make_simulated_pool(hosts=1, vms=0)
    vm = pool.add_vm("web", running=False)
    pool.database.set("VM", vm, attached_PCIs=["OpaqueRef:gone"])
    (finding,) = examined(pool)["VM web"]
    assert (finding.level, "1 references to devices" in finding.text) == ("warn", True)
    assert "xe vm-reset-powerstate" in finding.advice


def test_a_driver_that_xenapi_does_not_know(make_simulated_pool: Pools, examined: Any) -> None:
    """The command that tells is said."""
    pool = make_simulated_pool(hosts=1, vms=0)
    for ref, _row in list(pool.database.rows("PCI")):
        pool.database.set("PCI", ref, driver_name="")
    assert "on the host: ethtool -i eth1" in examined(pool)["host1/eth1"][0].text


def test_a_host_that_joined_later_has_no_port(make_simulated_pool: Pools, examined: Any) -> None:
    """VMs with a VF on the network cannot start there."""
    pool = make_simulated_pool(hosts=2, vms=0)
    pool.add_host("newcomer")
    (finding,) = examined(pool)["network SR-IOV"]
    assert (finding.level, "newcomer" in finding.text) == ("warn", True)


def test_a_host_without_a_capable_port(make_simulated_pool: Pools, examined: Any) -> None:
    """As far as XenAPI tells; the BIOS may hide it."""
    pool = make_simulated_pool(hosts=1, vms=0, sriov=False)
    for ref, _row in list(pool.database.rows("PIF")):
        pool.database.set("PIF", ref, capabilities=[])
    finding = examined(pool)["host1"][-1]
    assert (finding.level, "BIOS" in finding.advice) == ("warn", True)
