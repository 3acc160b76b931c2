"""Which operations a VM allows, in xapi's order of checks, and the bookkeeping of those that are under way."""

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from orchestrator.simulator import objects
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure

HALTED: Final = frozenset({"Halted"})
RUNNING: Final = frozenset({"Running"})
ALL: Final = frozenset({"Halted", "Paused", "Suspended", "Running"})
ORDER: Final = ("Halted", "Paused", "Suspended", "Running")

# Power states in which an operation may begin (xapi_vm_lifecycle.ml: allowed_power_states).
POWER_STATES: Final[dict[str, frozenset[str]]] = {
    "snapshot": ALL,
    "revert": ALL,
    "reverting": ALL,
    "metadata_export": ALL,
    "power_state_reset": ALL,
    "query_services": RUNNING,
    "checkpoint": frozenset({"Paused", "Suspended", "Running"}),
    "hard_shutdown": frozenset({"Paused", "Suspended", "Running"}),
    "hard_reboot": frozenset({"Paused", "Running"}),
    "clone": HALTED,
    "copy": HALTED,
    "start": HALTED,
    "start_on": HALTED,
    "provision": HALTED,
    "make_into_template": HALTED,
    "changing_static_range": HALTED,
    "changing_shadow_memory": HALTED,
    "changing_NVRAM": HALTED,
    "create_vtpm": HALTED,
    "changing_dynamic_range": frozenset({"Halted", "Running"}),
    "migrate_send": frozenset({"Halted", "Suspended", "Running"}),
    "destroy": frozenset({"Halted", "Suspended"}),
    "export": frozenset({"Halted", "Suspended"}),
    "pause": RUNNING,
    "unpause": frozenset({"Paused"}),
    "clean_shutdown": RUNNING,
    "clean_reboot": RUNNING,
    "suspend": RUNNING,
    "pool_migrate": RUNNING,
    "sysprep": RUNNING,
    "resume": frozenset({"Suspended"}),
    "resume_on": frozenset({"Suspended"}),
}
# What allowed_operations lists: not what is only for xapi's own use, and not the operations that always go.
LISTED: Final = tuple(name for name in POWER_STATES if name not in {"power_state_reset", "query_services", "reverting"})

WITH_A_TEMPLATE: Final = frozenset(
    {
        "changing_NVRAM",
        "changing_dynamic_range",
        "changing_shadow_memory",
        "changing_static_range",
        "clone",
        "copy",
        "export",
        "metadata_export",
        "provision",
    }
)
WITH_A_SNAPSHOT: Final = frozenset({"revert", "clone", "copy", "export", "destroy", "hard_shutdown", "metadata_export"})
REFUSED_WITH_A_PCI: Final = frozenset({"suspend", "checkpoint", "pool_migrate", "migrate_send"})
REFUSED_WITH_A_VUSB: Final = frozenset({"snapshot", "suspend", "checkpoint", "pool_migrate", "migrate_send"})
# What needs the guest's agent (xapi_vm_lifecycle.ml: check_op_for_feature).
REFUSED_WITHOUT_TOOLS: Final = frozenset({"clean_shutdown", "clean_reboot", "suspend", "checkpoint", "pool_migrate", "migrate_send"})
TOGETHER: Final = (frozenset({"clone", "copy", "export"}), frozenset({"snapshot", "checkpoint"}))
# A hard shutdown does not wait for these, it cancels them (message_forwarding.ml: hard_shutdown).
CANCELLED_BY_FORCE: Final = frozenset({"clean_shutdown", "clean_reboot", "hard_reboot", "pool_migrate", "suspend"})
BUSY: Final = "OTHER_OPERATION_IN_PROGRESS"
PATIENCE: Final = 2 * 3600.0


def refusal(vm: str, row: Row, operation: str) -> Failure | None:
    """Why the VM does not allow the operation now, or None (xapi_vm_lifecycle.ml: check_operation_error, in its order)."""
    if operation in row["blocked_operations"]:
        return Failure("OPERATION_BLOCKED", vm, row["blocked_operations"][operation])
    copies_a_checkpoint = operation in {"clone", "copy"} and row["is_a_snapshot"] and row["power_state"] == "Suspended"
    if row["power_state"] not in POWER_STATES[operation] and not copies_a_checkpoint:
        return bad_power_state(vm, row, POWER_STATES[operation])
    current = list(row["current_operations"].values())
    if current and not _goes_with(operation, current):
        return Failure(BUSY, "VM." + (current[0] if len(current) == 1 else "{" + ",".join(current) + "}"), vm)
    return _refused_by_kind(vm, row, operation) or _refused_by_devices(vm, row, operation)


