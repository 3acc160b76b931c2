"""Long operations that are cancelled, overtaken by force, or lose their toolstack: nothing is left half-done or locked."""

from collections.abc import Callable

import pytest

from .conftest import NULL, Make, Setting, wait_until


def unlocked(at: Setting) -> bool:
    """Whether no VM and no host has an operation under way, or a host promised."""
    vms, hosts = at.pool.database.rows("VM"), at.pool.database.rows("host")
    promised = [row for _, row in vms if row["current_operations"] or row["scheduled_to_be_resident_on"] != NULL]
    return not promised and not any(row["current_operations"] for _, row in hosts)


def test_a_cancelled_evacuation_stops_between_vms(setting: Make) -> None:
    """Its task is cancelled; some VMs have moved, the others are where they were, and all of them can move again."""
    at = setting(hosts=2, speed=0.02)
    vms = [at.pool.add_vm(f"vm {number}", network=None, host="host2") for number in range(4)]
    task = at.client("Async.host.evacuate", at.host(2))
    wait_until(lambda: at.client("VM.get_resident_on", vms[0]) == at.host(1))
    at.client("task.cancel", task)
    assert at.client.finish(task)["status"] == "cancelled"
    assert at.client("VM.get_resident_on", vms[3]) == at.host(2)
    assert unlocked(at)
    at.client("host.evacuate", at.host(2))
    assert {at.client("VM.get_resident_on", vm) for vm in vms} == {at.host(1)}


def test_force_ends_a_migration(setting: Make) -> None:
    """VM.hard_shutdown does not wait for it; the migration is cancelled, the VM halted."""
    at = setting(hosts=2, speed=0.1)
    vm = at.pool.add_vm("vm", network=None, host="host2")
    task = at.client("Async.VM.pool_migrate", vm, at.host(1), {})
    wait_until(lambda: at.client("VM.get_current_operations", vm) != {})
    at.client("VM.hard_shutdown", vm)
    assert at.client.finish(task)["status"] == "cancelled"
    assert at.client("VM.get_power_state", vm) == "Halted"
    assert unlocked(at)


def test_a_snapshot_waits_for_a_migration(setting: Make) -> None:
    """Both succeed, one after the other."""
    at = setting(hosts=2, speed=0.02)
    vm = at.pool.add_vm("vm", network=None, host="host2")
    first = at.client("Async.VM.pool_migrate", vm, at.host(1), {})
    wait_until(lambda: at.client("VM.get_current_operations", vm) != {})
    second = at.client("Async.VM.snapshot", vm, "later", [])
    assert [at.client.finish(task)["status"] for task in (first, second)] == ["success", "success"]


def halted(at: Setting) -> str:
    return at.pool.add_vm("vm", running=False)


def running(at: Setting) -> str:
    return at.pool.add_vm("vm", network=None, host="host2")


def with_a_snapshot(at: Setting) -> str:
    return at.pool.add_snapshot(running(at), "before")


@pytest.mark.parametrize(
    ("method", "more", "subject"),
    [
        ("VM.start", [False, False], halted),
        ("VM.clean_shutdown", [], running),
        ("VM.snapshot", ["name", []], running),
        ("VM.revert", [], with_a_snapshot),
        ("host.evacuate", [], lambda at: running(at) and at.host(2)),
    ],
)
@pytest.mark.parametrize("how", ["restart", "failover"])
def test_what_loses_its_toolstack_locks_nothing(
    how: str, method: str, more: list[object], subject: Callable[[Setting], str], setting: Make
) -> None:
    """A toolstack restart or another coordinator in its middle: no operation, promise or reservation stays behind."""
    at = setting(hosts=3, speed=0.1)
    at.client(f"Async.{method}", subject(at), *more)
    wait_until(lambda: not unlocked(at))
    if how == "restart":
        at.pool.control.toolstack_restart()
    else:
        at.pool.control.failover("host3")
    wait_until(lambda: unlocked(at))
    wait_until(at.comes_back)
    wait_until(lambda: sum(port["leaked"] for port in at.pool.state()["ports"]) == 0)
    assert [row["status"] for row in at.client("task.get_all_records").values()] == []


def test_a_vm_that_is_destroyed_during_its_snapshot_waits_for_it(setting: Make) -> None:
    """The destroy comes after it; the snapshot and its disks stay."""
    at = setting(hosts=1, speed=0.1)
    vm = at.pool.add_vm("vm", running=False)
    first = at.client("Async.VM.snapshot", vm, "kept", [])
    wait_until(lambda: at.client("VM.get_current_operations", vm) != {})
    at.client("VM.destroy", vm)
    snapshot = at.client.find("VM", "kept")
    assert at.client.finish(first)["status"] == "success"
    assert at.client("VM.get_snapshot_of", snapshot) == vm
    disks = [vdi for vdi in (at.client("VBD.get_VDI", vbd) for vbd in at.client("VM.get_VBDs", snapshot)) if vdi != NULL]
    assert disks
    assert all(at.client("VDI.get_is_a_snapshot", vdi) for vdi in disks)


def test_a_running_disk_cannot_be_destroyed_and_its_snapshots_can(setting: Make) -> None:
    """VDI_IN_USE [vdi, destroy]; the snapshot's disks go when the snapshot has gone."""
    at = setting(hosts=1)
    vm = at.pool.add_vm("vm")
    snapshot = at.client("VM.snapshot", vm, "snapshot", [])
    (mine,) = [vdi for vdi in (at.client("VBD.get_VDI", vbd) for vbd in at.client("VM.get_VBDs", vm)) if vdi != NULL]
    (copy,) = at.client("VDI.get_snapshots", mine)
    assert at.client.refusal("VDI.destroy", mine) == ["VDI_IN_USE", mine, "destroy"]
    at.client("VM.destroy", snapshot)
    at.client("VDI.destroy", copy)
    assert at.client("VDI.get_snapshots", mine) == []
