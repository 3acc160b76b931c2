"""Whether a restore point can be given back: read and compared, with its progress, or booted beside by a run."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid5

from fastapi import APIRouter, Response

from orchestrator.actions import verify
from orchestrator.views import points as view
from orchestrator.views.report import in_bytes
from orchestrator.web.console import points
from orchestrator.web.console.guards import Acting, Form, Operator, PageRoute, Reader, Visit
from orchestrator.web.console.pages import go_to
from orchestrator.web.problems import Problem
from plugins.errors import RetryLater

router = APIRouter(route_class=PageRoute)

ONE = ("product", "id", "number")
BOOT = ("product", "id", "sr")


@router.post("/backup/verify")
def begun(visit: Acting, sent: Form) -> Response:
    """Read all of it and compare it. A form that is sent twice begins it once."""
    said = points.said_of(sent, ONE)
    office, thing, number = visit.counter.office, points.called(said), _number(said)
    with visit.ask.written_down("verify", thing):
        made, owned = office.shelf.plugged(), points.found(visit, said)
        try:
            verify.begun(office.place(visit.signed.principal), office.loaded, made, owned, number)
        except RetryLater as error:
            raise Problem(503, "busy", str(error)) from None
    return go_to(visit.request, "/backup/verification?" + urlencode(said))


@router.get("/backup/verification")
def whole(visit: Reader) -> Response:
    """How it stands. What has ended is known for a week."""
    said = points.said_of(visit.request.query_params, ONE)
    point = view.as_json(*points.found(visit, said))
    return visit.page("verification.html", point=point, **_stands(visit, said, str(point["size"])))


@router.get("/backup/verification/shown")
def piece(visit: Reader) -> Response:
    """What of it changes, for a page that is open. No product is asked."""
    sent = visit.request.query_params
    return visit.page("_verification.html", **_stands(visit, points.said_of(sent, ONE), sent.get("size", "")))


@router.get("/backup/boot")
def plan(visit: Operator) -> Response:
    """What booting it beside would do; nothing is changed by looking."""
    said = points.said_of(visit.request.query_params, BOOT)
    owned = points.found(visit, said)
    plans = verify.boot(visit.desk(), owned, pool=None, sr=said["sr"] or None).plans()
    back = "/backup/point?" + urlencode({"product": said["product"], "id": said["id"]})
    return visit.page("plan.html", heading=f"Boot {owned[1].vm_name} beside", about="Restore point", back=back, plans=plans, always=True,
                      action="/backup/boot", fields=list(said.items()), consent="Do it: boot it, and remove it again")  # fmt: skip


@router.post("/backup/boot")
def booted(visit: Acting, sent: Form) -> Response:
    """Begin it. The VM that it was is not touched."""
    said = points.said_of(sent, BOOT)
    owned = points.found(visit, said)
    return visit.begin("verify-boot", points.called(said), lambda at: verify.boot(at, owned, pool=None, sr=said["sr"] or None))


def _stands(visit: Visit, said: Mapping[str, str], size: str) -> dict[str, Any]:
    """*size*: the bytes that there are to read, as an address has them."""
    number, jobs_of = _number(said), visit.counter.office.shelf.plugged().jobs
    job = jobs_of.id_of(verify.job_name(said["product"]), number)
    if not verify.is_known(visit.counter.office.store, job):
        raise Problem(404, "no-such-verification", "There is no such verification: what has ended is forgotten after a week.")
    progress, total = jobs_of.look(job), int(size) if size.isdecimal() and len(size) < 19 else 0
    found = verify.checks(progress)
    percent = 100 if progress.state == "done" else min(99, 100 * progress.read // total) if total else 0
    again = "/backup/verification/shown?" + urlencode({**said, "size": total})
    return {"progress": progress, "checks": found, "sound": verify.is_sound(found), "total": total,
            "percent": percent, "again": again, "in_bytes": in_bytes}  # fmt: skip


def _number(said: Mapping[str, str]) -> UUID:
    """The verification's own, by the page's that asked for it: of this restore point alone."""
    try:
        return uuid5(UUID(said["number"]), points.called(said))
    except ValueError:
        raise Problem(404, "no-such-verification", "There is no verification of that number.") from None
