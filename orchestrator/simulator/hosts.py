"""Hosts: enabled and disabled, emptied, and what a client may ask of them."""

import contextlib
from collections.abc import Iterator
from typing import Final

from orchestrator.simulator import durations, objects, operations, placement, vm_migration
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages

# There is no `disable` operation; vm_start and provision stay listed while disabled (recorded on a running xapi).
ENABLED: Final = ("enable", "evacuate", "provision", "vm_migrate", "vm_resume", "vm_start")
DISABLED: Final = ("apply_updates", "enable", "evacuate", "provision", "reboot", "shutdown", "vm_migrate", "vm_resume", "vm_start")
GOING_DOWN: Final = ("enable", "evacuate", "shutdown", "vm_start")


def refresh(db: Database, host: str) -> None:
    """Write allowed_operations anew."""
    row = db.get("host", host)
    allowed = GOING_DOWN if "shutdown" in row["current_operations"].values() else ENABLED if row["enabled"] else DISABLED
    db.set("host", host, allowed_operations=list(allowed))


def set_enabled(db: Database, host: str, *, enabled: bool) -> None:
    """Write whether VMs may start there."""
    db.set("host", host, enabled=enabled)
    refresh(db, host)


def live(call: Call, host: str) -> Row:
    """The host's row; HOST_OFFLINE [host] when the call cannot be forwarded to it."""
    row = call.handle("host", host)
    if not objects.is_live(call.db, host):
        raise Failure("HOST_OFFLINE", host)
    return row


def disable(call: Call, host: str, auto_enable: bool) -> None:
    """host.disable: idempotent; with `auto_enable` false the host stays disabled when its toolstack starts again."""
    with call.db.lock:
        live(call, host)
        call.db.set("host", host, _auto_enable=auto_enable)
        set_enabled(call.db, host, enabled=False)


def enable(call: Call, host: str) -> None:
    """host.enable: idempotent; HOST_STILL_BOOTING while the host is not ready."""
    with call.db.lock:
        if live(call, host).get("_booting"):
            raise Failure("HOST_STILL_BOOTING")
        call.db.set("host", host, _auto_enable=True)
        set_enabled(call.db, host, enabled=True)


# -- evacuation ----------------------------------------------------------------------------------------------


def guests(db: Database, host: str) -> list[str]:
    """The VMs on the host that are not its control domain."""
    resident = db.get("host", host)["resident_VMs"]
    return [vm for vm in resident if not db.get("VM", vm)["is_control_domain"]]


def hindrances(db: Database, host: str) -> dict[str, Failure]:
    """Why each VM that cannot leave the host cannot (xapi_host.ml: compute_evacuation_plan)."""
    found: dict[str, Failure] = {}
    others = [other for other in db.refs("host") if other != host]
    protected_only = objects.pool_of(db)[1]["ha_enabled"]
    for vm in guests(db, host):
        row = db.get("VM", vm)
        reason = operations.refusal(vm, row, "pool_migrate") if row["power_state"] == "Running" else None
        if reason is None and protected_only and row["ha_restart_priority"] != "restart":
            reason = Failure("HOST_NOT_ENOUGH_FREE_MEMORY", vm)
        reason = reason or placement.movable(db, vm, others)
        if reason is not None:
            found[vm] = reason
    return found


def get_vms_which_prevent_evacuation(call: Call, self: str) -> dict[str, list[str]]:
    """host.get_vms_which_prevent_evacuation: {vm: [CODE, params...]}."""
    with call.db.lock:
        call.handle("host", self)
        return {vm: reason.details for vm, reason in hindrances(call.db, self).items()}


def assert_can_evacuate(call: Call, host: str) -> None:
    """host.assert_can_evacuate: CANNOT_EVACUATE_HOST with one parameter for all VMs: CODE,param joined by "|"."""
    with call.db.lock:
        call.handle("host", host)
        reasons = hindrances(call.db, host).values()
    if reasons:
        raise Failure("CANNOT_EVACUATE_HOST", "|".join(",".join(reason.details) for reason in reasons))


@contextlib.contextmanager
def during(call: Call, host: str, operation: str) -> Iterator[None]:
    """Hold the operation in the host's current_operations while the block runs."""
    row = live(call, host)
    call.db.set("host", host, current_operations=objects.with_key(row["current_operations"], call.task, operation))
    try:
        yield
    finally:
        with call.db.lock:
            if call.db.exists("host", host):
                running = objects.without_key(call.db.get("host", host)["current_operations"], call.task)
                call.db.set("host", host, current_operations=running)


