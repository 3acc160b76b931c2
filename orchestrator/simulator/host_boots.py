"""Hosts that go down and come back: what is lost, and in which order things return."""

import math
import time

from orchestrator.simulator import durations, hosts, objects, placement, sriov, vfs, vm_lifecycle
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages
from orchestrator.simulator.server import Server


def reboot(call: Call, host: str) -> None:
    """host.reboot: wants the host disabled and nothing else; answers at once, acts 10 s later, under whatever VMs run there."""
    _begin(call, host)
    call.server.spawn(_reboot, call.server, host)


def shutdown(call: Call, host: str) -> None:
    """host.shutdown: as reboot, but the host stays down."""
    _begin(call, host)
    call.server.spawn(_shut_down, call.server, host)


def _begin(call: Call, host: str) -> None:
    with call.db.lock:
        row = hosts.live(call, host)
        if row["enabled"]:
            raise Failure("HOST_NOT_DISABLED")
        # host.reboot shows as `shutdown` as well (recorded on a running xapi).
        call.db.set("host", host, current_operations={call.task: "shutdown"})
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
    server.power(host, on=False)
    if protected:
        server.spawn(_restart_elsewhere, server, host)


def _restart_elsewhere(server: Server, host: str) -> None:
    """High availability: a new coordinator if need be; the VMs of the failed host are halted, the protected ones start elsewhere."""
    db = server.db
    if host == server.coordinator:
        heirs = [other for other in db.refs("host") if other != host and objects.is_live(db, other)]
        if not heirs:
            return
        server.failover(heirs[0], old_answers=False)
    with db.lock:
        for vm in hosts.guests(db, host):
            protected = db.get("VM", vm)["ha_restart_priority"] == "restart"
            vm_lifecycle.halt(db, vm)
            if protected and placement.possible(db, vm):
                vm_lifecycle.start_now(db, vm, placement.choose(db, vm, server.random))


def come_up(server: Server, host: str) -> None:
    """A boot: live first, then enabled, then the VFs, then the VMs that start by themselves. Blocks until all is done."""
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
        _start_by_themselves(db, host)


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


def _start_by_themselves(db: Database, host: str) -> None:
    """other_config:auto_poweron, where the pool has it switched on as well (xapi: helpers.ml, vm auto power on)."""
    if objects.pool_of(db)[1]["other_config"].get("auto_poweron", "true") != "true":
        return
    for vm, row in list(db.rows("VM")):
        wanted = row["other_config"].get("auto_poweron") == "true" and row["power_state"] == "Halted"
        if wanted and not row["is_a_template"] and placement.passes(db, vm, host) and row["affinity"] in {NULL, host}:
            vm_lifecycle.start_now(db, vm, host)


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
