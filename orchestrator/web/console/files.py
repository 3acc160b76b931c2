"""Single files out of a restore point: its directories, and a file of them to be kept."""

from fastapi import APIRouter, Response

from orchestrator.actions import files
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.files import NoFile
from orchestrator.views import points as view
from orchestrator.views.points import Owned
from orchestrator.views.report import in_bytes
from orchestrator.web import handing, problems
from orchestrator.web.console import points
from orchestrator.web.console.guards import Acting, Form, Operator, PageRoute, Visit, assert_own
from orchestrator.web.console.models import files as model
from orchestrator.web.problems import Problem

router = APIRouter(route_class=PageRoute)

POINT = ("product", "id", "disk")
LONGEST = 4096  # characters of a path


@router.get("/backup/files")
def browsed(visit: Operator) -> Response:
    """What is in a directory of a disk. The whole disk is read for that, so no page elsewhere has a browser ask for it."""
    assert_own(visit.request)
    sent = visit.request.query_params
    said = points.said_of(sent, POINT) | {"path": sent.get("path", "")[:LONGEST] or "/"}
    owned = points.found(visit, said)
    folder, status, problem = None, 200, ""
    if said["disk"]:
        try:
            folder = _folder(visit, owned, said["disk"], said["path"])
        except (WrongInput, NotSo, Problem) as error:
            found = problems.of(error)
            status, problem = found.status, found.detail
    return visit.page("files.html", status=status, problem=problem, point=view.as_json(*owned), said=said, folder=folder, in_bytes=in_bytes)


@router.post("/backup/files")
def fetched(visit: Acting, sent: Form) -> Response:
    """The file. It is written down who took it, so it is asked for by a form alone."""
    said, path = points.said_of(sent, POINT), sent.get("path", "")[:LONGEST]
    return handing.attached(visit.ask, points.called(said), lambda: points.found(visit, said), said["disk"], path)


def _folder(visit: Visit, owned: Owned, disk: str, path: str) -> model.Folder:
    files.assert_path(path)
    shelf = visit.counter.office.shelf
    with shelf.fetch() as made, files.opened(made, owned, disk, shelf.bench) as there:
        try:  # a file has nothing in it, not even itself; a link to a directory has what that has
            return model.folder(path, there.entries(path.rstrip("/") + "/."), is_file=False)
        except NoFile:
            return model.folder(path, there.entries(path), is_file=True)