def evacuate(call: Call, host: str, network: str, evacuate_batch_size: int) -> None:
    """host.evacuate: nothing moves when one VM cannot; neither disables nor enables the host."""
    with during(call, host, "evacuate"):
        with call.db.lock:
            for reason in hindrances(call.db, host).values():
                raise reason
            leaving = guests(call.db, host)
        _send_away(call, host, leaving)


def _send_away(call: Call, host: str, leaving: list[str]) -> None:
    for done, vm in enumerate(leaving):
        call.progress(done / len(leaving))
        if not call.db.exists("VM", vm) or call.db.get("VM", vm)["resident_on"] != host:
            continue  # it went by itself meanwhile
        with operations.during(call, vm, "pool_migrate"):
            with call.db.lock:
                others = [other for other in placement.possible(call.db, vm) if other != host]
            if not others:
                raise Failure("NO_HOSTS_AVAILABLE", vm)
            vm_migration.move(call, vm, call.server.random.choice(others))


def get_uncooperative_resident_VMs(call: Call, self: str) -> list[str]:
    """host.get_uncooperative_resident_VMs: always none."""
    call.handle("host", self)
    return []


def retrieve_wlb_evacuate_recommendations(call: Call, self: str) -> dict[str, list[str]]:
    """host.retrieve_wlb_evacuate_recommendations: there is no workload balancing."""
    raise Failure("WLB_NOT_INITIALIZED")


# -- questions -----------------------------------------------------------------------------------------------


def get_server_certificate(call: Call, host: str) -> str:
    """host.get_server_certificate: the PEM of what its listener shows with TLS."""
    live(call, host)
    return call.server.certificate(host).pem


def get_servertime(call: Call, host: str) -> str:
    """host.get_servertime and get_server_localtime: the host's clock, in UTC."""
    live(call, host)
    return objects.now_text()


def compute_free_memory(call: Call, host: str) -> int:
    """host.compute_free_memory: what is left when each resident VM has all it may have."""
    with call.db.lock:
        row = live(call, host)
        used = sum(call.db.get("VM", vm)["memory_dynamic_max"] for vm in row["resident_VMs"])
        return max(0, int(call.db.get("host_metrics", row["metrics"])["memory_total"] - used))


def get_management_interface(call: Call, host: str) -> str:
    """host.get_management_interface."""
    with call.db.lock:
        for pif in call.handle("host", host)["PIFs"]:
            if call.db.get("PIF", pif)["management"]:
                return str(pif)
    return NULL


def list_methods(call: Call) -> list[str]:
    """host.list_methods: every message there is."""
    return sorted(call.db.schema.messages)


def call_plugin(call: Call, host: str, plugin: str, fn: str, args: dict[str, str]) -> str:
    """host.call_plugin: the simulator's hosts have none."""
    live(call, host)
    raise Failure("XENAPI_MISSING_PLUGIN", plugin)


def has_extension(call: Call, host: str, name: str) -> bool:
    """host.has_extension: none."""
    live(call, host)
    return False


def restart_agent(call: Call, host: str) -> None:
    """host.restart_agent: answers, then the toolstack goes down and comes back; guests run on, connections and tasks are cut."""
    live(call, host)
    server = call.server

    def later() -> None:
        server.pause(0.2)  # the answer must be out before the connections are cut
        server.restart_toolstack(host, durations.TOOLSTACK_RESTART * server.speed)

    server.spawn(later)


MESSAGES: Messages = {
    "host.disable": disable,
    "host.enable": enable,
    "host.evacuate": evacuate,
    "host.assert_can_evacuate": assert_can_evacuate,
    "host.get_vms_which_prevent_evacuation": get_vms_which_prevent_evacuation,
    "host.get_uncooperative_resident_VMs": get_uncooperative_resident_VMs,
    "host.retrieve_wlb_evacuate_recommendations": retrieve_wlb_evacuate_recommendations,
    "host.get_server_certificate": get_server_certificate,
    "host.get_servertime": get_servertime,
    "host.get_server_localtime": get_servertime,
    "host.compute_free_memory": compute_free_memory,
    "host.get_management_interface": get_management_interface,
    "host.list_methods": list_methods,
    "host.call_plugin": call_plugin,
    "host.has_extension": has_extension,
    "host.restart_agent": restart_agent,
}
