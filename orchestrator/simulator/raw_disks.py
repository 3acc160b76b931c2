"""GET /export_raw_vdi and PUT /import_raw_vdi: the contents of a disk over HTTP."""

import contextlib
from collections.abc import Iterator
from typing import Final

from orchestrator.simulator import disks, durations, objects, placement, transfers, vbds
from orchestrator.simulator.contents import Content
from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server
from orchestrator.simulator.transfers import Answer, Asked
from orchestrator.simulator.wire import http as wire
from orchestrator.simulator.wire import xmlrpc

PIECE: Final = 1 << 20


def routes(server: Server) -> dict[tuple[str, str], wire.Route]:
    """Handlers by verb and path; the least roles are those of datamodel.ml's http_actions."""
    return {
        ("GET", "/export_raw_vdi"): transfers.route(server, "get_export_raw_vdi", "vm-admin", export),
        ("PUT", "/import_raw_vdi"): transfers.route(server, "put_import_raw_vdi", "vm-admin", import_),
    }


def export(asked: Asked) -> Answer:
    """The whole disk, without a Content-Length: the end is the close."""
    vdi = _named(asked)
    _assert_seen_here(asked, asked.server.db.get("VDI", vdi)["SR"])
    asked.begin()
    form = transfers.form(asked)
    uuid = asked.server.db.get("VDI", vdi)["uuid"]
    kind = "application/vhd" if form == "vhd" else "application/octet-stream"
    headers = (f"Content-Type: {kind}", f'Content-Disposition: attachment; filename="{uuid}.{form}"')

    def work(stream: wire.Stream) -> str:
        with _plugged(asked, vdi, "RO") as content:
            _assert_raw(form)
            size = int(asked.server.db.get("VDI", vdi)["virtual_size"])
            for offset in range(0, size, PIECE):
                length = min(PIECE, size - offset)
                stream.write(content.read(offset, length))
                _take_time(asked, length, (offset + length) / size)
        return ""

    return transfers.transfer(asked, headers, work)


def import_(asked: Asked) -> Answer:
    """Overwrites a disk from its beginning, as far as the body goes; without `vdi` but with an SR into a new disk."""
    db = asked.server.db
    vdi = _named(asked) if "vdi" in asked.query else _new(asked)
    _assert_seen_here(asked, db.get("VDI", vdi)["SR"])
    asked.begin()
    form = transfers.form(asked)
    if "transfer-encoding" in asked.request.headers:
        reason = f'Failure("import code cannot handle encoding: {asked.request.headers["transfer-encoding"]}")'
        raise asked.fail(Failure("INTERNAL_ERROR", reason), wire.bare("404 Not Found"))
    length = wire.length_of(asked.request)

    def work(stream: wire.Stream) -> str:
        with _plugged(asked, vdi, "RW") as content:
            _assert_raw(form)
            size, offset = int(db.get("VDI", vdi)["virtual_size"]), 0
            for piece in stream.receive(length):
                content.write(offset, piece[: max(0, size - offset)])
                offset += len(piece)
                if offset > size:
                    raise Failure("VDI_IO_ERROR", "Device I/O errors")
                _take_time(asked, len(piece), offset / length)
        return xmlrpc.encode(vdi)

    return transfers.transfer(asked, ("Content-Type: application/octet-stream",), work)


def _named(asked: Asked) -> str:
    """The disk of the query, by ref or uuid; the 500 page when there is none."""
    db = asked.server.db
    if "vdi" not in asked.query:
        raise transfers.trouble('Failure("Missing vdi query parameter")')
    wanted = asked.query["vdi"]
    found = wanted if db.exists("VDI", wanted) else db.by_uuid("VDI", wanted)
    if found is None:
        raise transfers.trouble(f'Db_exn.Read_missing_uuid("VDI", "", "{wanted}")')
    return found


def _new(asked: Asked) -> str:
    """A disk as large as the body, on the SR of the query; 400 without a page when there is none, or it is no raw disk."""
    db = asked.server.db
    given = asked.query.get("sr_id") or asked.query.get("sr_uuid", "")
    sr = given if db.exists("SR", given) else db.by_uuid("SR", given)
    if sr is None or asked.query.get("format", "raw") != "raw":
        raise transfers.Page(wire.bare("400 Bad Request"))
    with db.lock:
        return disks.make(
            db,
            name_label="Imported VDI",
            SR=sr,
            virtual_size=wire.length_of(asked.request),
            physical_utilisation=0,
            type="user",
            _content=Content(),
        )


def _assert_seen_here(asked: Asked, sr: str) -> None:
    """A host that has the SR not plugged sends the client to one that has, with the whole query (export_raw_vdi.ml)."""
    db = asked.server.db
    if placement.sees(db, sr, asked.host):
        return
    for host in db.refs("host"):
        if placement.sees(db, sr, host) and objects.is_live(db, host):
            location = asked.server.secure_url(host) + asked.request.path
            raise transfers.Page(wire.bare("302 Found", f"Location: {location}"))
    raise transfers.trouble(f"SR_HAS_NO_PBDS: [ {sr} ]")


def _assert_raw(form: str) -> None:
    if form != "raw":
        raise Failure("NOT_IMPLEMENTED", f"transfers of format {form}")


def _take_time(asked: Asked, length: int, done: float) -> None:
    asked.call.work(length / durations.TRANSFER_RATE)
    if done >= 0.5:
        asked.halfway()
    if asked.server.speed > 0 and asked.server.db.exists("task", asked.call.task):
        asked.call.progress(min(done, 1.0))


@contextlib.contextmanager
def _plugged(asked: Asked, vdi: str, mode: str) -> Iterator[Content]:
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
        content = disks.content(db, vdi)
    try:
        yield content
    finally:
        if server.speed > 0:
            server.spawn(_let_go_later, server, vbd)
        else:
            _let_go(db, vbd)


def _let_go_later(server: Server, vbd: str) -> None:
    server.pause(durations.DISK_BUSY * server.speed)
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
