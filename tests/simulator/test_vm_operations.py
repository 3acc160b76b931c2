"""What VMs allow, refuse and lose (facts that the transcripts do not show)."""

import pytest

from tests.simulator.conftest import Make, wait_until


def test_a_guest_that_ignores_shutdown_goes_on(setting: Make) -> None:
    """VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT; a hard shutdown works."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("stubborn")
    pool.pool.control.guest("stubborn", ignores_shutdown=True)
    assert pool.client.refusal("VM.clean_shutdown", vm) == ["VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm]
    assert pool.client("VM.get_power_state", vm) == "Running"
    pool.client("VM.hard_shutdown", vm)
    assert pool.client("VM.get_power_state", vm) == "Halted"


def test_a_guest_that_acknowledges_and_goes_on_times_out(setting: Make) -> None:
    """VM_SHUTDOWN_TIMEOUT; VM.shutdown tries hard then."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("liar")
    pool.pool.control.guest("liar", ignores_shutdown=True, acknowledges=True)
    assert pool.client.refusal("VM.clean_shutdown", vm)[:2] == ["VM_SHUTDOWN_TIMEOUT", vm]
    pool.client("VM.shutdown", vm)
    assert pool.client("VM.get_power_state", vm) == "Halted"


def test_a_hard_shutdown_ends_a_clean_one(setting: Make) -> None:
    """It does not wait for it; the clean one is cancelled."""
    pool = setting(hosts=1, speed=0.1)
    vm = pool.pool.add_vm("stubborn")
    pool.pool.control.guest("stubborn", ignores_shutdown=True)
    task = pool.client("Async.VM.clean_shutdown", vm)
    wait_until(lambda: pool.client("VM.get_current_operations", vm) == {task: "clean_shutdown"})
    pool.client("VM.hard_shutdown", vm)
    assert pool.client.finish(task)["status"] == "cancelled"
    wait_until(lambda: pool.client("VM.get_current_operations", vm) == {})
    assert "start" in pool.client("VM.get_allowed_operations", vm)


def test_a_blocked_operation_is_blocked_for_everybody_and_shows(setting: Make) -> None:
    """It leaves allowed_operations at once, and is stale there once the block is removed."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("guarded", running=False)
    pool.client("VM.add_to_blocked_operations", vm, "start", "hands off")
    assert pool.client.refusal("VM.start", vm, False, False) == ["OPERATION_BLOCKED", vm, "hands off"]
    assert "start" not in pool.client("VM.get_allowed_operations", vm)
    pool.client("VM.remove_from_blocked_operations", vm, "start")
    assert "start" not in pool.client("VM.get_allowed_operations", vm)
    pool.client("VM.update_allowed_operations", vm)
    assert "start" in pool.client("VM.get_allowed_operations", vm)


@pytest.mark.parametrize(("method", "more"), [("VM.snapshot", ["x"]), ("VM.checkpoint", ["x"]), ("VM.suspend", [])])
def test_a_vusb_refuses(method: str, more: list[str], setting: Make) -> None:
    """VM_HAS_VUSBS [vm], also for a disk snapshot."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("with a stick", network=None)
    stick = pool.client("VUSB.create", vm, pool.client("USB_group.get_all")[0], {})
    assert pool.client.refusal(method, vm, *more) == ["VM_HAS_VUSBS", vm]
    pool.client("VUSB.destroy", stick)
    assert pool.client(method, vm, *more) is not None


def test_a_snapshot_copies_the_note_and_the_vifs(setting: Make) -> None:
    """other_config as it was, VIFs on the same network with their MACs, unattached; the VM keeps its VF."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("noted")
    pool.client("VM.add_to_other_config", vm, "note", "of the VM")
    snapshot = pool.client("VM.snapshot", vm, "nightly")
    record = pool.client("VM.get_record", snapshot)
    (copy,) = [pool.client("VIF.get_record", vif) for vif in record["VIFs"]]
    (original,) = [pool.client("VIF.get_record", vif) for vif in pool.client("VM.get_VIFs", vm)]
    assert record["other_config"]["note"] == "of the VM"
    assert (copy["MAC"], copy["network"], copy["currently_attached"]) == (original["MAC"], pool.network, False)
    assert (len(pool.client("VM.get_attached_PCIs", vm)), pool.free(1)) == (1, 3)


def test_the_vif_of_a_snapshot_can_be_moved_while_its_vm_runs(setting: Make) -> None:
    """The running VM is untouched."""
    pool = setting(hosts=1)
    parking = pool.pool.add_network("parking")
    vm = pool.pool.add_vm("running on")
    vif = pool.client("VM.get_VIFs", pool.client("VM.snapshot", vm, "nightly"))[0]
    pool.client("VIF.move", vif, parking)
    assert pool.client("VIF.get_network", vif) == parking
    assert pool.client("VIF.get_network", pool.client("VM.get_VIFs", vm)[0]) == pool.network


def test_moving_a_running_vms_vif_to_an_sriov_network_leaves_record_and_guest_at_odds(setting: Make) -> None:
    """The call fails, the record says the new network."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("moved", network="Pool-wide network associated with eth0")
    vif = pool.client("VM.get_VIFs", vm)[0]
    assert pool.client.refusal("VIF.move", vif, pool.network)[0] == "OPERATION_NOT_ALLOWED"
    assert pool.client("VIF.get_network", vif) == pool.network