def _refused_by_kind(vm: str, row: Row, operation: str) -> Failure | None:
    if row["is_a_snapshot"]:
        return None if operation in WITH_A_SNAPSHOT else Failure("VM_IS_SNAPSHOT", vm, operation)
    if row["is_a_template"]:
        fine = operation in WITH_A_TEMPLATE or (operation == "destroy" and not row["is_default_template"])
        return None if fine else Failure("VM_IS_TEMPLATE", vm, operation)
    if operation == "provision":
        return Failure("PROVISION_ONLY_ALLOWED_ON_TEMPLATE")
    if operation == "revert":
        return Failure("REVERT_ONLY_ALLOWED_ON_SNAPSHOT")
    if row["is_control_domain"] and operation not in {"metadata_export", "changing_dynamic_range", "power_state_reset"}:
        return Failure("OPERATION_NOT_ALLOWED", "Operations on domain 0 are not allowed")
    return None


def _refused_by_devices(vm: str, row: Row, operation: str) -> Failure | None:
    if row.get("_guest") == "bare" and row["power_state"] == "Running" and operation in REFUSED_WITHOUT_TOOLS:
        return Failure("VM_LACKS_FEATURE", vm)
    if row["attached_PCIs"] and operation in REFUSED_WITH_A_PCI:
        return Failure("VM_HAS_PCI_ATTACHED", vm)
    if row["VUSBs"] and operation in REFUSED_WITH_A_VUSB:
        return Failure("VM_HAS_VUSBS", vm)
    return None


def _goes_with(operation: str, current: list[str]) -> bool:
    if operation == "hard_shutdown" and CANCELLED_BY_FORCE.issuperset(current):
        return True
    return any(operation in group and group.issuperset(current) for group in TOGETHER)


def bad_power_state(vm: str, row: Row, wanted: frozenset[str]) -> Failure:
    """The failure of a wrong power state: expected and actual in lower case, as xapi writes them there."""
    expected = ", ".join(state.lower() for state in ORDER if state in wanted)
    return Failure("VM_BAD_POWER_STATE", vm, expected, row["power_state"].lower())


def allowed(vm: str, row: Row) -> list[str]:
    """What allowed_operations says of such a row: nothing while an operation runs."""
    if row["current_operations"]:
        return []
    return [operation for operation in LISTED if refusal(vm, row, operation) is None]


def refresh(db: Database, vm: str) -> None:
    """Write allowed_operations anew, as xapi does when an operation or a power state ends."""
    db.set("VM", vm, allowed_operations=allowed(vm, db.get("VM", vm)))


def check(call: Call, vm: str, operation: str) -> Row:
    """The VM's row when the operation is allowed now; raises the refusal, waits for nothing."""
    row = call.handle("VM", vm)
    failure = refusal(vm, row, operation)
    if failure:
        raise failure
    return row


@contextlib.contextmanager
def during(call: Call, vm: str, operation: str) -> Iterator[None]:
    """Hold the operation in current_operations while the block runs.

    A VM that is busy is waited for, up to two hours, and then judged by its new state: xapi blocks and retries
    rather than answering OTHER_OPERATION_IN_PROGRESS (recorded on a running xapi).
    """
    _begin(call, vm, operation)
    try:
        yield
    finally:
        let_go(call, vm)


def hold(call: Call, vm: str, operation: str) -> None:
    """The operation is in current_operations until it is let go; with the lock held."""
    running = objects.with_key(call.db.get("VM", vm)["current_operations"], call.task, operation)
    call.db.set("VM", vm, current_operations=running, allowed_operations=[])


def let_go(call: Call, vm: str) -> None:
    """The call's operation is over."""
    with call.db.lock:
        if call.db.exists("VM", vm):
            running = objects.without_key(call.db.get("VM", vm)["current_operations"], call.task)
            call.db.set("VM", vm, current_operations=running)
            refresh(call.db, vm)


def _assert_reachable(call: Call, row: Row, operation: str) -> None:
    """A call for a VM that runs goes to its host; HOST_OFFLINE [host] when that is down (message_forwarding.ml)."""
    host = row["resident_on"]
    if operation != "power_state_reset" and host != objects.NULL and not objects.is_live(call.db, host):
        raise Failure("HOST_OFFLINE", host)


def _begin(call: Call, vm: str, operation: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        with call.db.lock:
            row = call.handle("VM", vm)
            failure = refusal(vm, row, operation)
            if failure is None:
                _assert_reachable(call, row, operation)
                hold(call, vm, operation)
                return
            if failure.details[0] != BUSY or time.monotonic() > give_up:
                raise failure
            call.db.changed.wait(1.0)
        call.check()
