"""The page that is looked at first."""

from datetime import timedelta

from fastapi import APIRouter, Response

from orchestrator.views.report import WELL
from orchestrator.web.console.guards import PageRoute, Reader, Visit
from orchestrator.web.console.models import overview as model
from orchestrator.web.console.models import runs as lines
from state import backups, runs
from state.run import ACTIVE, Status
from workflows.catalogue import WORKFLOWS

router = APIRouter(route_class=PageRoute)

DAY = timedelta(days=1)
NEED_NOBODY = (*WELL, "running")
"""What became of a backup that nobody has to look at: what was tried again and saved is of the last try."""
MOST = 1000  # runs that are looked through for what needs somebody


@router.get("/")
def whole(visit: Reader) -> Response:
    """Whether all is right, what needs a person, what goes on."""
    return visit.page("overview.html", overview=_made(visit))


@router.get("/overview")
def piece(visit: Reader) -> Response:
    """What of it changes, for a page that is open."""
    return visit.page("_overview.html", overview=_made(visit))


def _made(visit: Visit) -> model.Overview:
    office = visit.counter.office
    maps = visit.counter.sights.maps()
    with office.store.read() as session:
        open_ones = runs.listed(session, statuses=ACTIVE | {Status.STUCK}, limit=MOST)
        amiss = backups.not_well(session, office.clock() - DAY, NEED_NOBODY)
    return model.made([lines.line(run, WORKFLOWS.get(run.workflow)) for run in open_ones], maps, amiss)
