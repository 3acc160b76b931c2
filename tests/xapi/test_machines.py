"""Acting on VMs through the port, over the wire, faults included."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from plugins.errors import RetryLater
from tests.xapi.acting import Bench, Until, Workbench
from tests.xapi.scripted import Failure, Server
from workflows.ports import Bug, Busy, Gone, Refused, Transient, Unknown
from workflows.tasks import Failed, Succeeded

REASON = "vfo: run 1"

# What is begun, on which VM, and the state it comes to.
BEGINNINGS: dict[str, tuple[str, Callable[[Workbench, str], str]]] = {
    "VM.start": ("idle", lambda lab, vm: lab.port.begin_start(vm)),
    "VM.start_on": ("idle", lambda lab, vm: lab.port.begin_start(vm, lab.host("host2").uuid)),
    "VM.clean_shutdown": ("busy", lambda lab, vm: lab.port.begin_clean_shutdown(vm)),
    "VM.hard_shutdown": ("busy", lambda lab, vm: lab.port.begin_hard_shutdown(vm)),
    "VM.pool_migrate": ("busy", lambda lab, vm: lab.port.begin_migrate(vm, lab.host("host2").uuid)),
    "VM.snapshot": ("busy", lambda lab, vm: lab.port.begin_snapshot(vm, "vfo 1")),
}
COMES_TO: dict[str, Callable[[Workbench, str], bool]] = {
    "VM.start": lambda lab, vm: lab.port.power_state(vm) == "Running",
    "VM.start_on": lambda lab, vm: lab.port.vm(vm).resident_on == lab.host("host2").uuid,
    "VM.clean_shutdown": lambda lab, vm: lab.port.power_state(vm) == "Halted",
    "VM.hard_shutdown": lambda lab, vm: lab.port.power_state(vm) == "Halted",
    "VM.pool_migrate": lambda lab, vm: lab.port.vm(vm).resident_on == lab.host("host2").uuid,
    "VM.snapshot": lambda lab, vm: [lab.port.vm(one).name for one in lab.port.vm(vm).snapshots] == ["vfo 1"],
}


def guests(bench: Bench, **fields: Any) -> Workbench:
    """VMs "busy", which runs on host1 with an ordinary VIF, and "idle", which is halted."""
    lab = bench(hosts=2, vms=0, **fields)
    plain = "Pool-wide network associated with eth0"
    lab.pool.add_vm("busy", network=plain, host="host1")
    lab.pool.add_vm("idle", network=plain, running=False)
    return lab


@pytest.mark.parametrize("method", BEGINNINGS)
def test_what_was_begun_comes_about(bench: Bench, until: Until, method: str) -> None:
    """Its task succeeds and the VM is so; the task is gone from the pool when it was looked at."""
    lab = guests(bench)
    name, begin = BEGINNINGS[method]
    vm = lab.vm(name).uuid
    assert isinstance(lab.outcome(begin(lab, vm), until), Succeeded)
    assert COMES_TO[method](lab, vm)
    assert lab.begun(method) == 0


@pytest.mark.parametrize("method", BEGINNINGS)
def test_what_was_begun_and_lost_is_not_begun_again(bench: Bench, until: Until, method: str) -> None:
    """The answer was cut off: nobody knows the task, and the work under way is found."""
    lab = guests(bench, speed=1.0)
    name, begin = BEGINNINGS[method]
    vm = lab.vm(name).uuid
    lab.pool.control.cut(method, "after")
    with pytest.raises(Unknown):
        begin(lab, vm)
    until(lambda: bool(lab.port.vm(vm).current_operations))
    with pytest.raises(RetryLater, match=f"VM {vm} is in {method.removeprefix('VM.')}"):
        begin(lab, vm)
    assert lab.begun(method) == 1


@pytest.mark.parametrize("method", BEGINNINGS)
def test_what_never_got_there_is_begun_at_the_next_try(bench: Bench, until: Until, method: str) -> None:
    """The connection died before the pool heard it: once looked at, it is begun, once."""
    lab = guests(bench)
    name, begin = BEGINNINGS[method]
    vm = lab.vm(name).uuid
    lab.pool.control.cut(method, "before")
    with pytest.raises(Unknown):
        begin(lab, vm)
    assert not COMES_TO[method](lab, vm)
    assert isinstance(lab.outcome(begin(lab, vm), until), Succeeded)
    assert COMES_TO[method](lab, vm)


@pytest.mark.parametrize("method", BEGINNINGS)
def test_what_the_pool_refuses_fails_by_its_task(bench: Bench, until: Until, method: str) -> None:
    """With the error's name; blocks stop us too."""
    lab = guests(bench)
    name, begin = BEGINNINGS[method]
    vm = lab.vm(name).uuid
    lab.port.block(vm, [method.removeprefix("VM.")], REASON)
    outcome = lab.outcome(begin(lab, vm), until)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, Refused)
    assert outcome.error.code == "OPERATION_BLOCKED"


