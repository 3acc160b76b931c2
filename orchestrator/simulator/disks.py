"""VDIs: disks, their snapshots and clones, suspend images."""

from typing import Any, Final

from orchestrator.simulator import durations, objects, space, storage
from orchestrator.simulator.call import Call
from orchestrator.simulator.change_log import ChangeLog
from orchestrator.simulator.contents import Content
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages

# allowed_operations never lists the newer operations, whatever the driver can (xapi_vdi.ml, CA-260245).
FREE: Final = ("clone", "copy", "destroy", "forget", "generate_config", "resize", "snapshot", "update")
IN_USE: Final = ("clone", "snapshot")
METADATA: Final = ("destroy", "forget", "generate_config", "update")
COPIED: Final = ("name_label", "name_description", "SR", "virtual_size", "physical_utilisation", "type", "tags", "xenstore_data")
GIVEN: Final = ("name_label", "name_description", "SR", "virtual_size", "type", "sharable", "read_only", "other_config", "xenstore_data")
MIB: Final = 1 << 20


def is_attached(db: Database, row: Row) -> bool:
    """Whether a domain has the disk."""
    return any(db.get("VBD", vbd)["currently_attached"] for vbd in row["VBDs"])


def allowed(db: Database, row: Row) -> list[str]:
    """What allowed_operations says of a disk."""
    if row["type"] == "cbt_metadata":
        return list(METADATA)
    lost = {"snapshot"} if row["sharable"] else {"copy", "snapshot"} if row["on_boot"] == "reset" else set()
    return [operation for operation in (IN_USE if is_attached(db, row) else FREE) if operation not in lost]


def refresh(db: Database, vdi: str) -> None:
    """Write allowed_operations anew."""
    db.set("VDI", vdi, allowed_operations=allowed(db, db.get("VDI", vdi)))


