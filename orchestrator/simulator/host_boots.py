"""Hosts that go down and come back: what is lost, and in which order things return."""

import logging
import math
import time

from orchestrator.simulator import durations, hosts, objects, placement, sriov, tasks, vfs, vm_lifecycle, vm_power
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages
from orchestrator.simulator.server import Server

log = logging.getLogger(__name__)


def reboot(call: Call, host: str) -> None:
    """host.reboot: wants the host disabled and nothing else; answers at once, acts 10 s later, under whatever VMs run there."""
    _begin(call, host)
    call.server.spawn(_reboot, call.server, host)


def shutdown(call: Call, host: str) -> None:
    """host.shutdown: as reboot, but the host stays down."""
    _begin(call, host)
    call.server.spawn(_shut_down, call.server, host)


def _begin(call: Call, host: str) -> None:
    """A host that is going down already is waited for, and judged by what it is then (message_forwarding.ml: with_host_operation)."""
    with call.db.lock:
        while "shutdown" in (row := hosts.live(call, host))["current_operations"].values():
            call.db.changed.wait(1.0)
            call.check()
        if row["enabled"]:
            raise Failure("HOST_NOT_DISABLED")
        # host.reboot shows as `shutdown` as well (recorded on a running xapi).
        call.db.set("host", host, current_operations=objects.with_key(row["current_operations"], call.task, "shutdown"))
        hosts.refresh(call.db, host)


def power_on(call: Call, host: str) -> None:
    """host.power_on: by the host's lights-out management, if one is set."""
    row = call.handle("host", host)
    if row["power_on_mode"] == "":
        raise Failure("HOST_POWER_ON_MODE_DISABLED")
    if not objects.is_live(call.db, host):
        call.work(durations.HOST_BOOT)
        come_up(call.server, host)


def _reboot(server: Server, host: str) -> None:
    _pause(server, durations.BEFORE_REBOOT)
    go_down(server, host)
    _pause(server, durations.HOST_BOOT)
    come_up(server, host)


def _shut_down(server: Server, host: str) -> None:
    _pause(server, durations.BEFORE_REBOOT)
    go_down(server, host)


def _pause(server: Server, seconds: float) -> None:
    """Wait as long as it takes on a real host; even with no delay the answer of the call gets out first."""
    server.pause(max(seconds * server.speed, 0.05))


def go_down(server: Server, host: str) -> None:
    """The host is off: its metrics say so, its VMs stay `Running` in the database until somebody finds out, or HA does."""
    db = server.db
    with db.lock:
        row = db.get("host", host)
        db.set("host_metrics", row["metrics"], live=False)
        db.set("host", host, current_operations={})
        hosts.refresh(db, host)
        protected = objects.pool_of(db)[1]["ha_enabled"]
        lost = hosts.guests(db, host)
    server.power(host, on=False)
    if protected:
        server.spawn(_restart_elsewhere, server, host, lost)


def _restart_elsewhere(server: Server, host: str, lost: list[str]) -> None:
    """High availability: a new coordinator if need be; the VMs of the failed host are halted, the protected ones start elsewhere."""
    db = server.db
    if host == server.coordinator:
        heirs = [other for other in db.refs("host") if other != host and objects.is_live(db, other)]
        if not heirs:
            return
        server.failover(heirs[0], old_answers=False)
    _pause(server, durations.HA_FENCES)
    with db.lock:
        for vm in set(lost).intersection(hosts.guests(db, host)):  # the others: the host is back already, or they were reset
            vm_lifecycle.halt(db, vm)
        left = [(vm, db.get("VM", vm)) for vm in lost if db.exists("VM", vm)]
        protected = [vm for vm, row in left if row["ha_restart_priority"] == "restart" and row["power_state"] == "Halted"]
    for vm in protected:
        server.spawn(_start_vm, server, vm)


def _start_vm(server: Server, vm: str, host: str | None = None) -> None:
    """Xapi starts a VM as a client would: with a task, after what is under way, and not against a blocked operation."""
    call = Call(server, "VM.start")
    call.host = server.coordinator
    tasks.begin(call, "VM.start")
    try:
        with server.calls.during(call):
            if host is None:
                vm_power.start(call, vm, start_paused=False, force=False)
            else:
                vm_power.start_on(call, vm, host, start_paused=False, force=False)
    except Failure as failure:
        log.info("%s does not start by itself: %s", vm, failure.details)
    finally:
        tasks.forget(call)


def come_up(server: Server, host: str) -> None:
    """A boot: live first, then enabled, then the VFs; blocks until then. The VMs that start by themselves start after it."""
    db = server.db
    with db.lock:
        _lose_all(db, host)
        row = db.get("host", host)
        now = _started(row)
        db.set("host", host, _booting=True, other_config={**row["other_config"], "boot_time": now, "agent_start_time": now})
        db.set("host_metrics", row["metrics"], live=True, last_updated=objects.now_text())
    if host == server.coordinator:
        server.restart_toolstack(host)
    else:
        toolstack_started(server, host)
        server.power(host, on=True)
    server.pause(durations.UNTIL_ENABLED * server.speed)
    with db.lock:
        db.set("host", host, _booting=False)
        if db.get("host", host).get("_auto_enable", True):
            hosts.set_enabled(db, host, enabled=True)
    server.pause(durations.UNTIL_VFS * server.speed)
    with db.lock:
        sriov.bring_up_host(db, host)
        wanted = _starting_by_themselves(db, host)
    for vm in wanted:
        server.spawn(_start_vm, server, vm, host)


def _started(row: Row) -> str:
    """Now in whole seconds, as xapi writes its start; later than the start before, however soon the host came back."""
    before = float(row["other_config"].get("agent_start_time", "0."))
    return f"{max(math.ceil(time.time()), int(before) + 1)}."


def _lose_all(db: Database, host: str) -> None:
    """What ran there does not run any more; VFs and reservations are gone."""
    for vm in hosts.guests(db, host):
        vm_lifecycle.halt(db, vm)
    sriov.lose_vfs(db, host)
    db.set("host", host, current_operations={})
    hosts.set_enabled(db, host, enabled=False)


def _starting_by_themselves(db: Database, host: str) -> list[str]:
    """other_config:auto_poweron, where the pool has it switched on as well (xapi: helpers.ml, vm auto power on)."""
    if objects.pool_of(db)[1]["other_config"].get("auto_poweron", "true") != "true":
        return []
    return [
        vm
        for vm, row in db.rows("VM")
        if row["other_config"].get("auto_poweron") == "true"
        and row["power_state"] == "Halted"
        and not row["is_a_template"]
        and row["affinity"] in {NULL, host}
        and placement.passes(db, vm, host)
    ]


def toolstack_started(server: Server, host: str) -> None:
    """A toolstack starts: the coordinator's drops every reservation of the pool; agent_start_time is new."""
    db = server.db
    with db.lock:
        row = db.get("host", host)
        db.set("host", host, other_config={**row["other_config"], "agent_start_time": _started(row)})
        if host == server.coordinator:
            vfs.forget_reservations(db)


MESSAGES: Messages = {
    "host.reboot": reboot,
    "host.shutdown": shutdown,
    "host.power_on": power_on,
}