@pytest.mark.parametrize("method", BEGINNINGS)
def test_nothing_is_begun_on_a_vm_that_is_gone(bench: Bench, method: str) -> None:
    """It is told at once."""
    lab = guests(bench)
    name, begin = BEGINNINGS[method]
    vm = lab.vm(name).uuid
    lab.port.vm(vm)
    lab.pool.destroy_vm(vm)
    with pytest.raises(Gone):
        begin(lab, vm)


def test_a_hard_shutdown_goes_ahead_of_a_clean_one(bench: Bench, until: Until) -> None:
    """The guest does not heed it; the plug is pulled, and the clean shutdown is over."""
    lab = guests(bench, speed=0.01)
    vm = lab.vm("busy").uuid
    lab.pool.control.guest(vm, ignores_shutdown=True, acknowledges=True)
    lab.port.begin_clean_shutdown(vm)
    until(lambda: lab.port.vm(vm).current_operations == ("clean_shutdown",))
    assert isinstance(lab.outcome(lab.port.begin_hard_shutdown(vm), until), Succeeded)
    assert lab.port.power_state(vm) == "Halted"


def test_a_task_is_cancelled_and_what_cannot_be_is_no_fault(bench: Bench, until: Until) -> None:
    """A clean shutdown that nobody heeds ends Unknown; one that ended, and one that is not there, are left."""
    lab = guests(bench, speed=0.05)
    vm = lab.vm("busy").uuid
    lab.pool.control.guest(vm, ignores_shutdown=True, acknowledges=True)
    task = lab.port.begin_clean_shutdown(vm)
    lab.port.cancel_task(task)
    outcome = lab.outcome(task, until)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, Unknown)
    lab.port.cancel_task(task)
    done = lab.client.start("VM.snapshot", lab.ref("VM", vm), "x", [])
    until(lambda: lab.client.call("task.get_status", done) == "success")
    lab.port.cancel_task(done)


def test_older_pools_that_know_fewer_parameters_are_spoken_to(serve: Callable[..., Server], connect: Callable[..., Client]) -> None:
    """ignore_vdis is younger than VM.snapshot: it is left out where it is not known, and not tried again."""

    def script(method: str, params: list[Any]) -> Any:
        if method == "Async.VM.snapshot":
            if len(params) != 2:
                raise Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.snapshot", "2", str(len(params)))
            return "OpaqueRef:task"
        return {"VM.get_current_operations": {}, "VM.get_by_uuid": "OpaqueRef:vm"}.get(method, "")

    server = serve(script)
    port = PoolPort(connect(server))
    assert [port.begin_snapshot("uuid", "x"), port.begin_snapshot("uuid", "y")] == ["OpaqueRef:task"] * 2
    assert server.heard("Async.VM.snapshot") == 3


