"""GET /export_raw_vdi and PUT /import_raw_vdi: the contents of a disk over HTTP."""

from collections.abc import Iterator

from orchestrator.simulator import attached, disks, space, transfers, vhd
from orchestrator.simulator.body import Body
from orchestrator.simulator.contents import BLOCK, Content, Span
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server
from orchestrator.simulator.transfers import Answer, Asked
from orchestrator.simulator.wire import http as wire
from orchestrator.simulator.wire import xmlrpc


def routes(server: Server) -> dict[tuple[str, str], wire.Route]:
    """Handlers by verb and path; the least roles are those of datamodel.ml's http_actions."""
    return {
        ("GET", "/export_raw_vdi"): transfers.route(server, "get_export_raw_vdi", "vm-admin", export),
        ("PUT", "/import_raw_vdi"): transfers.route(server, "put_import_raw_vdi", "vm-admin", import_),
    }


def export(asked: Asked) -> Answer:
    """The whole disk, without a Content-Length: the end is the close."""
    vdi = _named(asked)
    attached.assert_seen_here(asked, asked.server.db.get("VDI", vdi)["SR"])
    asked.begin()
    form = transfers.form(asked)
    uuid = asked.server.db.get("VDI", vdi)["uuid"]
    kind = "application/vhd" if form == "vhd" else "application/octet-stream"
    headers = (f"Content-Type: {kind}", f'Content-Disposition: attachment; filename="{uuid}.{form}"')

    base = _base(asked) if form == "vhd" else None

    def work(body: Body) -> str:
        with attached.plugged(asked, vdi, "RO") as content:
            _assert_known(form)
            size, sent = int(asked.server.db.get("VDI", vdi)["virtual_size"]), 0
            spans, body.total = content.spans(0, size), size
            if form == "vhd":
                spans, body.total = _packed(asked, vdi, content, base)
            for span in spans:
                body.send(span)
                sent += span.length
                body.done(sent / body.total)
        return ""

    return transfers.transfer(asked, headers, work)


def _packed(asked: Asked, vdi: str, content: Content, base: str | None) -> tuple[Iterator[Span], int]:
    """The disk as a VHD and how long that is; over a base only what one of the two has written since they had the same bytes."""
    db = asked.server.db
    with db.lock:
        row = db.get("VDI", vdi)
        touched = content.touched(space.content(db, base) if base else None)
        blocks = sorted({number * BLOCK // vhd.BLOCK for number in touched if number * BLOCK < row["virtual_size"]})
        disk = vhd.Disk(int(row["virtual_size"]), row["uuid"], db.get("VDI", base)["uuid"] if base else None, blocks)
    return vhd.stream(disk, content.spans), vhd.length(disk)


def import_(asked: Asked) -> Answer:
    """Overwrites a disk from its beginning, as far as the body goes; without `vdi` but with an SR into a new disk."""
    db = asked.server.db
    vdi = _named(asked) if "vdi" in asked.query else _new(asked)
    attached.assert_seen_here(asked, db.get("VDI", vdi)["SR"])
    asked.begin()
    form = transfers.form(asked)
    if "transfer-encoding" in asked.request.headers:
        reason = f'Failure("import code cannot handle encoding: {asked.request.headers["transfer-encoding"]}")'
        raise asked.fail(Failure("INTERNAL_ERROR", reason), wire.bare("404 Not Found"))
    length = wire.length_of(asked.request)

    def work(body: Body) -> str:
        with attached.plugged(asked, vdi, "RW") as content:
            _assert_known(form)
            body.total = length
            pieces = body.receive(length)
            for offset, data in _unpacked(pieces) if form == "vhd" else _in_order(pieces):
                attached.write(asked, vdi, content, offset, data)
                body.done(body.moved / length)
        return xmlrpc.encode(vdi)

    return transfers.transfer(asked, ("Content-Type: application/octet-stream",), work)


def _in_order(pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    offset = 0
    for piece in pieces:
        yield offset, piece
        offset += len(piece)


def _unpacked(pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """What a VHD holds; the rest of the stream is read too."""
    held = bytearray()

    def read(length: int) -> bytes:
        while len(held) < length:
            piece = next(pieces, b"")
            if not piece:
                raise Failure("VDI_IO_ERROR", "Device I/O errors")
            held.extend(piece)
        data = bytes(memoryview(held)[:length])
        del held[:length]
        return data

    yield from vhd.blocks(read)
    for _ in pieces:
        pass


def _base(asked: Asked) -> str | None:
    """The disk that the export is a difference to, by ref or uuid; the 500 page when it is none."""
    return _named(asked, "base") if "base" in asked.query else None


def _named(asked: Asked, key: str = "vdi") -> str:
    """The disk of the query, by ref or uuid; the 500 page when there is none."""
    db = asked.server.db
    if key not in asked.query:
        raise transfers.trouble(f'Failure("Missing {key} query parameter")')
    wanted = asked.query[key]
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


def _assert_known(form: str) -> None:
    if form not in {"raw", "vhd"}:
        raise Failure("NOT_IMPLEMENTED", f"transfers of format {form}")
