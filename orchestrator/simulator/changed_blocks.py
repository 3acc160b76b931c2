"""Changed-block tracking: what differs between two disks, which a block that was written with what it had does not."""

import base64
from typing import Final

from orchestrator.simulator import disks, durations, objects, storage
from orchestrator.simulator.call import Call
from orchestrator.simulator.contents import BLOCK
from orchestrator.simulator.database import Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.registry import Messages

NO_CONTENT: Final = "/No content: this is a cbt_metadata VDI/"


def enable(call: Call, self: str) -> None:
    """VDI.enable_cbt: idempotent, also while a VM runs on it."""
    _set_tracking(call, self, enabled=True)


def disable(call: Call, self: str) -> None:
    """VDI.disable_cbt: idempotent; snapshots keep theirs."""
    _set_tracking(call, self, enabled=False)


def _set_tracking(call: Call, vdi: str, *, enabled: bool) -> None:
    with call.db.lock:
        row = _with_content(call, vdi)
        if row["is_a_snapshot"]:
            raise Failure("OPERATION_NOT_ALLOWED", f"VDI is a snapshot: {vdi}")
        call.db.set("VDI", vdi, cbt_enabled=enabled)


def _with_content(call: Call, vdi: str) -> Row:
    row = call.handle("VDI", vdi)
    storage.assert_plugged(call.db, row["SR"])
    if row["type"] == "cbt_metadata":
        raise Failure("VDI_INCOMPATIBLE_TYPE", vdi, "CBT metadata")
    return row


def data_destroy(call: Call, self: str) -> None:
    """VDI.data_destroy: only the metadata of a tracked snapshot stays; a VBD on it is waited for, then refused. Again: fine."""
    with call.db.lock:
        row = call.handle("VDI", self)
        if not row["is_a_snapshot"]:
            raise Failure("OPERATION_NOT_ALLOWED", f"VDI is not a snapshot: {self}")
        if not row["cbt_enabled"]:
            raise Failure("VDI_NO_CBT_METADATA", self)
    if row["VBDs"]:
        call.work(durations.VBD_GOES)
    with call.db.lock:
        row = call.handle("VDI", self)
        if row["VBDs"]:
            raise Failure("VDI_IN_USE", self, "data_destroy")
        config = objects.with_key(row["other_config"], "content_id", NO_CONTENT)
        call.db.set("VDI", self, type="cbt_metadata", other_config=config)
        disks.refresh(call.db, self)


def list_changed_blocks(call: Call, vdi_from: str, vdi_to: str) -> str:
    """VDI.list_changed_blocks: base64 of a bitmap, one bit for 64 KiB of the later disk, the first one the highest of its byte."""
    with call.db.lock:
        first, second = call.handle("VDI", vdi_from), call.handle("VDI", vdi_to)
        for vdi, row in ((vdi_from, first), (vdi_to, second)):
            if not row["cbt_enabled"]:
                raise Failure("VDI_NO_CBT_METADATA", vdi)
        earlier, later = disks.content(call.db, vdi_from), disks.content(call.db, vdi_to)
    blocks = -(-int(second["virtual_size"]) // BLOCK)
    bitmap = bytearray(-(-blocks // 8))
    for number in earlier.changed(later, blocks):
        bitmap[number // 8] |= 0x80 >> number % 8
    return base64.b64encode(bitmap).decode()


def get_nbd_info(call: Call, self: str) -> list[dict[str, str]]:
    """VDI.get_nbd_info: empty, for there is no NBD server."""
    _with_content(call, self)
    return []


MESSAGES: Messages = {
    "VDI.enable_cbt": enable,
    "VDI.disable_cbt": disable,
    "VDI.data_destroy": data_destroy,
    "VDI.list_changed_blocks": list_changed_blocks,
    "VDI.get_nbd_info": get_nbd_info,
}