def test_a_block_leaves_those_of_others(bench: Bench) -> None:
    """Ours go on beside them and come off alone; doing either twice changes nothing."""
    lab = guests(bench)
    vm = lab.vm("idle").uuid
    lab.client.call("VM.add_to_blocked_operations", lab.ref("VM", vm), "start", "hands off")
    for _ in range(2):
        lab.port.block(vm, ["start", "start_on", "destroy"], REASON)
    assert lab.port.vm(vm).blocked_operations == {"start": "hands off", "start_on": REASON, "destroy": REASON}
    lab.port.unblock(vm, "vfo: another run")
    assert len(lab.port.vm(vm).blocked_operations) == 3
    for _ in range(2):
        lab.port.unblock(vm, REASON)
    seen = lab.port.vm(vm)
    assert seen.blocked_operations == {"start": "hands off"}
    assert "destroy" in seen.allowed_operations


def test_a_block_that_comes_meanwhile_is_somebody_elses(bench: Bench) -> None:
    """Between our look and our act another client blocked it: that one stays."""
    lab = guests(bench)
    vm = lab.vm("idle").uuid
    lab.pool.control.fail("VM.add_to_blocked_operations", ["MAP_DUPLICATE_KEY", "VM", "blocked_operations", "ref", "start"])
    lab.port.block(vm, ["start", "destroy"], REASON)
    assert lab.port.vm(vm).blocked_operations == {"destroy": REASON}


def test_unblocking_needs_no_pool_admin(bench: Bench) -> None:
    """Only a pool-admin may have allowed_operations computed; the block is off all the same."""
    lab = guests(bench)
    vm = lab.vm("idle").uuid
    lab.port.block(vm, ["start"], REASON)
    lab.pool.control.fail("VM.update_allowed_operations", ["RBAC_PERMISSION_DENIED", "vm.update_allowed_operations", ""])
    lab.port.unblock(vm, REASON)
    assert lab.port.vm(vm).blocked_operations == {}


def test_a_note_is_set_whatever_it_was_and_erased(bench: Bench) -> None:
    """One of ours among others' keys; erasing what is not there is fine."""
    lab = guests(bench)
    vm = lab.vm("idle").uuid
    others = lab.port.vm(vm).other_config
    for text in ("one", "one", "two"):
        lab.port.note(vm, "vfo:note", text)
        assert lab.port.vm(vm).other_config == {**others, "vfo:note": text}
    for _ in range(2):
        lab.port.erase(vm, "vfo:note")
        assert lab.port.vm(vm).other_config == others


def test_what_does_not_say_that_it_is_ours_is_never_left_in_a_pool(bench: Bench) -> None:
    """A mistake of the caller's: nothing is touched."""
    lab = guests(bench)
    vm, host = lab.vm("idle").uuid, lab.host("host1").uuid
    for act in (
        lambda: lab.port.block(vm, ["start"], "hands off"),
        lambda: lab.port.unblock(vm, "hands off"),
        lambda: lab.port.note(vm, "auto_poweron", "true"),
        lambda: lab.port.erase(vm, "mac_seed"),
        lambda: lab.port.note_host(host, "boot_time", None),
    ):
        with pytest.raises(Bug, match="NOT_OURS"):
            act()


def test_a_tag_is_added_once(bench: Bench) -> None:
    """Beside those that are there."""
    lab = guests(bench)
    vm = lab.vm("idle")
    for _ in range(2):
        lab.port.tag(vm.uuid, "vfo")
    assert sorted(lab.port.vm(vm.uuid).tags) == sorted((*vm.tags, "vfo"))


def test_a_power_state_reset_gives_back_what_a_halted_vm_holds(bench: Bench) -> None:
    """And is refused on one that runs, before xapi is asked."""
    lab = bench(hosts=1, vms=2)
    halted, running = lab.vm("db-01").uuid, lab.vm("web-01").uuid
    lab.pool.control.leak("host1", "SR-IOV", 2, vm=halted)
    (before,) = lab.port.look_at_ports()
    lab.port.power_state_reset(halted)
    (after,) = lab.port.look_at_ports()
    assert (before.remaining, after.remaining) == (5, 7)
    with pytest.raises(Refused, match="VM_BAD_POWER_STATE"):
        lab.port.power_state_reset(running)


