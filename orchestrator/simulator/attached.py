"""A disk that a host reads or writes itself, attached to its domain 0, for transfers."""

import contextlib
from collections.abc import Iterator

from orchestrator.simulator import durations, objects, placement, space, transfers, vbds
from orchestrator.simulator.contents import Content
from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server
from orchestrator.simulator.transfers import Asked
from orchestrator.simulator.wire import http as wire


def assert_seen_here(asked: Asked, sr: str) -> None:
    """A host that has the SR not plugged sends the client to one that has, with the whole query (export_raw_vdi.ml)."""
    db = asked.server.db
    if placement.sees(db, sr, asked.host):
        return
    for host in db.refs("host"):
        if placement.sees(db, sr, host) and objects.is_live(db, host):
            location = asked.server.secure_url(host) + asked.request.path
            raise transfers.Page(wire.bare("302 Found", f"Location: {location}"))
    raise transfers.trouble(f"SR_HAS_NO_PBDS: [ {sr} ]")


@contextlib.contextmanager
def plugged(asked: Asked, vdi: str, mode: str) -> Iterator[Content]:
    """The disk is attached to the host's domain 0 meanwhile, and stays busy a little longer than the transfer.

    Domain 0 is exempt from the sharing check on its own host; another host's running VM keeps its disk for itself (the storage driver).
    """
    db, server = asked.server.db, asked.server
    with db.lock:
        row = asked.call.handle("VDI", vdi)
        if row["type"] == "cbt_metadata":
            raise Failure("VDI_INCOMPATIBLE_TYPE", vdi, "CBT metadata")
        _assert_not_elsewhere(db, vdi, asked.host)
        vbd = vbds.attach_to_control_domain(db, asked.host, vdi, mode)
        content = space.content(db, vdi)
    try:
        yield content
    finally:
        with db.lock:
            if db.exists("VDI", vdi) and db.get("VDI", vdi).get("_content") is content:
                space.account(db, vdi)
        busy = server.faults.busy if server.faults.busy is not None else durations.DISK_BUSY * server.speed
        if busy > 0:
            server.spawn(_let_go_later, server, vbd, busy)
        else:
            _let_go(db, vbd)


def write(asked: Asked, vdi: str, content: Content, offset: int, data: bytes) -> None:
    """Write to a disk that is plugged; VDI_IO_ERROR when it does not fit on the disk, or the SR has no more room."""
    size = int(asked.server.db.get("VDI", vdi)["virtual_size"])
    content.write(offset, data[: max(0, size - offset)])
    space.assert_written(asked.server.db, vdi, content)
    if offset + len(data) > size:
        raise Failure("VDI_IO_ERROR", "Device I/O errors")


def _let_go_later(server: Server, vbd: str, seconds: float) -> None:
    server.pause(seconds)
    _let_go(server.db, vbd)


def _let_go(db: Database, vbd: str) -> None:
    with db.lock:
        if db.exists("VBD", vbd):
            vbds.remove(db, vbd)


def _assert_not_elsewhere(db: Database, vdi: str, host: str) -> None:
    for vbd in db.get("VDI", vdi)["VBDs"]:
        row = db.get("VBD", vbd)
        if row["currently_attached"] and row["mode"] == "RW" and db.get("VM", row["VM"])["resident_on"] != host:
            detail = f"The VDI is not available [opterr=VDI {db.get('VDI', vdi)['uuid']} already attached RW]"
            raise Failure("SR_BACKEND_FAILURE_46", "", detail, "")
