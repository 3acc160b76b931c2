"""Starting, stopping, rebooting and suspending VMs."""

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from orchestrator.simulator import disks, durations, objects, operations, placement, vbds, vm_lifecycle
from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure, Interrupted
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages
from orchestrator.simulator.server import Server

LOOK_AGAIN: Final = 0.2


def start(call: Call, vm: str, start_paused: bool, force: bool) -> None:
    """VM.start: xapi chooses the host."""
    _start(call, vm, "start", None, paused=start_paused)


def start_on(call: Call, vm: str, host: str, start_paused: bool, force: bool) -> None:
    """VM.start_on: the host must do."""
    call.handle("host", host)
    _start(call, vm, "start_on", host, paused=start_paused)


def _start(call: Call, vm: str, operation: str, host: str | None, *, paused: bool) -> None:
    with operations.during(call, vm, operation), _reserved(call, vm, host) as chosen:
        call.work(durations.START)
        with call.db.lock:
            if not objects.is_live(call.db, chosen):
                raise Failure("HOST_OFFLINE", chosen)
            vm_lifecycle.run(call.db, vm, chosen, paused=paused)


@contextlib.contextmanager
def _reserved(call: Call, vm: str, host: str | None) -> Iterator[str]:
    """Host and VFs promised, VIFs announced; all taken back when the block fails (as xapi does since 2024)."""
    with call.db.lock:
        chosen = placement.choose(call.db, vm, call.server.random) if host is None else host
        placement.assert_can_run(call.db, vm, chosen)
        vbds.assert_free(call.db, vm)
        placement.reserve(call.db, vm, chosen)
        vm_lifecycle.announce_devices(call.db, vm, call.task)
    try:
        yield chosen
    except BaseException:
        with call.db.lock:
            if call.db.exists("VM", vm) and call.db.get("VM", vm)["power_state"] != "Running":
                vm_lifecycle.retract_devices(call.db, vm)
        raise


def clean_shutdown(call: Call, vm: str) -> None:
    """VM.clean_shutdown: the guest is asked, and may not listen."""
    with operations.during(call, vm, "clean_shutdown"):
        try:
            _ask_guest(call, vm, durations.CLEAN_SHUTDOWN)
        except (Failure, Interrupted):
            row = call.handle("VM", vm)
            if not row.get("_guest"):
                call.server.spawn(_go_on, call.server, vm, row["domid"])
            raise
        _halt(call, vm)


def _go_on(server: Server, vm: str, domid: int) -> None:
    """A guest that was asked shuts down although its task was cancelled (recorded on a running xapi), or forgotten by a toolstack."""
    server.pause(durations.CLEAN_SHUTDOWN * server.speed)
    with server.db.lock:
        row = server.db.get("VM", vm) if server.db.exists("VM", vm) else {}
        if row.get("domid", -1) == domid != -1 and objects.is_live(server.db, row["resident_on"]):
            vm_lifecycle.halt(server.db, vm)


