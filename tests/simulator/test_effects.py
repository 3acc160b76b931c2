"""What the simulator counts of calls that took effect."""

import json
import urllib.request
from collections.abc import Callable

from orchestrator.simulator import SimulatedPool
from tests.simulator.conftest import client_of


def test_what_took_effect_is_counted_by_method_and_object(make_simulated_pool: Callable[..., SimulatedPool]) -> None:
    """Under the object's uuid, that of one that the call destroyed too; what reads, and what failed, is not counted."""
    pool = make_simulated_pool(hosts=1, vms=0, control_port=True)
    client = client_of(pool)
    vm = pool.add_vm("one", running=False)
    uuid = client("VM.get_uuid", vm)
    for _ in range(2):
        client("VM.start", vm, False, False)
        client("VM.hard_shutdown", vm)
    assert client.refusal("VM.hard_shutdown", vm)[0] == "VM_BAD_POWER_STATE"
    client("VM.destroy", vm)
    with urllib.request.urlopen(f"{pool.control_url}/effects", timeout=10) as answer:
        counted = json.load(answer)
    assert counted == {"VM.start": {uuid: 2}, "VM.hard_shutdown": {uuid: 2}, "VM.destroy": {uuid: 1}}


def test_a_task_that_failed_took_no_effect(make_simulated_pool: Callable[..., SimulatedPool]) -> None:
    """An Async call counts when its work has succeeded, under the plain method's name."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = client_of(pool)
    vm = pool.add_vm("one", running=True)
    uuid = client("VM.get_uuid", vm)
    pool.control.fail("VM.snapshot", ["SR_FULL", "x"])
    tasks = [client("Async.VM.snapshot", vm, name, []) for name in ("first", "second")]
    while any(client("task.get_status", task) == "pending" for task in tasks):
        pass
    assert sorted(client("task.get_status", task) for task in tasks) == ["failure", "success"]
    assert pool.control.effects() == {"VM.snapshot": {uuid: 1}}
