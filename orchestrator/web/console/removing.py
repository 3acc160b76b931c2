"""Taking out a policy or a window that somebody wrote: what that means first, then the person's consent."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Response

from orchestrator.actions import policies, windows
from orchestrator.web.console.guards import Administering, Administrator, Form, PageRoute, Visit
from orchestrator.web.console.pages import go_to
from orchestrator.web.problems import Problem

router = APIRouter(route_class=PageRoute)


@router.get("/backup/policies/{name}/remove")
def policy(visit: Administrator, name: str) -> Response:
    """What it means for its backups and its window."""
    at = visit.desk()
    row = _written([*policies.listed(at), *policies.amiss(at)], name, "policy")
    said = ["Nobody is begun by it any more. Who is at work for it goes on to the end.",
            "Its restore points stay as they are; its retention forgets none of them any more."]  # fmt: skip
    window = row.get("window")
    if window and [plan.name for plan in at.policy.backups.policies.values() if plan.window == window] == [name]:
        said.append(f"Window {window} stays, with no policy that uses it: it can be removed after this.")
    return _page(visit, "policy", row, said)


@router.get("/backup/windows/{name}/remove")
def window(visit: Administrator, name: str) -> Response:
    """What it means; while policies use it there is nothing to consent to."""
    at = visit.desk()
    row = _written([*windows.listed(at), *windows.amiss(at)], name, "window")
    if users := row.get("policies"):
        raise Problem(409, "not-so", f"Window {name} is used by {', '.join(users)}: change or remove that first.")
    return _page(visit, "window", row, ["It does not open any more. No policy uses it."])


@router.post("/backup/policies/{name}/remove")
def remove_policy(visit: Administering, name: str, sent: Form) -> Response:
    """Take it out, unless it was changed meanwhile."""
    with visit.ask.written_down("remove-policy", f"policy {name}"):
        policies.remove(visit.desk(), name, sent.get("revision") or None)
    return go_to(visit.request, "/backup")


@router.post("/backup/windows/{name}/remove")
def remove_window(visit: Administering, name: str, sent: Form) -> Response:
    """Take it out, unless it was changed meanwhile or is used."""
    with visit.ask.written_down("remove-window", f"window {name}"):
        windows.remove(visit.desk(), name, sent.get("revision") or None)
    return go_to(visit.request, "/backup")


def _written(rows: Sequence[Mapping[str, Any]], name: str, kind: str) -> Mapping[str, Any]:
    row = next((row for row in rows if row["name"] == name and row["revision"] is not None), None)
    if row is None:
        raise Problem(404, "not-found", f"Nobody wrote a {kind} of that name. One of the configuration file is taken out there.")
    return row


def _page(visit: Visit, kind: str, row: Mapping[str, Any], sentences: Sequence[str]) -> Response:
    back = f"/backup/{'policies' if kind == 'policy' else 'windows'}/{row['name']}"
    return visit.page("remove.html", kind=kind, name=row["name"], back=back, sentences=sentences, revision=row["revision"])