def _ask_guest(call: Call, vm: str, seconds: float) -> None:
    """Wait for the guest; VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT when it does not answer, VM_SHUTDOWN_TIMEOUT when it answers and goes on."""
    temper = call.handle("VM", vm).get("_guest")
    if temper == "ignores":
        wait_while_it_runs(call, vm, durations.GUEST_ACKNOWLEDGES)
        raise Failure("VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm)
    if temper == "hangs":
        wait_while_it_runs(call, vm, durations.GUEST_SHUTS_DOWN)
        raise Failure("VM_SHUTDOWN_TIMEOUT", vm, f"{durations.GUEST_SHUTS_DOWN:.0f}.")
    wait_while_it_runs(call, vm, seconds)


def wait_while_it_runs(call: Call, vm: str, seconds: float) -> None:
    """Take the time, unless a hard shutdown ends it: then the operation is cancelled; HOST_OFFLINE [host] when its host dies meanwhile."""
    end = time.monotonic() + seconds * call.server.speed
    left = seconds
    while left > 0:
        assert_it_runs(call, vm)
        left = end - time.monotonic()
        call.pause(min(max(left, 0.0), LOOK_AGAIN))
    assert_it_runs(call, vm)


def assert_it_runs(call: Call, vm: str) -> None:
    """Raise TASK_CANCELLED when the VM is off by now, HOST_OFFLINE [host] when its host is: nobody is there to carry on."""
    row = call.handle("VM", vm)
    if row["power_state"] in {"Halted", "Suspended"}:
        raise Failure("TASK_CANCELLED", call.task)
    if not objects.is_live(call.db, row["resident_on"]):
        raise Failure("HOST_OFFLINE", row["resident_on"])


def _halt(call: Call, vm: str) -> None:
    with call.db.lock:
        call.handle("VM", vm)
        vm_lifecycle.halt(call.db, vm)


def hard_shutdown(call: Call, vm: str) -> None:
    """VM.hard_shutdown: always works; cancels a shutdown, reboot or migration under way; drops a suspend image."""
    with operations.during(call, vm, "hard_shutdown"):
        call.work(durations.HARD_SHUTDOWN)
        with call.db.lock:
            if call.handle("VM", vm)["power_state"] != "Suspended":
                assert_it_runs(call, vm)
            image = call.handle("VM", vm)["suspend_VDI"]
            vm_lifecycle.halt(call.db, vm)
            _drop_image(call, vm, image)


def _drop_image(call: Call, vm: str, image: str) -> None:
    call.db.set("VM", vm, suspend_VDI=NULL)
    if call.db.exists("VDI", image):
        disks.remove(call.db, image)


def shutdown(call: Call, vm: str) -> None:
    """VM.shutdown: cleanly if the guest listens, else hard."""
    try:
        clean_shutdown(call, vm)
    except Failure as failure:
        if not failure.details[0].startswith(("VM_FAILED_SHUTDOWN", "VM_SHUTDOWN_TIMEOUT", "VM_LACKS_FEATURE")):
            raise
        hard_shutdown(call, vm)


def clean_reboot(call: Call, vm: str) -> None:
    """VM.clean_reboot: the domain stays what it was, a VIF that is new gets no VF by it."""
    with operations.during(call, vm, "clean_reboot"):
        _ask_guest(call, vm, durations.REBOOT)
        _new_domain(call, vm)


def hard_reboot(call: Call, vm: str) -> None:
    """VM.hard_reboot."""
    with operations.during(call, vm, "hard_reboot"):
        wait_while_it_runs(call, vm, durations.REBOOT)
        _new_domain(call, vm)


def _new_domain(call: Call, vm: str) -> None:
    """A reboot keeps the host and the VFs; the domain gets a new number."""
    with call.db.lock:
        row = call.handle("VM", vm)
        domid = call.db.get("host", row["resident_on"]).get("_last_domid", 0) + 1
        call.db.set("host", row["resident_on"], _last_domid=domid)
        call.db.set("VM", vm, domid=domid, power_state="Running")


def pause(call: Call, vm: str) -> None:
    """VM.pause."""
    with operations.during(call, vm, "pause"):
        call.db.set("VM", vm, power_state="Paused")


def unpause(call: Call, vm: str) -> None:
    """VM.unpause."""
    with operations.during(call, vm, "unpause"):
        call.db.set("VM", vm, power_state="Running")


def suspend(call: Call, vm: str) -> None:
    """VM.suspend: the memory goes to a disk on the suspend SR."""
    with operations.during(call, vm, "suspend"):
        sr = suspend_sr(call, vm)
        wait_while_it_runs(call, vm, durations.SUSPEND)
        with call.db.lock:
            image = disks.make_suspend_image(call.db, vm, sr)
            vm_lifecycle.suspend(call.db, vm, image)


def suspend_sr(call: Call, vm: str) -> str:
    """The SR for a suspend image: the VM's, the pool's, the host's; never the default SR. Raises VM_NO_SUSPEND_SR."""
    with call.db.lock:
        row = call.handle("VM", vm)
        pool = objects.pool_of(call.db)[1]
        host = row["resident_on"] if row["resident_on"] != NULL else objects.coordinator_of(call.db)
        for sr in (row["suspend_SR"], pool["suspend_image_SR"], call.db.get("host", host)["suspend_image_sr"]):
            if call.db.exists("SR", sr):
                return str(sr)
    raise Failure("VM_NO_SUSPEND_SR", vm)


def resume(call: Call, vm: str, start_paused: bool, force: bool) -> None:
    """VM.resume: xapi chooses the host."""
    _resume(call, vm, "resume", None, paused=start_paused)


def resume_on(call: Call, vm: str, host: str, start_paused: bool, force: bool) -> None:
    """VM.resume_on."""
    call.handle("host", host)
    _resume(call, vm, "resume_on", host, paused=start_paused)


def _resume(call: Call, vm: str, operation: str, host: str | None, *, paused: bool) -> None:
    with operations.during(call, vm, operation):
        with call.db.lock:
            chosen = placement.choose(call.db, vm, call.server.random) if host is None else host
            placement.assert_can_run(call.db, vm, chosen)
            call.db.set("VM", vm, scheduled_to_be_resident_on=chosen)
        call.work(durations.RESUME)
        with call.db.lock:
            image = call.handle("VM", vm)["suspend_VDI"]
            placement.reserve(call.db, vm, chosen)
            vm_lifecycle.run(call.db, vm, chosen, paused=paused)
            _drop_image(call, vm, image)


def power_state_reset(call: Call, vm: str) -> None:
    """VM.power_state_reset: writes Halted and releases all the VM holds; not for domain 0, nor for a domain that runs."""
    with operations.during(call, vm, "power_state_reset"), call.db.lock:
        row = call.handle("VM", vm)
        if row["is_control_domain"]:
            raise Failure("CANNOT_RESET_CONTROL_DOMAIN", vm)
        if row["resident_on"] != NULL and objects.is_live(call.db, row["resident_on"]):
            raise Failure("DOMAIN_EXISTS", vm, row["domid"])
        vm_lifecycle.halt(call.db, vm)


def get_possible_hosts(call: Call, vm: str) -> list[str]:
    """VM.get_possible_hosts."""
    with call.db.lock:
        call.handle("VM", vm)
        return placement.possible(call.db, vm)


def assert_can_boot_here(call: Call, self: str, host: str) -> None:
    """VM.assert_can_boot_here: raises what a start on that host would."""
    with call.db.lock:
        call.handle("VM", self)
        call.handle("host", host)
        placement.assert_can_run(call.db, self, host)


MESSAGES: Messages = {
    "VM.start": start,
    "VM.start_on": start_on,
    "VM.clean_shutdown": clean_shutdown,
    "VM.hard_shutdown": hard_shutdown,
    "VM.shutdown": shutdown,
    "VM.clean_reboot": clean_reboot,
    "VM.hard_reboot": hard_reboot,
    "VM.pause": pause,
    "VM.unpause": unpause,
    "VM.suspend": suspend,
    "VM.resume": resume,
    "VM.resume_on": resume_on,
    "VM.power_state_reset": power_state_reset,
    "VM.get_possible_hosts": get_possible_hosts,
    "VM.assert_can_boot_here": assert_can_boot_here,
}
