"""PUT /import and /import_metadata: whole VMs over HTTP (xapi: import.ml)."""

from orchestrator.simulator import attached, objects, transfers, vm_exports, xva
from orchestrator.simulator.body import Body
from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.importing import Importing, Options
from orchestrator.simulator.server import Server
from orchestrator.simulator.transfers import Answer, Asked
from orchestrator.simulator.wire import http as wire
from orchestrator.simulator.wire import xmlrpc
from orchestrator.simulator.wire.errors import Cut

HEADERS = ("Content-Type: application/octet-stream",)


def routes(server: Server) -> dict[tuple[str, str], wire.Route]:
    """Handlers by verb and path; the least roles are those of datamodel.ml's http_actions."""
    return {
        ("PUT", "/import"): transfers.route(server, "put_import", "vm-admin", import_),
        ("PUT", "/import_metadata"): transfers.route(server, "put_import_metadata", "vm-admin", import_metadata),
    }


def import_(asked: Asked) -> Answer:
    """A VM from an XVA, its disks onto the SR that is asked for, or the pool's default one; what was made goes when it fails."""
    sr = _sr(asked)
    attached.assert_seen_here(asked, sr)
    asked.begin()
    _assert_length(asked)
    if asked.server.db.get("SR", sr)["content_type"] == "iso":
        raise asked.fail(Failure("SR_OPERATION_NOT_SUPPORTED"), wire.bare("400 Bad Request"))
    return _transfer(asked, sr)


def import_metadata(asked: Asked) -> Answer:
    """A VM from ova.xml alone, on the disks that are there; with dry_run nothing is made."""
    asked.begin()
    _assert_length(asked)
    return _transfer(asked, None)


def _transfer(asked: Asked, sr: str | None) -> Answer:
    query = asked.query
    options = Options(
        sr=sr,
        restore=query.get("restore") == "true",
        force=query.get("force") == "true",
        dry_run=sr is None and query.get("dry_run") == "true",
    )
    length = wire.length_of(asked.request)

    def work(body: Body) -> str:
        body.total = length
        source = xva.Source(body.receive(length))
        making = Importing(asked.call, options, source.manifest())
        try:
            made = making.make()
            if sr is not None:
                _receive_disks(asked, making, source)
            source.drain()
        except (Failure, OSError, Cut) as error:
            if not options.force:
                making.take_back()
            raise error if isinstance(error, Failure | Cut) else Failure("IMPORT_ERROR_PREMATURE_EOF") from error
        finally:
            making.finish()
        return xmlrpc.encode(made)

    return transfers.transfer(asked, HEADERS, work)


def _receive_disks(asked: Asked, making: Importing, source: xva.Source) -> None:
    """Fill the disks that were made, in the order of their names in the archive."""
    disks = sorted(making.disks.items())
    total = sum(size for _, (_, size) in disks)
    done = 0
    for name, (vdi, size) in disks:
        with attached.plugged(asked, vdi, "RW") as content:
            for offset, data in xva.disk_blocks(source, name, size, force=making.options.force):
                attached.write(asked, vdi, content, offset, data)
                asked.call.check()
            done += size
            asked.call.progress(done / total)


def _sr(asked: Asked) -> str:
    """The SR of the query, by ref or uuid, or the pool's default; the 500 page when there is none."""
    db: Database = asked.server.db
    given = asked.query.get("sr_id") or asked.query.get("sr_uuid")
    if given is None:
        given = str(objects.pool_of(db)[1]["default_SR"])
        if not db.exists("SR", given):
            raise transfers.trouble(f"DEFAULT_SR_NOT_FOUND: [ {given} ]")
    found = given if db.exists("SR", given) else db.by_uuid("SR", given)
    if found is None:
        raise transfers.trouble(f'Db_exn.Read_missing_uuid("SR", "", "{given}")')
    return found


def _assert_length(asked: Asked) -> None:
    if "transfer-encoding" in asked.request.headers:
        raise asked.fail(Failure("IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"), wire.forbidden())
    if "content-length" not in asked.request.headers:
        raise vm_exports.refused(asked, Failure("INTERNAL_ERROR", 'Failure("We require a content-length: HTTP header")'))
