"""The VMs: a list, one of them, and what may be done with it: the plan first, then the person's consent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Response

from orchestrator import names
from orchestrator.actions import assign, backup, release
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.web.console.guards import Acting, Form, Operator, PageRoute, Reader, Visit
from orchestrator.web.console.models import runs as lines
from orchestrator.web.console.models import vms as model
from orchestrator.web.problems import Problem
from state import pages
from state.pages import Asked
from state.run import Status
from workflows.backup_modes import MODES
from workflows.catalogue import WORKFLOWS
from workflows.downtime import When

router = APIRouter(route_class=PageRoute)

LATELY = 5  # runs about a VM that its page shows
Number = Annotated[int, Query(ge=1, le=1_000_000)]


@router.get("/vms")
def listed(visit: Reader, q: str = "", has: str = "", page: Number = 1) -> Response:
    """The VMs whose name, tag or uuid has *q* in it, a page of them."""
    return visit.page("vms.html", **_found(visit, q, has, page))


@router.get("/vms/listed")
def found(visit: Reader, q: str = "", has: str = "", page: Number = 1) -> Response:
    """The list alone, for a page that is open."""
    return visit.page("_vms.html", **_found(visit, q, has, page))


def _found(visit: Visit, q: str, has: str, page: int) -> dict[str, Any]:
    query, has = q.strip()[:200], "vf" if has == "vf" else ""
    seen, problems = visit.counter.sights.vms()
    some = model.paged(model.listed(seen, query, has), page)
    shown = model.Page([model.line(pool, vm) for pool, vm in some.items], some.number, some.last, some.total)
    here = "?" + urlencode({"q": query, "has": has})
    turn = f"/vms{here}&page="
    return {"listed": shown, "query": query, "has": has, "turn": turn, "here": f"{here}&page={page}", "problems": problems}


@router.get("/vms/{uuid}")
def one(visit: Reader, uuid: UUID) -> Response:
    """One VM: what it holds, what holds it back, and what may be done with it."""
    seen = _seen(visit, uuid)
    networks = model.networks(visit.counter.sights.networks(seen["line"].pool))
    return visit.page("vm.html", **seen, networks=networks, modes=MODES)


@router.get("/vms/{uuid}/now")
def now(visit: Reader, uuid: UUID) -> Response:
    """What of it changes, for a page that is open. Of one that is gone that is said."""
    try:
        return visit.page("_vm_now.html", **_seen(visit, uuid))
    except Problem:
        return visit.page("_vm_gone.html")


def _seen(visit: Visit, uuid: UUID) -> dict[str, Any]:
    """The VM as it is now, and the runs about it. Raises Problem."""
    try:
        port, vm = names.vm(visit.desk().ports, str(uuid))
    except names.WrongName as error:
        raise Problem(404, "no-such-vm", f"{error}; it may have been deleted meanwhile.") from None
    with visit.counter.office.store.read() as session:
        asked = Asked(frozenset(Status), port.name, subject=f"vm:{vm.uuid}")
        about, _ = pages.runs(session, asked, before=None, limit=LATELY)
    return {
        "vm": vm,
        "line": model.line(port.name, vm),
        "runs": [lines.line(run, WORKFLOWS.get(run.workflow)) for run in about],
        "moments": model.moments(visit.counter.office.loaded.settings.maintenance),
    }


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that may be done with a VM. *fields*: what is asked for with it, beside the VM itself."""

    heading: str
    consent: str
    fields: tuple[str, ...]
    propose: Callable[[Desk, str, Mapping[str, str]], Proposal]


def _assign(at: Desk, vm: str, said: Mapping[str, str]) -> Proposal:
    return assign.propose(at, assign.Wanted([vm], said["network"], when=said["when"] or When.next_halt))


def _release(at: Desk, vm: str, said: Mapping[str, str]) -> Proposal:
    return release.propose(at, release.Wanted([vm], [said["vif"]] if said["vif"] else (), when=said["when"] or When.next_halt))


def _prepare(at: Desk, vm: str, said: Mapping[str, str]) -> Proposal:
    return backup.prepare(at, backup.Wanted([vm], said["mode"] or "auto"))


DEEDS = {
    "assign": Deed("Give it a VF", "Do it: give it the VF", ("network", "when"), _assign),
    "release": Deed("Take its VFs from it", "Do it: take them", ("vif", "when"), _release),
    "prepare": Deed("Prepare it for a backup", "Do it: prepare it", ("mode",), _prepare),
}


@router.get("/vms/{uuid}/{deed}")
def plan(visit: Operator, uuid: UUID, deed: str) -> Response:
    """What would be done, with the button that consents to it. Nothing is changed by looking."""
    found, said = _deed(deed), dict(visit.request.query_params)
    fields = {name: said.get(name, "")[:200] for name in found.fields}
    proposal = found.propose(visit.desk(), str(uuid), fields)
    (request,) = proposal.requests
    return visit.page("plan.html", heading=found.heading, about=request.title, back=f"/vms/{uuid}", plans=proposal.plans(),
                      action=f"/vms/{uuid}/{deed}", fields=list(fields.items()), consent=found.consent)  # fmt: skip


@router.post("/vms/{uuid}/{deed}")
def do(visit: Acting, uuid: UUID, deed: str, sent: Form) -> Response:
    """Begin the run; what stands against it by now is said instead."""
    found = _deed(deed)
    fields = {name: sent.get(name, "")[:200] for name in found.fields}
    return visit.begin(deed, f"VM {uuid}", lambda at: found.propose(at, str(uuid), fields))


def _deed(name: str) -> Deed:
    if name not in DEEDS:
        raise Problem(404, "not-found", "There is nothing of that name that may be done with a VM.")
    return DEEDS[name]
