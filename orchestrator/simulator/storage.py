"""SRs and PBDs: what has to be plugged where."""

from typing import Any, Final

from orchestrator.simulator import objects
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.registry import Messages

# What an NFS SR can (recorded on a running xapi); it does not shrink when PBDs are unplugged.
ALLOWED: Final = (
    "pbd_create",
    "pbd_destroy",
    "plug",
    "scan",
    "unplug",
    "update",
    "vdi_clone",
    "vdi_create",
    "vdi_data_destroy",
    "vdi_destroy",
    "vdi_disable_cbt",
    "vdi_enable_cbt",
    "vdi_list_changed_blocks",
    "vdi_mirror",
    "vdi_resize",
    "vdi_set_on_boot",
    "vdi_snapshot",
)


def assert_plugged(db: Database, sr: str) -> None:
    """Raise SR_HAS_NO_PBDS unless the coordinator, or for a local SR its host, has it plugged."""
    row = db.get("SR", sr)
    coordinator = objects.coordinator_of(db)
    for pbd in row["PBDs"]:
        held = db.get("PBD", pbd)
        if held["currently_attached"] and (held["host"] == coordinator or not row["shared"]):
            return
    raise Failure("SR_HAS_NO_PBDS", sr)


def refresh(db: Database, sr: str) -> None:
    """Write allowed_operations anew: `forget` only once no PBD is plugged."""
    plugged = any(db.get("PBD", pbd)["currently_attached"] for pbd in db.get("SR", sr)["PBDs"])
    db.set("SR", sr, allowed_operations=list(ALLOWED) if plugged else ["forget", *ALLOWED])


def scan(call: Call, sr: str) -> None:
    """SR.scan."""
    with call.db.lock:
        call.handle("SR", sr)
        assert_plugged(call.db, sr)


def update(call: Call, sr: str) -> None:
    """SR.update: nothing to do."""
    call.handle("SR", sr)


def create(call: Call, host: str, device_config: dict[str, str], physical_size: int, *rest: Any) -> str:
    """SR.create: only of the types that the pool has a driver for; plugged on the host, or on every host when it is shared."""
    name_label, name_description, kind, content_type, shared, sm_config = rest
    with call.db.lock:
        call.handle("host", host)
        if kind not in get_supported_types(call):
            raise Failure("SR_UNKNOWN_DRIVER", kind)
        given = {"name_label": name_label, "name_description": name_description, "sm_config": sm_config, "shared": shared}
        sr = str(call.db.create("SR", type=kind, content_type=content_type, physical_size=physical_size or 1 << 40, **given))
        for one in call.db.refs("host") if shared else [host]:
            call.db.create("PBD", host=one, SR=sr, device_config=device_config, currently_attached=True)
        refresh(call.db, sr)
        return sr


def destroy(call: Call, sr: str) -> None:
    """SR.destroy and SR.forget: refused while a PBD is plugged; take the records of PBDs and VDIs along."""
    with call.db.lock:
        row = call.handle("SR", sr)
        if any(call.db.get("PBD", pbd)["currently_attached"] for pbd in row["PBDs"]):
            raise Failure("SR_HAS_PBD", sr)
        for pbd in row["PBDs"]:
            call.db.destroy("PBD", pbd)
        for vdi in row["VDIs"]:
            for vbd in call.db.get("VDI", vdi)["VBDs"]:
                call.db.destroy("VBD", vbd)
            call.db.destroy("VDI", vdi)
        call.db.destroy("SR", sr)


def get_supported_types(call: Call) -> list[str]:
    """SR.get_supported_types: those that have an SM record."""
    return [row["type"] for _, row in call.db.rows("SM")]


def set_name_label(call: Call, sr: str, value: str) -> None:
    """SR.set_name_label."""
    call.handle("SR", sr)
    call.db.set("SR", sr, name_label=value)


def set_name_description(call: Call, sr: str, value: str) -> None:
    """SR.set_name_description."""
    call.handle("SR", sr)
    call.db.set("SR", sr, name_description=value)


# -- PBD ---------------------------------------------------------------------------------------------------


def create_pbd(call: Call, args: dict[str, Any]) -> str:
    """PBD.create: one for each host and SR."""
    with call.db.lock:
        call.handle("host", args["host"])
        for pbd in call.handle("SR", args["SR"])["PBDs"]:
            if call.db.get("PBD", pbd)["host"] == args["host"]:
                raise Failure("PBD_EXISTS", args["SR"], args["host"], pbd)
        given = {field: args[field] for field in ("host", "SR", "device_config", "other_config") if field in args}
        return str(call.db.create("PBD", currently_attached=False, **given))


def destroy_pbd(call: Call, self: str) -> None:
    """PBD.destroy: refused while plugged."""
    with call.db.lock:
        if call.handle("PBD", self)["currently_attached"]:
            raise Failure("OPERATION_NOT_ALLOWED", "PBD is currently attached")
        call.db.destroy("PBD", self)


def plug(call: Call, self: str) -> None:
    """PBD.plug: fine when it is plugged already."""
    _set_plugged(call, self, attached=True)


def unplug(call: Call, self: str) -> None:
    """PBD.unplug: refused while a VM on that host uses a disk of the SR."""
    _set_plugged(call, self, attached=False)


def _set_plugged(call: Call, pbd: str, *, attached: bool) -> None:
    with call.db.lock:
        row = call.handle("PBD", pbd)
        if not objects.is_live(call.db, row["host"]):
            raise Failure("HOST_OFFLINE", row["host"])
        if row["currently_attached"] == attached:
            return
        if not attached:
            _assert_unused(call.db, row)
        call.db.set("PBD", pbd, currently_attached=attached)
        refresh(call.db, row["SR"])


def _assert_unused(db: Database, pbd: Row) -> None:
    for vdi in db.get("SR", pbd["SR"])["VDIs"]:
        for vbd in db.get("VDI", vdi)["VBDs"]:
            row = db.get("VBD", vbd)
            if row["currently_attached"] and db.get("VM", row["VM"])["resident_on"] == pbd["host"]:
                raise Failure("VDI_IN_USE", vdi)


MESSAGES: Messages = {
    "SR.scan": scan,
    "SR.update": update,
    "SR.create": create,
    "SR.destroy": destroy,
    "SR.forget": destroy,
    "SR.get_supported_types": get_supported_types,
    "SR.set_name_label": set_name_label,
    "SR.set_name_description": set_name_description,
    "PBD.create": create_pbd,
    "PBD.destroy": destroy_pbd,
    "PBD.plug": plug,
    "PBD.unplug": unplug,
}
