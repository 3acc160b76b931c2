"""Hosts that go down in the middle of something, and what xapi does by itself afterwards."""

import http.client

from orchestrator.simulator import host_boots

from .conftest import NULL, Client, Make, Refused, wait_until


def test_what_is_blocked_does_not_start_by_itself(setting: Make) -> None:
    """A guard in blocked_operations stops xapi's own auto_poweron too."""
    at = setting(hosts=2)
    guarded, free = at.pool.add_vm("guarded", host="host2"), at.pool.add_vm("free", host="host2")
    for vm in (guarded, free):
        at.client("VM.add_to_other_config", vm, "auto_poweron", "true")
    at.client("VM.add_to_blocked_operations", guarded, "start", "hands off")
    at.client("VM.add_to_blocked_operations", guarded, "start_on", "hands off")
    at.pool.control.host("host2", "off")
    at.pool.control.host("host2", "on")
    at.client.until("VM.get_power_state", free, gives="Running")
    assert at.client("VM.get_power_state", guarded) == "Halted"


def test_a_start_by_itself_is_an_operation_like_any(setting: Make) -> None:
    """It takes its time, shows in current_operations and promises a VF meanwhile."""
    at = setting(hosts=2, speed=0.05)
    vm = at.pool.add_vm("always there", host="host2")
    at.client("VM.add_to_other_config", vm, "auto_poweron", "true")
    at.pool.control.host("host2", "off")
    at.pool.server.spawn(host_boots.come_up, at.pool.server, at.host(2))  # the four minutes before that are tested elsewhere
    wait_until(lambda: set(at.client("VM.get_current_operations", vm).values()) == {"start_on"})
    record = at.client("VM.get_record", vm)
    assert (record["power_state"], record["scheduled_to_be_resident_on"]) == ("Halted", at.host(2))
    assert at.free(2) == 3
    at.client.until("VM.get_power_state", vm, gives="Running")


def test_high_availability_does_not_start_what_is_blocked(setting: Make) -> None:
    """The VM is halted by the loss of its host, and stays so."""
    at = setting(hosts=2)
    vm, other = (at.pool.add_vm(name, network=None, host="host2") for name in ("guarded", "other"))
    for one in (vm, other):
        at.client("VM.set_ha_restart_priority", one, "restart")
    at.client("VM.add_to_blocked_operations", vm, "start", "hands off")
    at.client("pool.enable_ha", [], {})
    at.pool.control.host("host2", "off")
    at.client.until("VM.get_resident_on", other, gives=at.host(1))
    assert at.client("VM.get_power_state", vm) == "Halted"


def test_high_availability_brings_vms_back_when_their_host_was_away_for_a_moment(setting: Make) -> None:
    """What ran there when it went down runs again, wherever."""
    at = setting(hosts=2)
    vm = at.pool.add_vm("protected", network=None, host="host2")
    at.client("VM.set_ha_restart_priority", vm, "restart")
    at.client("pool.enable_ha", [], {})
    at.pool.control.host("host2", "off")
    at.pool.control.host("host2", "on")
    at.client.until("VM.get_power_state", vm, gives="Running")


def test_high_availability_is_enabled_and_disabled_once(setting: Make) -> None:
    """HA_IS_ENABLED, HA_NOT_ENABLED; not while a protected VM is not agile."""
    at = setting(hosts=2)
    at.client("pool.enable_ha", [at.client.find("SR", "Shared SR")], {})
    assert at.client.refusal("pool.enable_ha", [], {}) == ["HA_IS_ENABLED"]
    at.client("pool.disable_ha")
    assert at.client.refusal("pool.disable_ha") == ["HA_NOT_ENABLED"]
    vm = at.pool.add_vm("protected", network=None, running=False)
    at.client("VM.set_ha_restart_priority", vm, "restart")
    at.client.vif(vm, at.network)
    assert at.client.refusal("pool.enable_ha", [], {}) == ["VM_HAS_SRIOV_VIF", vm]


def test_a_shutdown_fails_when_its_host_dies(setting: Make) -> None:
    """HOST_OFFLINE; the VM is called Running until the host is back or somebody resets it."""
    at = setting(hosts=2, speed=0.1)
    vm = at.pool.add_vm("unlucky", host="host2")
    task = at.client("Async.VM.clean_shutdown", vm)
    wait_until(lambda: at.client("VM.get_current_operations", vm) != {})
    at.pool.control.host("host2", "off")
    assert at.client.finish(task)["error_info"] == ["HOST_OFFLINE", at.host(2)]
    assert at.client("VM.get_power_state", vm) == "Running"


