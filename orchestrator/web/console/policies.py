"""One policy: what it says, whom it means now, and pausing or running it."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response

from orchestrator.actions import policies, windows
from orchestrator.views.timeline import minutes
from orchestrator.web.console.guards import Acting, Operator, PageRoute, Reader, Visit
from orchestrator.web.console.models import backups as model
from orchestrator.web.console.pages import go_to
from orchestrator.web.problems import Problem
from state import backups
from workflows.ports import PoolError

router = APIRouter(route_class=PageRoute)

LATELY, LAST = timedelta(days=14), 20  # backups by it that are shown
NONE = "There is no policy of that name, in the configuration or written."
MOST = 100  # VMs that are shown one by one


@router.get("/backup/policies/{name}")
def one(visit: Reader, name: str, written: str = "") -> Response:
    """What it says, whom it means now, and what became of its last backups."""
    return page_of(visit, name, said="It is written." if written == "yes" else "")


def page_of(visit: Visit, name: str, *, status: int = 200, problem: str = "", said: str = "") -> Response:
    """The page of the policy; one that does not hold says why. Raises Problem: there is none."""
    at, office = visit.desk(), visit.counter.office
    if name not in at.policy.backups.policies:
        lost = _amiss(visit, name)
        if lost is None:
            raise Problem(404, "not-found", NONE)
        return visit.page("policy_amiss.html", status=status, problem=problem, policy=lost)
    try:
        row, unseen = policies.shown(at, name), ""
    except PoolError as error:
        row = next(row for row in policies.listed(at) if row["name"] == name) | {"meant": [], "table": None}
        unseen = str(error)
    with office.store.read() as session:
        last = backups.since(session, office.clock() - LATELY, policy=name)[-LAST:]
    opens = next((one for one in windows.listed(at) if one["name"] == row["window"]), None)
    return visit.page(
        "policy.html", status=status, problem=problem, said=said, policy=row, shown=row["meant"][:MOST], unseen=unseen, window=opens,
        more=max(0, len(row["meant"]) - MOST), last=last[::-1], tone=model.tone, retention=model.retention, minutes=minutes,
    )  # fmt: skip


@router.get("/backup/policies/{name}/run")
def plan(visit: Operator, name: str) -> Response:
    """Whom it would save now, and how."""
    at = visit.desk()
    if name not in at.policy.backups.policies:
        raise Problem(404, "not-found", NONE)
    plans = policies.run(at, name).plans()
    return visit.page("plan.html", heading=f"Run policy {name} now", about="Backup", back="/backup", plans=plans, always=True,
                      action=f"/backup/policies/{name}/run", fields=[], consent="Do it: back them up now")  # fmt: skip


@router.post("/backup/policies/{name}/{verb}")
def act(visit: Acting, name: str, verb: str) -> Response:
    """Pause it, go on with it, or save its VMs now."""
    if verb == "run":
        return visit.begin("run-policy", f"policy {name}", lambda at: policies.run(at, name))
    if verb not in ("pause", "resume"):
        raise Problem(404, "not-found", "There is nothing of that name that may be done with a policy.")
    with visit.ask.written_down(f"{verb}-policy", f"policy {name}"):
        (policies.pause if verb == "pause" else policies.resume)(visit.desk(), name)
    return go_to(visit.request, "/backup")


def _amiss(visit: Visit, name: str) -> dict[str, Any] | None:
    return next((row for row in policies.amiss(visit.desk()) if row["name"] == name), None)