def make(db: Database, **fields: Any) -> str:
    """Create a VDI's record; its location is its uuid, as on file-based storage."""
    uuid = db.new_uuid()
    used = fields.setdefault("physical_utilisation", fields["virtual_size"] // 4)
    vdi = str(db.create("VDI", uuid=uuid, location=uuid, managed=True, **fields))
    if "_content" in fields:
        space.account(db, vdi)
    else:
        space.use(db, fields["SR"], used)
    refresh(db, vdi)
    return vdi


def remove(db: Database, vdi: str) -> None:
    """Destroy a VDI's record and its bytes, and take its VBDs along; a log of changes that it had goes to the next snapshot's."""
    row = db.get("VDI", vdi)
    for vbd in row["VBDs"]:
        db.destroy("VBD", vbd)
    held: Content | None = row.get("_content")
    if held is not None and held.log is not None:
        held.log.remove()
    db.destroy("VDI", vdi)
    space.give_up(db, row)


def make_suspend_image(db: Database, vm: str, sr: str) -> str:
    """The disk for a suspended VM's memory: static_max * 1.26 + 100 MiB (recorded on a running xapi)."""
    size = int(db.get("VM", vm)["memory_static_max"] * 1.26) + 100 * MIB
    return make(
        db, name_label="Suspend image", name_description="Suspend image", SR=sr, virtual_size=size, type="suspend", _content=Content()
    )


def make_snapshot(db: Database, vdi: str) -> str:
    """A snapshot's record: everything of the source is copied, it says what it is a snapshot of, and when.

    When changed blocks are tracked it takes the log of the source, which goes on with a new one.
    """
    row = db.get("VDI", vdi)
    held = space.content(db, vdi)
    made = _fork(db, vdi)
    if row["cbt_enabled"]:
        made.log = held.log or ChangeLog()
        held.log = ChangeLog(made.log)
    more = {"is_a_snapshot": True, "snapshot_of": vdi, "snapshot_time": objects.now_text(), "cbt_enabled": row["cbt_enabled"]}
    return _derived(db, vdi, made, **more)


def make_clone(db: Database, vdi: str) -> str:
    """A clone's record: no snapshot, yet its snapshot_time is now (recorded on a running xapi)."""
    return _derived(db, vdi, _fork(db, vdi), snapshot_time=objects.now_text())


def make_copy(db: Database, vdi: str, sr: str) -> str:
    """A full copy's record, on any SR."""
    space.assert_room(db, sr)
    return _derived(db, vdi, space.content(db, vdi).copy(), SR=sr)


def _fork(db: Database, vdi: str) -> Content:
    """The disk's bytes for another disk; both have a new image over the old one."""
    space.assert_room(db, db.get("VDI", vdi)["SR"])
    space.assert_chain(db, vdi)
    return space.content(db, vdi).snapshot()


def _derived(db: Database, vdi: str, made: Content, **more: Any) -> str:
    row = db.get("VDI", vdi)
    config = objects.without_key(row["other_config"], "content_id")
    kept = {field: row[field] for field in COPIED}
    new = make(db, **{**kept, "other_config": config, "_content": made, **more})
    space.account(db, vdi)
    return new


# -- messages ----------------------------------------------------------------------------------------------


def _ready(call: Call, vdi: str, operation: str) -> Row:
    """The VDI's row when its SR and its users allow the operation."""
    row = call.handle("VDI", vdi)
    storage.assert_plugged(call.db, row["SR"])
    if operation not in {"set", *IN_USE, "update"} and is_attached(call.db, row):
        raise Failure("VDI_IN_USE", vdi, operation)
    if row["type"] == "cbt_metadata" and operation in {"snapshot", "clone", "copy", "resize", "enable_cbt", "disable_cbt"}:
        raise Failure("VDI_INCOMPATIBLE_TYPE", vdi, "CBT metadata")
    if row["sharable"] and operation == "snapshot":
        raise Failure("VDI_IS_SHARABLE", vdi)
    if row["on_boot"] == "reset" and operation in {"snapshot", "copy"}:
        raise Failure("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")
    return row


def create(call: Call, args: dict[str, Any]) -> str:
    """VDI.create: sparse, on an SR that the coordinator sees."""
    call.work(durations.DISK)
    with call.db.lock:
        call.handle("SR", str(args["SR"]))
        storage.assert_plugged(call.db, args["SR"])
        if args["type"] == "cbt_metadata":
            raise Failure("VDI_INCOMPATIBLE_TYPE", "", "CBT metadata")
        space.assert_room(call.db, args["SR"])
        given = {field: args[field] for field in (*GIVEN, "sm_config", "tags") if field in args}
        return make(call.db, **given, physical_utilisation=0, _content=Content())


def destroy(call: Call, self: str) -> None:
    """VDI.destroy: also of a disk of a halted VM, and of one that has snapshots."""
    call.work(durations.DISK)
    with call.db.lock:
        _ready(call, self, "destroy")
        remove(call.db, self)


def forget(call: Call, vdi: str) -> None:
    """VDI.forget: the record goes, the content would stay."""
    with call.db.lock:
        _ready(call, vdi, "forget")
        remove(call.db, vdi)


def snapshot(call: Call, vdi: str, driver_params: dict[str, str]) -> str:
    """VDI.snapshot: also while a VM runs on it."""
    call.work(durations.DISK)
    with call.db.lock:
        _ready(call, vdi, "snapshot")
        return make_snapshot(call.db, vdi)


def clone(call: Call, vdi: str, driver_params: dict[str, str]) -> str:
    """VDI.clone: also while a VM runs on it."""
    call.work(durations.DISK)
    with call.db.lock:
        _ready(call, vdi, "clone")
        return make_clone(call.db, vdi)


def copy(call: Call, vdi: str, sr: str, base_vdi: str, into_vdi: str) -> str:
    """VDI.copy: into a new VDI on the SR, or over a VDI that is large enough."""
    with call.db.lock:
        size = _ready(call, vdi, "copy")["virtual_size"]
        if into_vdi != NULL and call.handle("VDI", into_vdi)["virtual_size"] < size:
            raise Failure("VDI_TOO_SMALL", into_vdi, size)
        if into_vdi == NULL:
            call.handle("SR", sr)
    call.work(durations.COPY)
    with call.db.lock:
        if into_vdi == NULL:
            return make_copy(call.db, vdi, sr)
        target, at = space.content(call.db, into_vdi), 0
        for span in space.content(call.db, vdi).spans(0, size):
            target.write(at, span.bytes())
            at += span.length
        space.account(call.db, into_vdi)
        return into_vdi


def resize(call: Call, vdi: str, size: int) -> None:
    """VDI.resize: never while attached, never smaller (the storage driver's own refusal)."""
    with call.db.lock:
        if size < _ready(call, vdi, "resize")["virtual_size"]:
            raise Failure("SR_BACKEND_FAILURE_79", "", "VDI Invalid size [opterr=shrinking not allowed]", "")
        space.content(call.db, vdi)  # is made for the old size: what is added is empty
        call.db.set("VDI", vdi, virtual_size=size)


def resize_online(call: Call, vdi: str, size: int) -> None:
    """VDI.resize_online: no driver of today offers it."""
    raise Failure("SR_OPERATION_NOT_SUPPORTED", call.handle("VDI", vdi)["SR"])


def revert(call: Call, snapshot: str) -> None:
    """VDI.revert: no driver of today offers it."""
    raise Failure("SR_OPERATION_NOT_SUPPORTED", call.handle("VDI", snapshot)["SR"])


def pool_migrate(call: Call, vdi: str, sr: str, options: dict[str, str]) -> str:
    """VDI.pool_migrate: only of a disk that a running VM has; the disk that is there then."""
    with call.db.lock:
        row = call.handle("VDI", vdi)
        call.handle("SR", sr)
        if not is_attached(call.db, row):
            raise Failure("VDI_NEEDS_VM_FOR_MIGRATE", vdi)
    call.work(durations.COPY)
    with call.db.lock:
        row = call.handle("VDI", vdi)
        held = space.content(call.db, vdi)
        call.db.set("VDI", vdi, SR=sr, cbt_enabled=False, _content=held.copy())
        space.give_up(call.db, row)
        space.account(call.db, vdi)
    return vdi


def set_name_label(call: Call, self: str, value: str) -> None:
    """VDI.set_name_label: goes through the storage, so that it needs a PBD."""
    with call.db.lock:
        _ready(call, self, "set")
        call.db.set("VDI", self, name_label=value)


def set_name_description(call: Call, self: str, value: str) -> None:
    """VDI.set_name_description: as set_name_label."""
    with call.db.lock:
        _ready(call, self, "set")
        call.db.set("VDI", self, name_description=value)


def refuse_set(call: Call, self: str, value: bool) -> None:
    """VDI.set_read_only and set_sharable: only VDI.create can give them."""
    raise Failure("PERMISSION_DENIED", "")


def set_on_boot(call: Call, self: str, value: str) -> None:
    """VDI.set_on_boot: not while a VM runs on it, not with changed-block tracking."""
    with call.db.lock:
        row = _ready(call, self, "set")
        for vbd in row["VBDs"]:
            vm = call.db.get("VBD", vbd)["VM"]
            state = call.db.get("VM", vm)["power_state"]
            if state != "Halted":
                raise Failure("VM_BAD_POWER_STATE", vm, "halted", state.lower())
        if row["cbt_enabled"]:
            raise Failure("VDI_CBT_ENABLED", self)
        call.db.set("VDI", self, on_boot=value)
        refresh(call.db, self)


def update(call: Call, vdi: str) -> None:
    """VDI.update: nothing to do."""
    _ready(call, vdi, "update")


MESSAGES: Messages = {
    "VDI.create": create,
    "VDI.destroy": destroy,
    "VDI.forget": forget,
    "VDI.snapshot": snapshot,
    "VDI.clone": clone,
    "VDI.copy": copy,
    "VDI.resize": resize,
    "VDI.resize_online": resize_online,
    "VDI.revert": revert,
    "VDI.pool_migrate": pool_migrate,
    "VDI.set_name_label": set_name_label,
    "VDI.set_name_description": set_name_description,
    "VDI.set_read_only": refuse_set,
    "VDI.set_sharable": refuse_set,
    "VDI.set_on_boot": set_on_boot,
    "VDI.update": update,
}