def test_moving_a_halted_vms_vif_keeps_all_but_the_network(setting: Make) -> None:
    """Ref, uuid, MAC, device, IP configuration."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("parked", running=False)
    vif = pool.client("VM.get_VIFs", vm)[0]
    pool.client("VIF.configure_ipv4", vif, "Static", "192.0.2.7/24", "192.0.2.1")
    before = pool.client("VIF.get_record", vif)
    pool.client("VIF.move", vif, pool.pool.add_network("parking"))
    pool.client("VIF.move", vif, pool.network)
    assert pool.client("VIF.get_record", vif) == before


def test_reverting_to_a_snapshot_without_the_vif_loses_it(setting: Make) -> None:
    """And brings back those it has, with their MACs and new uuids."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("reverted", running=False)
    pool.client.vif(vm, pool.pool.add_network("other"), "1", MAC="02:00:00:00:00:07")
    snapshot = pool.client("VM.snapshot", vm, "half")
    for vif in pool.client("VM.get_VIFs", snapshot):
        if pool.client("VIF.get_network", vif) == pool.network:
            pool.client("VIF.destroy", vif)
    before = {pool.client("VIF.get_uuid", vif) for vif in pool.client("VM.get_VIFs", vm)}
    pool.client("VM.revert", snapshot)
    (vif,) = [pool.client("VIF.get_record", one) for one in pool.client("VM.get_VIFs", vm)]
    assert (vif["MAC"], vif["uuid"] in before) == ("02:00:00:00:00:07", False)


def test_destroying_a_network_takes_the_vifs_of_halted_vms_along(setting: Make) -> None:
    """Silently, once no PIF is on it; network_sriov.destroy does not look at them at all."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("bereft", running=False)
    pool.client("network_sriov.destroy", pool.port(1))
    assert len(pool.client("VM.get_VIFs", vm)) == 1
    pool.client("network.destroy", pool.network)
    assert pool.client("VM.get_VIFs", vm) == []


def test_a_suspended_vm_comes_back_where_it_can(setting: Make) -> None:
    """Suspending needs a suspend SR and no VF; the image is a disk that resuming destroys."""
    pool = setting(hosts=2)
    vm = pool.pool.add_vm("sleeper", network=None)
    pool.client("VM.suspend", vm)
    image = pool.client("VM.get_suspend_VDI", vm)
    assert pool.client("VDI.get_type", image) == "suspend"
    pool.client("VM.resume", vm, False, False)
    assert pool.client("VM.get_power_state", vm) == "Running"
    assert pool.client.refusal("VDI.get_record", image) == ["HANDLE_INVALID", "VDI", image]


def test_durations_are_scaled_by_the_speed(setting: Make) -> None:
    """A snapshot of two seconds, at a tenth of the speed of a real host, is under way for a while and then done."""
    pool = setting(hosts=1, speed=0.1)
    vm = pool.pool.add_vm("slow", running=False)
    task = pool.client("Async.VM.snapshot", vm, "nightly", [])
    assert pool.client("task.get_status", task) == "pending"
    done = pool.client.finish(task)
    assert done["status"] == "success"
    assert done["result"].startswith("<value>OpaqueRef:")


def test_a_guest_that_was_asked_shuts_down_although_the_task_was_cancelled(setting: Make) -> None:
    """The task says cancelled, the VM is Halted all the same."""
    pool = setting(hosts=1, speed=0.05)
    vm = pool.pool.add_vm("obedient")
    task = pool.client("Async.VM.clean_shutdown", vm)
    wait_until(lambda: pool.client("VM.get_current_operations", vm) != {})
    pool.client("task.cancel", task)
    assert pool.client.finish(task)["status"] == "cancelled"
    assert pool.client("VM.get_power_state", vm) == "Running"
    wait_until(lambda: pool.client("VM.get_power_state", vm) == "Halted")
    assert pool.free(1) == 4


def test_a_toolstack_restart_forgets_the_task_and_not_the_shutdown(setting: Make) -> None:
    """The task is gone and says nothing; the VM is Halted in the end."""
    pool = setting(hosts=1, speed=0.05)
    vm = pool.pool.add_vm("obedient")
    task = pool.client("Async.VM.clean_shutdown", vm)
    wait_until(lambda: pool.client("VM.get_current_operations", vm) != {})
    pool.pool.control.toolstack_restart()
    wait_until(lambda: pool.pool.database.get("VM", vm)["power_state"] == "Halted")
    assert not pool.pool.database.exists("task", task)
    assert pool.pool.database.get("VM", vm)["current_operations"] == {}
