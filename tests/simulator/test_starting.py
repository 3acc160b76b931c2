"""What is seen while a VM starts and where it starts (facts that the transcripts do not show)."""

from tests.simulator.conftest import NULL, Make, wait_until

SLOW = 0.2  # a start takes a second of the wall


def test_a_start_under_way_is_halted_with_its_vf_promised(setting: Make) -> None:
    """Halted, `start` in current_operations, a host scheduled, the VIF attached with `attach`, no allowed operation, one VF less."""
    pool = setting(hosts=1, speed=SLOW)
    client = pool.client
    vm = pool.pool.add_vm("late", running=False)
    task = client("Async.VM.start", vm, False, False)
    wait_until(lambda: client("VM.get_current_operations", vm) != {})
    record = client("VM.get_record", vm)
    vif = client("VIF.get_record", record["VIFs"][0])
    assert record["power_state"] == "Halted"
    assert record["current_operations"] == {task: "start"}
    assert (record["scheduled_to_be_resident_on"], record["resident_on"]) == (pool.host(1), NULL)
    assert record["allowed_operations"] == []
    assert (vif["currently_attached"], vif["current_operations"]) == (True, {task: "attach"})
    assert (pool.free(1), record["attached_PCIs"]) == (3, [])
    assert client.finish(task)["status"] == "success"


def test_a_start_that_is_over_has_the_vf_and_no_promise(setting: Make) -> None:
    """Running, the VF in attached_PCIs, nothing scheduled, nothing under way."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("quick", running=False)
    pool.client("VM.start", vm, False, False)
    record = pool.client("VM.get_record", vm)
    assert (record["power_state"], record["scheduled_to_be_resident_on"], record["current_operations"]) == ("Running", NULL, {})
    assert len(record["attached_PCIs"]) == 1
    (port,) = [port for port in pool.pool.state()["ports"] if port["network"]]
    assert [(vf["attached"], vf["reserved"]) for vf in port["vfs"]] == [("quick", None), *[(None, None)] * 3]


def test_a_second_operation_waits_and_is_judged_by_the_new_state(setting: Make) -> None:
    """VM.start during a start answers VM_BAD_POWER_STATE when the first is over, not OTHER_OPERATION_IN_PROGRESS."""
    pool = setting(hosts=1, speed=SLOW)
    vm = pool.pool.add_vm("busy", running=False)
    first = pool.client("Async.VM.start", vm, False, False)
    wait_until(lambda: pool.client("VM.get_current_operations", vm) != {})
    assert pool.client.refusal("VM.start", vm, False, False) == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    assert pool.client("task.get_status", first) == "success"


def test_a_shutdown_during_a_start_is_refused_at_once(setting: Make) -> None:
    """The power state is looked at before other operations are."""
    pool = setting(hosts=1, speed=SLOW)
    vm = pool.pool.add_vm("busy", running=False)
    first = pool.client("Async.VM.start", vm, False, False)
    wait_until(lambda: pool.client("VM.get_current_operations", vm) != {})
    assert pool.client.refusal("VM.hard_shutdown", vm)[0] == "VM_BAD_POWER_STATE"
    assert pool.client("task.get_status", first) == "pending"


def test_a_start_that_is_cancelled_gives_its_vf_back(setting: Make) -> None:
    """The task is cancelled, the VM halted, the capacity whole."""
    pool = setting(hosts=1, speed=2.0)
    vm = pool.pool.add_vm("given up", running=False)
    task = pool.client("Async.VM.start", vm, False, False)
    wait_until(lambda: pool.free(1) == 3)
    pool.client("task.cancel", task)
    assert pool.client.finish(task)["status"] == "cancelled"
    record = pool.client("VM.get_record", vm)
    assert (record["power_state"], record["scheduled_to_be_resident_on"]) == ("Halted", NULL)
    assert pool.client("VIF.get_currently_attached", record["VIFs"][0]) is False
    assert pool.free(1) == 4


def test_the_lowest_free_address_is_taken(setting: Make) -> None:
    """A VF that was given back is taken before higher ones."""
    pool = setting(hosts=1)
    names = ["one", "two", "three"]
    vms = [pool.pool.add_vm(name) for name in names]
    pool.client("VM.hard_shutdown", vms[1])
    vm = pool.pool.add_vm("four", running=False)
    pool.client("VM.start", vm, False, False)
    held = pool.client("PCI.get_pci_id", pool.client("VM.get_attached_PCIs", vm)[0])
    assert held.endswith("10.1")


def test_a_full_pool_says_which_network(setting: Make) -> None:
    """With no VF on any host VM.start answers NETWORK_SRIOV_INSUFFICIENT_CAPACITY."""
    pool = setting(hosts=2, vfs=1)
    for number in range(2):
        pool.pool.add_vm(f"filler {number}")
    vm = pool.pool.add_vm("too late", running=False)
    assert pool.client.refusal("VM.start", vm, False, False) == ["NETWORK_SRIOV_INSUFFICIENT_CAPACITY", pool.network]
    assert pool.client("VM.get_possible_hosts", vm) == []


def test_with_the_logical_pif_unplugged_start_and_start_on_differ(setting: Make) -> None:
    """VM.start: NO_HOSTS_AVAILABLE; VM.start_on: NETWORK_SRIOV_INSUFFICIENT_CAPACITY."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("stranded", running=False)
    pool.client("PIF.unplug", pool.logical(1))
    assert pool.client.refusal("VM.start", vm, False, False) == ["NO_HOSTS_AVAILABLE"]
    assert pool.client.refusal("VM.start_on", vm, pool.host(1), False, False) == ["NETWORK_SRIOV_INSUFFICIENT_CAPACITY", pool.network]


def test_every_sriov_network_of_the_vm_is_checked(setting: Make) -> None:
    """Two VIFs on one network want two VFs."""
    pool = setting(hosts=1, vfs=1)
    vm = pool.pool.add_vm("greedy", running=False)
    pool.client.vif(vm, pool.network, "1")
    assert pool.client.refusal("VM.start", vm, False, False) == ["NO_HOSTS_AVAILABLE"]
    assert pool.client.refusal("VM.assert_can_boot_here", vm, pool.host(1)) == ["NETWORK_SRIOV_INSUFFICIENT_CAPACITY", pool.network]
    assert pool.free(1) == 1


def test_a_vif_made_while_the_vm_runs_gets_its_vf_with_the_next_start(setting: Make) -> None:
    """Neither VIF.create nor a reboot brings it; a shutdown and start does."""
    pool = setting(hosts=1)
    vm = pool.pool.add_vm("growing")
    vif = pool.client.vif(vm, pool.network, "1", currently_attached=True)
    assert pool.client("VIF.get_currently_attached", vif) is False
    pool.client("VM.clean_reboot", vm)
    assert len(pool.client("VM.get_attached_PCIs", vm)) == 1
    pool.client("VM.clean_shutdown", vm)
    pool.client("VM.start", vm, False, False)
    assert len(pool.client("VM.get_attached_PCIs", vm)) == 2
