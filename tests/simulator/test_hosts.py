"""Hosts that are emptied, rebooted, lost and found again."""

import http.client
import time

from tests.simulator.conftest import NULL, Client, Make, Refused, client_of, wait_until


def test_a_reboot_answers_at_once_and_acts_later(setting: Make) -> None:
    """`shutdown` in current_operations, live for some seconds more, then not."""
    pool = setting(hosts=2, speed=0.05)  # half a second until it goes down, twelve until it is back
    host = pool.host(2)
    metrics = pool.client("host.get_metrics", host)
    pool.client("host.disable", host, True)
    assert pool.client("host.reboot", host) in {"", None}
    record = pool.client("host.get_record", host)
    assert set(record["current_operations"].values()) == {"shutdown"}
    assert sorted(record["allowed_operations"]) == ["enable", "evacuate", "shutdown", "vm_start"]
    assert pool.client("host_metrics.get_live", metrics) is True
    wait_until(lambda: pool.client("host_metrics.get_live", metrics) is False)
    assert pool.client.refusal("host.enable", host) == ["HOST_OFFLINE", host]


def test_a_host_comes_back_live_first_then_enabled_then_with_its_vfs(setting: Make) -> None:
    """Too early: HOST_STILL_BOOTING; capacity 0 right after the boot; agent_start_time is newer than the reboot."""
    pool = setting(hosts=2, speed=0.02)
    host = pool.host(2)
    began = time.time() - 1
    pool.pool.control.host("host2", "off")
    pool.pool.control.host("host2", "on")
    wait_until(lambda: pool.client("host_metrics.get_live", pool.client("host.get_metrics", host)))
    assert pool.client("host.get_enabled", host) is False
    assert pool.client.refusal("host.enable", host) == ["HOST_STILL_BOOTING"]
    assert float(pool.client("host.get_other_config", host)["agent_start_time"]) > began
    wait_until(lambda: pool.client("host.get_enabled", host))
    assert pool.free(2) == 0
    wait_until(lambda: pool.free(2) == 4)


def test_a_reboot_goes_on_under_running_vms(setting: Make) -> None:
    """They are still called Running while the host is down, and Halted when it is back; their VFs are free."""
    pool = setting(hosts=2, speed=0.02)
    vm = pool.pool.add_vm("unlucky", host="host2")
    pool.client("host.disable", pool.host(2), True)
    pool.client("host.reboot", pool.host(2))
    metrics = pool.client("host.get_metrics", pool.host(2))
    wait_until(lambda: pool.client("host_metrics.get_live", metrics) is False)
    assert pool.client("VM.get_power_state", vm) == "Running"
    assert pool.client.refusal("VM.clean_shutdown", vm) == ["HOST_OFFLINE", pool.host(2)]
    wait_until(lambda: pool.client("VM.get_power_state", vm) == "Halted")
    assert pool.client("VM.get_attached_PCIs", vm) == []
    wait_until(lambda: pool.free(2) == 4)


def test_a_vm_of_a_dead_host_can_be_reset(setting: Make) -> None:
    """power_state_reset is for exactly this."""
    pool = setting(hosts=2)
    vm = pool.pool.add_vm("orphan", host="host2")
    pool.pool.control.host("host2", "off")
    pool.client("VM.power_state_reset", vm)
    record = pool.client("VM.get_record", vm)
    assert (record["power_state"], record["resident_on"]) == ("Halted", NULL)


def test_a_host_that_was_disabled_for_good_stays_so_over_a_boot(setting: Make) -> None:
    """host.disable with auto_enable false."""
    pool = setting(hosts=2)
    pool.client("host.disable", pool.host(2), False)
    pool.pool.control.host("host2", "off")
    pool.pool.control.host("host2", "on")
    assert pool.client("host.get_enabled", pool.host(2)) is False
    pool.client("host.enable", pool.host(2))
    assert pool.client("host.get_enabled", pool.host(2)) is True


def test_vms_with_auto_poweron_start_with_their_host(setting: Make) -> None:
    """With a VF, once the port has them again."""
    pool = setting(hosts=2)
    vm = pool.pool.add_vm("always there", host="host2")
    pool.client("VM.add_to_other_config", vm, "auto_poweron", "true")
    pool.pool.control.host("host2", "off")
    pool.pool.control.host("host2", "on")
    pool.client.until("VM.get_power_state", vm, gives="Running")
    assert len(pool.client("VM.get_attached_PCIs", vm)) == 1


def test_the_coordinators_reboot_cuts_the_api(setting: Make) -> None:
    """Nobody answers while it is down; then it does, with new sessions only."""
    pool = setting(hosts=1, speed=0.001)
    client, host = pool.client, pool.host(1)
    client("host.disable", host, True)
    client("host.reboot", host)
    wait_until(lambda: answers(client) == "cut")
    wait_until(lambda: answers(client) == "SESSION_INVALID")
    wait_until(lambda: client_of(pool.pool)("host.get_enabled", host))


