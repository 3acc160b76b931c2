"""Backups: what was not saved, when windows open and how one would go, and the policies."""

from collections.abc import Container
from datetime import timedelta

from fastapi import APIRouter, Response

from orchestrator.actions import kept, policies, windows
from orchestrator.actions import report as reporting
from orchestrator.actions.desk import Desk
from orchestrator.views import report as report_view
from orchestrator.views.report_asked import Asked
from orchestrator.web.console.guards import PageRoute, Reader
from orchestrator.web.console.models import backups as model
from orchestrator.web.console.models import calendar, vms
from orchestrator.web.console.models import kept as kept_model
from orchestrator.web.console.overview import NEED_NOBODY
from orchestrator.web.console.vms import Number
from orchestrator.web.problems import Problem
from state import backups

router = APIRouter(route_class=PageRoute)

DAY = timedelta(days=1)
AMISS = 20  # backups that are shown one by one; the report has all of them


@router.get("/backup")
def whole(visit: Reader) -> Response:
    """The last day as the catalogue has it, the windows, and the policies. No pool is asked."""
    office, at = visit.counter.office, visit.desk()
    now = office.clock()
    with office.store.read() as session:
        lines = backups.since(session, now - DAY)
        amiss = backups.not_well(session, now - DAY, NEED_NOBODY)
    made = report_view.report(lines, Asked(now - DAY, now))
    return visit.page(
        "backup.html",
        said=report_view.in_a_line(made),
        well=not amiss,
        amiss_count=len(amiss),
        amiss=amiss[:AMISS],
        more=max(0, len(amiss) - AMISS),
        windows=windows.listed(at),
        calendar=calendar.made(at.policy.backups.windows.values(), at.policy.maintenance, now),
        policies=policies.listed(at),
        lost=policies.amiss(at),
        lost_windows=windows.amiss(at),
        tone=model.tone,
        retention=model.retention,
        has_products=bool(office.loaded.settings.products),
    )


@router.get("/backup/report")
def report(visit: Reader, page: Number = 1) -> Response:
    """The last day with those for whom nothing was begun: the pools are asked whom the policies name."""
    now = visit.counter.office.clock()
    made = reporting.report(visit.desk(), reporting.Wanted(now - DAY, now))
    rows = vms.paged(made["backups"], page)
    return visit.page("report.html", made=made, said=report_view.in_a_line(made), rows=rows, tone=model.tone, took=report_view.took,
                      in_bytes=report_view.in_bytes, in_time=report_view.in_time)  # fmt: skip


@router.get("/backup/windows/{name}")
def window(visit: Reader, name: str) -> Response:
    """One window: the opening that is kept, or how the next would go by what backups took; its next ones, and its last ones."""
    at = visit.desk()
    _assert_there(name, at.policy.backups.windows, "window")
    now_kept = _kept(at, name)
    nights = [] if now_kept else [model.night(plan) for plan in windows.plan(at, name)]
    return visit.page("window.html", window=windows.shown(at, name), nights=nights, kept=now_kept)


@router.get("/backup/windows/{name}/kept")
def piece(visit: Reader, name: str) -> Response:
    """What of it changes, for a page that is open. No pool is asked."""
    at = visit.desk()
    _assert_there(name, at.policy.backups.windows, "window")
    return visit.page("_kept.html", kept=_kept(at, name))


def _kept(at: Desk, name: str) -> list[kept_model.Night]:
    timezone = at.policy.backups.windows[name].window.timezone
    return [kept_model.night(one, timezone) for one in kept.kept(at, name)]


def _assert_there(name: str, there: Container[str], kind: str) -> None:
    if name not in there:
        raise Problem(404, "not-found", f"The configuration has no {kind} of that name.")