def ours(lab: Workbench, vm: str) -> str:
    """A snapshot of the VM with our tag; its uuid."""
    snapshot = lab.client.call("VM.get_uuid", lab.pool.add_snapshot(vm, "vfo 1"))
    lab.port.tag(snapshot, "vfo")
    return str(snapshot)


def test_a_snapshot_of_ours_goes_with_its_disks(bench: Bench) -> None:
    """The VM and its disks stay, the snapshot and its disks are gone; again is no error."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    snapshot = lab.port.vm(ours(lab, vm.uuid))
    had, copies = lab.port.disks(vm.uuid), {disk.uuid for disk in lab.port.disks(snapshot.uuid)}
    for _ in range(2):
        lab.port.destroy_snapshot(snapshot.uuid)
    assert lab.port.vm(vm.uuid) == vm
    vdis = {vdi["uuid"] for vdi in lab.client.call("VDI.get_all_records").values()}
    assert ({disk.uuid for disk in had} <= vdis, vdis & copies) == (True, set())
    assert not lab.port.vm_exists(snapshot.uuid)


def test_only_snapshots_with_our_tag_are_destroyed(bench: Bench) -> None:
    """Neither somebody's snapshot nor a VM that bears the tag."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01").uuid
    theirs = lab.client.call("VM.get_uuid", lab.pool.add_snapshot(vm, "nightly"))
    lab.port.tag(vm, "vfo")
    for uuid in (theirs, vm):
        with pytest.raises(Refused, match="NOT_OURS"):
            lab.port.destroy_snapshot(uuid)
        assert len(lab.port.disks(uuid)) == 1


@pytest.mark.parametrize("method", ["VDI.destroy", "VM.destroy"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_snapshot_cut_in_half_is_finished(bench: Bench, method: str, when: str) -> None:
    """Its disks go first: what is left still says that it is ours, and no disk is left without a snapshot."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    snapshot = lab.port.vm(ours(lab, vm.uuid))
    had, copies = lab.port.disks(vm.uuid), {disk.uuid for disk in lab.port.disks(snapshot.uuid)}
    lab.pool.control.cut(method, when)  # type: ignore[arg-type]
    with pytest.raises(Unknown):
        lab.port.destroy_snapshot(snapshot.uuid)
    lab.port.destroy_snapshot(snapshot.uuid)
    assert not lab.port.vm_exists(snapshot.uuid)
    assert [disk.uuid for disk in lab.port.disks(vm.uuid)] == [disk.uuid for disk in had]
    assert not copies & {vdi["uuid"] for vdi in lab.client.call("VDI.get_all_records").values()}


def test_a_disk_of_a_snapshot_that_another_vm_has_is_waited_for(bench: Bench) -> None:
    """A backup product has it in its own VM: destroying the disk would take it from there."""
    lab = bench(hosts=1, vms=1)
    snapshot = ours(lab, lab.vm("web-01").uuid)
    (disk,) = lab.port.disks(snapshot)
    proxy = lab.pool.add_vm("proxy", network=None, running=False, disk=False)
    place = {
        "VM": proxy,
        "VDI": lab.ref("VDI", disk.uuid),
        "userdevice": "1",
        "bootable": False,
        "mode": "RO",
        "type": "Disk",
        "empty": False,
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    vbd = lab.client.call("VBD.create", place)
    with pytest.raises(Busy, match="VDI_IN_USE"):
        lab.port.destroy_snapshot(snapshot)
    assert lab.port.disks(snapshot) == (disk,)
    lab.client.call("VBD.destroy", vbd)
    lab.port.destroy_snapshot(snapshot)
    assert not lab.port.vm_exists(snapshot)


def test_a_pool_that_cannot_be_reached_begins_nothing(bench: Bench) -> None:
    """Transient: it certainly took no effect."""
    lab = guests(bench)
    vm = lab.vm("idle").uuid
    lab.port._client._patience = 0.0
    lab.pool.server.stop()
    with pytest.raises(Transient):
        lab.port.begin_start(vm)