def answers(client: Client) -> str:
    """`yes`, the failure's code, or `cut` when nobody answers."""
    try:
        client("pool.get_all")
    except Refused as refused:
        return refused.details[0]
    except (OSError, http.client.HTTPException):
        return "cut"
    return "yes"


def test_high_availability_wants_agile_vms(setting: Make) -> None:
    """VM_HAS_SRIOV_VIF as soon as a VIF is on an SR-IOV network, halted or not."""
    pool = setting(hosts=2)
    for running in (True, False):
        vm = pool.pool.add_vm(f"running {running}", running=running)
        assert pool.client.refusal("VM.set_ha_restart_priority", vm, "restart") == ["VM_HAS_SRIOV_VIF", vm]


def test_high_availability_restarts_what_it_protects(setting: Make) -> None:
    """Elsewhere, when the host fails; what it does not protect is halted."""
    pool = setting(hosts=2)
    protected = pool.pool.add_vm("protected", network=None, host="host2")
    other = pool.pool.add_vm("other", network=None, host="host2")
    pool.client("VM.set_ha_restart_priority", protected, "restart")
    pool.client("pool.enable_ha", [], {})
    pool.pool.control.host("host2", "off")
    wait_until(lambda: pool.client("VM.get_resident_on", protected) == pool.host(1))
    wait_until(lambda: pool.client("VM.get_power_state", other) == "Halted")


def test_with_high_availability_unprotected_vms_prevent_an_evacuation(setting: Make) -> None:
    """Each of them is named."""
    pool = setting(hosts=2)
    protected = pool.pool.add_vm("protected", network=None, host="host2")
    other = pool.pool.add_vm("other", network=None, host="host2")
    assert pool.client("host.get_vms_which_prevent_evacuation", pool.host(2)) == {}
    pool.client("VM.set_ha_restart_priority", protected, "restart")
    pool.client("pool.enable_ha", [], {})
    assert set(pool.client("host.get_vms_which_prevent_evacuation", pool.host(2))) == {other}


def test_an_evacuation_is_all_or_nothing(setting: Make) -> None:
    """One VM with a VF, and the others stay too; without it, all go, and the host stays enabled."""
    pool = setting(hosts=2)
    mobile = pool.pool.add_vm("mobile", network=None, host="host2")
    fixed = pool.pool.add_vm("fixed", host="host2")
    assert pool.client.refusal("host.evacuate", pool.host(2)) == ["VM_HAS_PCI_ATTACHED", fixed]
    assert pool.client("VM.get_resident_on", mobile) == pool.host(2)
    pool.client("VM.hard_shutdown", fixed)
    pool.client("host.evacuate", pool.host(2))
    assert pool.client("VM.get_resident_on", mobile) == pool.host(1)
    assert pool.client("host.get_enabled", pool.host(2)) is True


def test_an_internal_network_ties_a_running_vm_to_its_host(setting: Make) -> None:
    """VM_REQUIRES_NETWORK elsewhere while it runs; halted, it can start anywhere."""
    pool = setting(hosts=2)
    network = pool.pool.add_network("inside")
    vm = pool.pool.add_vm("bound", network="inside", host="host2")
    assert pool.client.refusal("VM.pool_migrate", vm, pool.host(1), {}) == ["VM_REQUIRES_NETWORK", vm, network]
    pool.client("VM.hard_shutdown", vm)
    assert set(pool.client("VM.get_possible_hosts", vm)) == {pool.host(1), pool.host(2)}


def test_a_pool_with_sriov_cannot_join_another(setting: Make) -> None:
    """POOL_JOINING_HOST_HAS_NETWORK_SRIOVS."""
    pool = setting(hosts=1)
    assert pool.client.refusal("pool.join", "192.0.2.1", "root", "secret") == ["POOL_JOINING_HOST_HAS_NETWORK_SRIOVS"]


def test_a_new_coordinator_is_the_pools_master(setting: Make) -> None:
    """pool.designate_new_master: the old one sends its clients on."""
    pool = setting(hosts=2)
    pool.client("pool.designate_new_master", pool.host(2))
    wait_until(lambda: answers(pool.client) == "HOST_IS_SLAVE")
    assert client_of(pool.pool)("pool.get_all_records").popitem()[1]["master"] == pool.pool.database.by_name("host", "host2")[0]


def test_a_reboot_however_short_has_a_newer_start(setting: Make) -> None:
    """agent_start_time grows with every boot and every toolstack start, although it counts whole seconds."""
    pool = setting(hosts=2)
    seen = [float(pool.client("host.get_other_config", pool.host(2))["agent_start_time"])]
    for _ in range(2):
        pool.pool.control.host("host2", "off")
        pool.pool.control.host("host2", "on")
        seen.append(float(pool.client("host.get_other_config", pool.host(2))["agent_start_time"]))
    assert seen == sorted(set(seen))
