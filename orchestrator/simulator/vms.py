"""VMs as records: made, cloned, copied, provisioned, destroyed; the setters that do more than set."""

from typing import Any, Final

from orchestrator.simulator import disks, durations, objects, operations, placement, space, storage, vbds, vifs
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages

# What no copy of a VM takes over: its identity, what it is doing, what refers to it, what is computed.
OWN: Final = frozenset(
    {
        "uuid",
        "allowed_operations",
        "current_operations",
        "power_state",
        "resident_on",
        "scheduled_to_be_resident_on",
        "domid",
        "domarch",
        "metrics",
        "guest_metrics",
        "consoles",
        "VIFs",
        "VBDs",
        "VUSBs",
        "VTPMs",
        "VGPUs",
        "crash_dumps",
        "attached_PCIs",
        "suspend_VDI",
        "is_a_template",
        "is_default_template",
        "is_control_domain",
        "is_a_snapshot",
        "snapshot_of",
        "snapshots",
        "snapshot_time",
        "snapshot_info",
        "snapshot_metadata",
        "transportable_snapshot_id",
        "parent",
        "children",
        "blobs",
        "name_label",
        "other_config",
        "ha_restart_priority",
        "ha_always_run",
        "requires_reboot",
    }
)


def make(db: Database, **fields: Any) -> str:
    """Create a halted VM's record and its metrics."""
    fields.setdefault("metrics", db.create("VM_metrics"))
    vm = str(db.create("VM", **{"domid": -1, **fields}))
    operations.refresh(db, vm)
    return vm


def duplicate(db: Database, source: str, name: str, **more: Any) -> str:
    """A halted VM record like another, without its VIFs and disks."""
    row = db.get("VM", source)
    kept = {field: value for field, value in row.items() if field not in OWN and field[0] != "_"}
    config = more.pop("other_config", row["other_config"])
    return make(db, **{**kept, "name_label": name, "other_config": config, **more})


def new_seed(call: Call) -> dict[str, str]:
    """VM.create and VM.clone always put a mac_seed."""
    return {"mac_seed": call.db.new_uuid()}


def create(call: Call, args: dict[str, Any]) -> str:
    """VM.create: always halted, whatever power_state was given; sizes are not looked at."""
    given = {field: value for field, value in args.items() if field not in {"power_state", "suspend_VDI", "snapshot_schedule"}}
    given["other_config"] = {**new_seed(call), **given["other_config"]}
    with call.db.lock:
        return make(call.db, **given)


def clone(call: Call, vm: str, new_name: str) -> str:
    """VM.clone: fast, disks are clones; of a template or a snapshot it is a template."""
    with operations.during(call, vm, "clone"):
        call.work(durations.CLONE)
        with call.db.lock:
            return _copy(call, vm, new_name, None)


def copy(call: Call, vm: str, new_name: str, sr: str) -> str:
    """VM.copy: disks are full copies, on another SR if one is given."""
    if sr != NULL:
        call.handle("SR", sr)
    with operations.during(call, vm, "copy"):
        has_disks = any(call.db.get("VBD", vbd)["VDI"] != NULL for vbd in call.handle("VM", vm)["VBDs"])
        call.work(durations.COPY if has_disks else durations.CLONE)
        with call.db.lock:
            return _copy(call, vm, new_name, sr)


def _copy(call: Call, source: str, name: str, sr: str | None) -> str:
    """The new VM: other_config without what marks a default template, new MACs. `sr` None clones the disks, NULL copies them in place."""
    db = call.db
    row = call.handle("VM", source)
    _assert_disks_there(db, row)
    config = {**objects.without_key(row["other_config"], "default_template"), **new_seed(call)}
    if row["is_default_template"]:
        config["base_template_name"] = row["name_label"]
    is_template = row["is_a_template"] or row["is_a_snapshot"]
    made = duplicate(db, source, name, is_a_template=is_template, other_config=config)
    for vif in placement.vif_refs(db, row):
        vifs.copy(db, vif, made, mac=vifs.make_mac(config["mac_seed"], db.get("VIF", vif)["device"]))
    for vbd in row["VBDs"]:
        disk = db.get("VBD", vbd)["VDI"]
        if disk != NULL and db.get("VBD", vbd)["type"] == "Disk":
            disk = disks.make_clone(db, disk) if sr is None else disks.make_copy(db, disk, sr if sr != NULL else db.get("VDI", disk)["SR"])
        vbds.copy(db, vbd, made, disk)
    operations.refresh(db, made)
    return made


def _assert_disks_there(db: Database, row: Row) -> None:
    for vbd in row["VBDs"]:
        disk = db.get("VBD", vbd)["VDI"]
        if disk != NULL and db.exists("VDI", disk):
            storage.assert_plugged(db, db.get("VDI", disk)["SR"])
            space.assert_room(db, db.get("VDI", disk)["SR"])


def provision(call: Call, vm: str) -> None:
    """VM.provision: what was cloned from a template becomes a VM."""
    with operations.during(call, vm, "provision"):
        call.db.set("VM", vm, is_a_template=False, is_default_template=False)


def destroy(call: Call, self: str) -> None:
    """VM.destroy: takes VBD, VIF and metrics records along, never a VDI; a reservation it still held has no owner then."""
    with operations.during(call, self, "destroy"):
        call.work(durations.DESTROY)
        with call.db.lock:
            remove(call.db, self)


