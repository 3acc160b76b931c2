"""GET /export and /export_metadata: whole VMs over HTTP (xapi: export.ml)."""

from collections.abc import Iterable

from orchestrator.simulator import attached, operations, transfers, xva
from orchestrator.simulator.body import Body
from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.manifest import NAME, Manifest, Wanted
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.server import Server
from orchestrator.simulator.transfers import Answer, Asked
from orchestrator.simulator.wire import http as wire

HEADERS = ("Content-Type: application/octet-stream", 'Content-Disposition: attachment; filename="export.xva"')


def routes(server: Server) -> dict[tuple[str, str], wire.Route]:
    """Handlers by verb and path; the least roles are those of datamodel.ml's http_actions."""
    return {
        ("GET", "/export"): transfers.route(server, "get_export", "vm-admin", export),
        ("GET", "/export_metadata"): transfers.route(server, "get_export_metadata", "vm-admin", export_metadata),
    }


def export(asked: Asked) -> Answer:
    """The VM as a tar, its disks too; it is held by an `export` operation meanwhile, and has to be halted or suspended."""
    db = asked.server.db
    vm = _named(asked)
    with db.lock:
        for sr in _srs(db, vm):
            attached.assert_seen_here(asked, sr)
    asked.begin()
    squeeze = asked.query.get("use_compression") in {"true", "gzip"}
    if asked.query.get("use_compression") == "zstd":
        raise refused(asked, Failure("NOT_IMPLEMENTED", "compression by zstd"))
    _hold(asked, [vm], "export")

    def work(body: Body) -> str:
        wanted = Wanted(power_state=asked.query.get("preserve_power_state") == "true")
        sink = xva.Squeezed(body) if squeeze else body
        with db.lock:
            found = Manifest(db, [vm], wanted)
            xml, disks = found.xml(), found.disks(vm)
        xva.put(sink, NAME, xml)
        total = sum(int(db.get("VDI", vdi)["virtual_size"]) for _, vdi in disks)
        done = 0
        for name, vdi in disks:
            with attached.plugged(asked, vdi, "RO") as content:
                for step in xva.put_disk(sink, name, content, int(db.get("VDI", vdi)["virtual_size"])):
                    done += step
                    body.done(done / total)
        xva.end(sink)
        if isinstance(sink, xva.Squeezed):
            sink.close()
        return ""

    return transfers.transfer(asked, HEADERS, work, lambda: _let_go(asked, [vm]))


def export_metadata(asked: Asked) -> Answer:
    """ova.xml alone, with the power state and the snapshots; of one VM, or of all that are no default templates."""
    db = asked.server.db
    everything = asked.query.get("all") == "true"
    vms = _all(db, with_domain_0=asked.query.get("include_dom0", "true") == "true") if everything else [_named(asked)]
    asked.begin()
    if not everything and db.get("VM", vms[0])["is_a_snapshot"]:
        raise refused(asked, Failure("OPERATION_NOT_ALLOWED", "Exporting metadata of a snapshot is not allowed"))
    _hold(asked, vms, "metadata_export")

    def work(body: Body) -> str:
        with db.lock:
            wanted = Wanted(snapshots=asked.query.get("export_snapshots", "true") == "true", power_state=True)
            xml = Manifest(db, vms, wanted).xml()
        xva.put(body, NAME, xml)
        xva.end(body)
        return ""

    return transfers.transfer(asked, HEADERS, work, lambda: _let_go(asked, vms))


def refused(asked: Asked, failure: Failure) -> transfers.Page:
    """The task fails, and the request with the 500 page: nothing was sent yet."""
    code, *params = failure.details
    return asked.fail(failure, wire.internal_error(f"{code}: [ {'; '.join(params)} ]"))


def _named(asked: Asked) -> str:
    """The VM of the query, by ref or uuid; the 500 page when there is none."""
    db = asked.server.db
    if "ref" in asked.query:
        wanted = asked.query["ref"]
        found = wanted if db.exists("VM", wanted) else None
    elif "uuid" in asked.query:
        wanted = asked.query["uuid"]
        found = db.by_uuid("VM", wanted)
    else:
        raise transfers.trouble("Not_found")
    if found is None:
        raise transfers.trouble(f'Db_exn.Read_missing_uuid("VM", "", "{wanted}")')
    return found


def _srs(db: Database, vm: str) -> Iterable[str]:
    vdis = {db.get("VBD", vbd)["VDI"] for vbd in db.get("VM", vm)["VBDs"]} - {NULL}
    return {db.get("VDI", vdi)["SR"] for vdi in vdis if db.exists("VDI", vdi)}


def _all(db: Database, *, with_domain_0: bool) -> list[str]:
    rows = [(ref, row) for ref, row in db.rows("VM") if not row["is_default_template"]]
    return [ref for ref, row in rows if with_domain_0 or not row["is_control_domain"]]


def _hold(asked: Asked, vms: list[str], operation: str) -> None:
    """Take the VMs for the operation, at once or not at all: the request fails before anything is sent."""
    db = asked.server.db
    with db.lock:
        for vm in vms:
            failure = operations.refusal(vm, db.get("VM", vm), operation)
            if failure is not None:
                raise refused(asked, failure)
        for vm in vms:
            operations.hold(asked.call, vm, operation)


def _let_go(asked: Asked, vms: list[str]) -> None:
    for vm in vms:
        operations.let_go(asked.call, vm)
