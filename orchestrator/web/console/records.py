"""What there is to read: the plugins, and who did what."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from urllib.parse import urlencode

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from orchestrator.actions import audit as action
from orchestrator.actions import plugins
from orchestrator.config.plugins import tables
from orchestrator.views import audit as view
from orchestrator.web.console.guards import Administrator, PageRoute, Reader, Visit
from state import audit

router = APIRouter(route_class=PageRoute)

SIZE = 50
STATES = {"ok": "good", "failed": "bad", "absent": "warn"}
OUTCOMES = {"done": "good", "refused": "warn", "failed": "bad"}
WAYS = ("cli", "api", "console", "rule")
EXPORTS = {"csv": ("text/csv; charset=utf-8", view.as_csv), "json": ("application/json", view.as_json)}


@router.get("/plugins")
def listed(visit: Reader) -> Response:
    """Every plugin that is shipped or installed, and what the configuration makes of it."""
    loaded = visit.counter.office.loaded
    found = plugins.listed(loaded.path, tables(loaded.settings.products, loaded.settings.hooks), loaded.lines)
    made = [row for row in found.rows if row.table]
    offered = [row for row in found.rows if not row.table]
    return visit.page("plugins.html", made=made, offered=offered, complaints=found.complaints, states=STATES)


@router.get("/audit")
def acts(visit: Administrator, before: str = "") -> Response:
    """Every act, refused ones too, newest first, a page at a time."""
    chosen = _chosen(visit)
    cursor = int(before) if before.isdecimal() and len(before) < 19 else None
    with visit.counter.office.store.read() as session:
        found = audit.listed(session, replace(_asked(chosen), before=cursor), limit=SIZE + 1)
    rows = found[:SIZE]
    query = urlencode({name: value for name, value in chosen.items() if value})
    first = f"/audit?{query}"
    after = f"{first}&before={rows[-1].seq}" if len(found) > SIZE else ""
    exports = [(name.upper(), f"/audit.{name}?{query}") for name in EXPORTS]
    return visit.page("audit.html", rows=rows, chosen=chosen, first=first, after=after, before=cursor, tones=OUTCOMES, ways=WAYS,
                      exports=exports)  # fmt: skip


@router.get("/audit.csv")
@router.get("/audit.json")
def exported(visit: Administrator) -> Response:
    """All acts that fit, not a page of them alone, as a file to be kept."""
    kind = visit.request.url.path.rpartition(".")[2]
    office, (media, written) = visit.counter.office, EXPORTS[kind]
    rows = action.every(office.place(visit.signed.principal), _asked(_chosen(visit)))
    name = f"vfo-audit-{office.clock().astimezone(UTC):%Y%m%dT%H%M%SZ}.{kind}"
    return StreamingResponse(written(rows), 200, {"Content-Disposition": f'attachment; filename="{name}"'}, media)


def _chosen(visit: Visit) -> dict[str, str]:
    """The filter as an address has it; what there is not counts as any."""
    sent = visit.request.query_params
    chosen = {name: sent.get(name, "").strip()[:200] for name in ("who", "how", "what", "outcome")}
    known = {"how": WAYS, "outcome": OUTCOMES}
    return {name: value if name not in known or value in known[name] else "" for name, value in chosen.items()}


def _asked(chosen: Mapping[str, str]) -> audit.Asked:
    return audit.Asked(chosen["who"], chosen["how"], chosen["what"], chosen["outcome"])
