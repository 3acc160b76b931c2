"""Restore points, and a VM made of one: the plan first, then the person's consent."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Response

from orchestrator.actions import products, restore
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.views import points as view
from orchestrator.views.points import Owned
from orchestrator.views.report import in_bytes
from orchestrator.web.console.guards import Acting, Form, Operator, PageRoute, Reader, Visit
from orchestrator.web.console.models import vms as model
from orchestrator.web.console.vms import Number
from orchestrator.web.problems import Problem

router = APIRouter(route_class=PageRoute)

FIELDS = ("product", "id", "name", "sr", "macs", "start")
LONGEST = 500


@router.get("/backup/points")
def listed(visit: Reader, vm: str = "", page: Number = 1) -> Response:
    """What the products have, newest first, whatever the database knows. Each product is asked."""
    office, meant = visit.counter.office, vm.strip()[:200]
    seen = products.Seen([])
    if office.loaded.settings.products:
        seen = products.every(office.shelf.plugged(), products.chosen(office.loaded, None))
    fitting = view.of_vm(seen.found, meant) if meant else seen.found
    some = model.paged(sorted(fitting, key=lambda one: one[1].taken_at, reverse=True), page)
    rows = model.Page([view.as_json(*one) for one in some.items], some.number, some.last, some.total)
    turn = "/backup/points?" + urlencode({"vm": meant}) + "&page="
    names = sorted({point.vm_name for _, point in seen.found})
    return visit.page("points.html", listed=rows, vm=meant, turn=turn, unseen=seen.unseen, silent=seen.silent, in_bytes=in_bytes,
                      names=names, has_products=bool(office.loaded.settings.products))  # fmt: skip


@router.get("/backup/point")
def one(visit: Reader) -> Response:
    """One restore point, and what may be done with it."""
    said = said_of(visit.request.query_params, ("product", "id"))
    return visit.page("point.html", point=view.as_json(*found(visit, said)), said=said, in_bytes=in_bytes, number=uuid4())


@router.get("/backup/restore")
def plan(visit: Operator) -> Response:
    """What making a VM of a restore point would do, and under which name; nothing is changed by looking."""
    said = said_of(visit.request.query_params, FIELDS)
    product, point = found(visit, said)
    plans = _propose(visit.desk(), (product, point), said).plans()
    return visit.page("restore.html", point=view.as_json(product, point), said=said, plans=plans, in_bytes=in_bytes)


@router.post("/backup/restore")
def do(visit: Acting, sent: Form) -> Response:
    """Begin it. It is never made over a VM that is there."""
    said = said_of(sent, FIELDS)
    owned = found(visit, said)
    return visit.begin("restore-vm", called(said), lambda at: _propose(at, owned, said))


def _propose(at: Desk, owned: Owned, said: Mapping[str, str]) -> Proposal:
    wanted = restore.Wanted(
        name=said["name"] or None, sr=said["sr"] or None, new_macs=said["macs"] == "new", starts=said["start"] == "yes"
    )  # fmt: skip
    return restore.propose(at, owned, wanted)


def called(said: Mapping[str, str]) -> str:
    """The restore point, as it is written down."""
    return f"restore point {said['product']}/{said['id']}"


def found(visit: Visit, said: Mapping[str, str]) -> Owned:
    """The restore point of the *product* and *id* that were said. Its product is asked. Raises Problem: there is none."""
    office = visit.counter.office
    there = said["product"] in office.loaded.settings.products
    owned = products.exactly(office.shelf.plugged(), said["product"], said["id"]) if there else None
    if owned is None:
        raise Problem(404, "no-such-restore-point", "There is no such restore point: it may have been forgotten by its retention.")
    return owned


def said_of(fields: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """These fields of a form or an address; "" for what is not there."""
    return {name: fields.get(name, "")[:LONGEST] for name in names}