def test_a_migration_fails_when_either_host_dies(setting: Make) -> None:
    """And moves nothing."""
    for number in (1, 2):
        at = setting(hosts=3, speed=0.05)
        vm = at.pool.add_vm("traveller", network=None, host="host2")
        target = at.host(3)
        task = at.client("Async.VM.pool_migrate", vm, target, {})
        wait_until(lambda at=at, vm=vm: at.client("VM.get_scheduled_to_be_resident_on", vm) != NULL)  # type: ignore[misc]
        at.pool.control.host(f"host{number + 1}", "off")
        assert at.client.finish(task)["error_info"] == ["HOST_OFFLINE", at.host(number + 1)]
        record = at.client("VM.get_record", vm)
        assert (record["resident_on"], record["scheduled_to_be_resident_on"]) == (at.host(2), NULL)


def test_a_second_reboot_waits_for_the_first_and_finds_the_host_down(setting: Make) -> None:
    """HOST_OFFLINE, and the host boots once."""
    at = setting(hosts=2, speed=0.05)
    host = at.host(2)
    at.client("host.disable", host, True)
    at.client("host.reboot", host)
    assert at.client.refusal("host.reboot", host) == ["HOST_OFFLINE", host]


def test_an_evacuation_shows_on_the_host_and_on_its_task(setting: Make) -> None:
    """`evacuate` in current_operations, VMs moving one after the other, `pool_migrate` on each."""
    at = setting(hosts=2, speed=0.02)
    vms = [at.pool.add_vm(f"vm {number}", network=None, host="host2") for number in range(3)]
    task = at.client("Async.host.evacuate", at.host(2))
    wait_until(lambda: set(at.client("host.get_current_operations", at.host(2)).values()) == {"evacuate"})
    wait_until(lambda: any(at.client("VM.get_current_operations", vm) for vm in vms))
    assert at.client.finish(task)["status"] == "success"
    assert at.client("host.get_current_operations", at.host(2)) == {}
    assert {at.client("VM.get_resident_on", vm) for vm in vms} == {at.host(1)}


def test_a_migrating_vm_takes_its_time_and_both_hosts_tell(setting: Make) -> None:
    """`pool_migrate` meanwhile, nothing allowed, and mods of the VM and both hosts at the end."""
    at = setting(hosts=2, speed=0.02)
    vm = at.pool.add_vm("traveller", network=None, host="host2")
    one, two = at.host(1), at.host(2)
    token = at.client("event.from", ["vm", "host"], "", 0.0)["token"]
    task = at.client("Async.VM.pool_migrate", vm, one, {"live": "true"})
    wait_until(lambda: at.client("VM.get_current_operations", vm) == {task: "pool_migrate"})
    record = at.client("VM.get_record", vm)
    assert (record["resident_on"], record["allowed_operations"], record["power_state"]) == (two, [], "Running")
    assert at.client.finish(task)["result"] == "<value></value>"
    seen = {event["ref"] for event in at.client("event.from", ["vm", "host"], token, 1.0)["events"]}
    assert {vm, one, two} <= seen
    assert "pool_migrate" in at.client("VM.get_allowed_operations", vm)


def test_a_guest_without_tools_cannot_be_asked(setting: Make) -> None:
    """VM_LACKS_FEATURE, and clean_shutdown is not offered; a hard shutdown works."""
    at = setting(hosts=1)
    vm = at.pool.add_vm("bare")
    at.pool.control.guest("bare", tools=False)
    assert at.client.refusal("VM.clean_shutdown", vm) == ["VM_LACKS_FEATURE", vm]
    assert "clean_shutdown" not in at.client("VM.get_allowed_operations", vm)
    at.client("VM.hard_shutdown", vm)


def test_a_reboot_of_the_coordinator_under_modprobe_brings_what_it_promised(setting: Make) -> None:
    """Sessions and tasks are gone; the host is live, enabled, and its VFs are there, in this order."""
    at = setting(hosts=2, driver="modprobe", sriov=False, speed=0.002)
    network = at.client("network.create", {"name_label": "SR-IOV", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    pif = next(ref for ref, row in at.client("PIF.get_all_records").items() if row["host"] == at.host(1) and "sriov" in row["capabilities"])
    port = at.client("network_sriov.create", pif, network)
    assert at.client("network_sriov.get_requires_reboot", port) is True
    at.client("host.disable", at.host(1), True)
    host = at.host(1)
    at.client("host.reboot", host)
    wait_until(lambda: not answers(at.client))
    wait_until(at.comes_back)
    at.client.until("host.get_enabled", host, gives=True)
    assert at.client("network_sriov.get_remaining_capacity", port) == 0
    at.client.until("network_sriov.get_remaining_capacity", port, gives=4)
    assert at.client("network_sriov.get_requires_reboot", port) is False


def answers(client: Client) -> bool:
    """Whether the session is still good and somebody there."""
    try:
        client("pool.get_all")
    except (Refused, OSError, http.client.HTTPException):
        return False
    return True
