"""Changed-block tracking: what was written between two snapshots; a block that was written with what it had counts as not written."""

import base64
from typing import Final

from orchestrator.simulator import disks, durations, objects, space, storage
from orchestrator.simulator.call import Call
from orchestrator.simulator.change_log import ChangeLog
from orchestrator.simulator.contents import BLOCK, Content
from orchestrator.simulator.database import Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.registry import Messages

NO_CONTENT: Final = "/No content: this is a cbt_metadata VDI/"
NBD_PORT: Final = 10809


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
        held = space.content(call.db, vdi)
        if enabled and not row["cbt_enabled"]:
            held.log = ChangeLog()
        elif not enabled and held.log is not None:
            held.log.remove()
            held.log = None
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
        if row["type"] != "cbt_metadata":
            log, bare = space.content(call.db, self).log, Content()
            bare.log = log
            call.db.set("VDI", self, type="cbt_metadata", other_config=config, _content=bare)
            space.give_up(call.db, row)
            space.account(call.db, self)
        disks.refresh(call.db, self)


def list_changed_blocks(call: Call, vdi_from: str, vdi_to: str) -> str:
    """VDI.list_changed_blocks: base64 of a bitmap, one bit for 64 KiB of the later disk, the first one the highest of its byte.

    SR_BACKEND_FAILURE_460 for a disk and itself, and where no chain of logs leads from the one to the other (sm, VDI.py).
    """
    with call.db.lock:
        first, second = call.handle("VDI", vdi_from), call.handle("VDI", vdi_to)
        for vdi, row in ((vdi_from, first), (vdi_to, second)):
            storage.assert_plugged(call.db, row["SR"])
            if not row["cbt_enabled"]:
                raise Failure("VDI_NO_CBT_METADATA", vdi)
        if vdi_from == vdi_to:
            raise _unknown("Source and target VDI are same")
        earlier, later = space.content(call.db, vdi_from).log, space.content(call.db, vdi_to).log
        written = earlier.until(later) if earlier and later else None
        if written is None:
            raise _unknown("Source and target VDI are unrelated")
    blocks = -(-int(second["virtual_size"]) // BLOCK)
    bitmap = bytearray(-(-blocks // 8))
    for number in written:
        if number < blocks:
            bitmap[number // 8] |= 0x80 >> number % 8
    return base64.b64encode(bitmap).decode()


def _unknown(why: str) -> Failure:
    return Failure("SR_BACKEND_FAILURE_460", "", f"Failed to calculate changed blocks for given VDIs. [opterr={why}]", "")


def get_nbd_info(call: Call, self: str) -> list[dict[str, str | int]]:
    """VDI.get_nbd_info: for each address of the hosts that see the SR on a network of purpose nbd (xapi_vdi.ml); nobody serves there."""
    with call.db.lock:
        row = _with_content(call, self)
        found = [(host, address) for host in _seeing(call, row["SR"]) for address in _addresses(call, host)]
        hostnames = {host: call.db.get("host", host)["hostname"] for host, _ in found}
    export = f"/{row['uuid']}?session_id={call.session}"
    return [
        {
            "exportname": export,
            "address": address,
            "port": NBD_PORT,
            "cert": call.server.certificate(host).pem,
            "subject": hostnames[host],
        }
        for host, address in found
    ]


def _seeing(call: Call, sr: str) -> list[str]:
    pbds = (call.db.get("PBD", pbd) for pbd in call.db.get("SR", sr)["PBDs"])
    return [pbd["host"] for pbd in pbds if pbd["currently_attached"]]


def _addresses(call: Call, host: str) -> list[str]:
    """The host's addresses on networks of purpose nbd."""
    found = []
    for pif in call.db.get("host", host)["PIFs"]:
        row = call.db.get("PIF", pif)
        if row["currently_attached"] and "nbd" in call.db.get("network", row["network"])["purpose"]:
            found += [row["IP"]] if row["IP"] else []
            found += [f"[{address}]" for address in row["IPv6"] if address]
    return found


MESSAGES: Messages = {
    "VDI.enable_cbt": enable,
    "VDI.disable_cbt": disable,
    "VDI.data_destroy": data_destroy,
    "VDI.list_changed_blocks": list_changed_blocks,
    "VDI.get_nbd_info": get_nbd_info,
}