def remove(db: Database, vm: str) -> None:
    """Destroy a VM's record and all that belongs to it but its disks."""
    row = db.get("VM", vm)
    for vif in row["VIFs"]:
        vifs.remove(db, vif)
    for vbd in row["VBDs"]:
        vbds.remove(db, vbd)
    for vusb in row["VUSBs"]:
        db.destroy("VUSB", vusb)
    for console in row["consoles"]:
        db.destroy("console", console)
    for cls, ref in (("VM_metrics", row["metrics"]), ("VM_guest_metrics", row["guest_metrics"])):
        if db.exists(cls, ref):
            db.destroy(cls, ref)
    db.destroy("VM", vm)


# -- setters that do more ------------------------------------------------------------------------------------


def set_is_a_template(call: Call, self: str, value: bool) -> None:
    """VM.set_is_a_template: a template cannot be started; a snapshot stays one."""
    with call.db.lock:
        row = call.handle("VM", self)
        if value and row["power_state"] != "Halted":
            raise operations.bad_power_state(self, row, operations.HALTED)
        if row["is_a_snapshot"] and not value:
            raise Failure("OPERATION_NOT_ALLOWED", "VM.set_is_a_template on a snapshot")
        call.db.set("VM", self, is_a_template=value)
        operations.refresh(call.db, self)


def set_blocked_operations(call: Call, self: str, value: dict[str, str]) -> None:
    """VM.set_blocked_operations: allowed_operations follow."""
    with call.db.lock:
        call.handle("VM", self)
        call.db.set("VM", self, blocked_operations=value)
        operations.refresh(call.db, self)


def add_to_blocked_operations(call: Call, self: str, key: str, value: str) -> None:
    """VM.add_to_blocked_operations: allowed_operations follow; removing a block leaves them stale."""
    with call.db.lock:
        blocked = call.handle("VM", self)["blocked_operations"]
        if key in blocked:
            raise Failure("MAP_DUPLICATE_KEY", "VM", "blocked_operations", self, key)
        call.db.set("VM", self, blocked_operations=objects.with_key(blocked, key, value))
        operations.refresh(call.db, self)


def update_allowed_operations(call: Call, self: str) -> None:
    """VM.update_allowed_operations."""
    with call.db.lock:
        call.handle("VM", self)
        operations.refresh(call.db, self)


def assert_operation_valid(call: Call, self: str, op: str) -> None:
    """VM.assert_operation_valid: raises what the operation would."""
    with call.db.lock:
        call.handle("VM", self)
        if op in operations.POWER_STATES:
            operations.check(call, self, op)


def set_ha_restart_priority(call: Call, self: str, value: str) -> None:
    """VM.set_ha_restart_priority: "restart" wants an agile VM."""
    with call.db.lock:
        call.handle("VM", self)
        if value not in {"", "best-effort", "restart"}:
            raise Failure("INVALID_VALUE", "ha_restart_priority", value)
        if value == "restart":
            assert_agile(call, self)
        call.db.set("VM", self, ha_restart_priority=value, ha_always_run=value == "restart")


def assert_agile(call: Call, self: str) -> None:
    """VM.assert_agile: VM_HAS_SRIOV_VIF as soon as a VIF is on an SR-IOV network, running or not (agility.ml)."""
    with call.db.lock:
        row = call.handle("VM", self)
        if placement.sriov_vifs(call.db, row):
            raise Failure("VM_HAS_SRIOV_VIF", self)
        if row["VUSBs"]:
            raise Failure("VM_HAS_VUSBS", self)


def set_memory_static_range(call: Call, self: str, min: int, max: int) -> None:  # noqa: A002 - XenAPI's own names
    """VM.set_memory_static_range: while halted."""
    operations.check(call, self, "changing_static_range")
    call.db.set("VM", self, memory_static_min=min, memory_static_max=max)


def set_memory_dynamic_range(call: Call, self: str, min: int, max: int) -> None:  # noqa: A002 - XenAPI's own names
    """VM.set_memory_dynamic_range."""
    operations.check(call, self, "changing_dynamic_range")
    call.db.set("VM", self, memory_dynamic_min=min, memory_dynamic_max=max)


def set_memory_limits(call: Call, self: str, *limits: int) -> None:
    """VM.set_memory_limits: static_min, static_max, dynamic_min, dynamic_max; while halted."""
    static_min, static_max, dynamic_min, dynamic_max = limits
    if not static_min <= dynamic_min <= dynamic_max <= static_max:
        raise Failure("MEMORY_CONSTRAINT_VIOLATION", "Memory limits must satisfy: static_min <= dynamic_min <= dynamic_max <= static_max")
    set_memory_static_range(call, self, static_min, static_max)
    set_memory_dynamic_range(call, self, dynamic_min, dynamic_max)


def set_memory(call: Call, self: str, value: int) -> None:
    """VM.set_memory: all limits but the static minimum."""
    operations.check(call, self, "changing_static_range")
    call.db.set("VM", self, memory_static_max=value, memory_dynamic_min=value, memory_dynamic_max=value)


MESSAGES: Messages = {
    "VM.create": create,
    "VM.clone": clone,
    "VM.copy": copy,
    "VM.provision": provision,
    "VM.destroy": destroy,
    "VM.set_is_a_template": set_is_a_template,
    "VM.set_blocked_operations": set_blocked_operations,
    "VM.add_to_blocked_operations": add_to_blocked_operations,
    "VM.update_allowed_operations": update_allowed_operations,
    "VM.assert_operation_valid": assert_operation_valid,
    "VM.set_ha_restart_priority": set_ha_restart_priority,
    "VM.assert_agile": assert_agile,
    "VM.set_memory_static_range": set_memory_static_range,
    "VM.set_memory_dynamic_range": set_memory_dynamic_range,
    "VM.set_memory_limits": set_memory_limits,
    "VM.set_memory": set_memory,
}
