"""Windows of backups: when each opens, what became of its openings, and how one would go."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from orchestrator.actions import windows as action
from orchestrator.views import windows as view
from orchestrator.web.api.guard import ERRORS, Reads
from orchestrator.web.api.shapes_backups import Nights, Openings, WindowDetail, Windows
from orchestrator.web.ask import Ask
from orchestrator.web.problems import Problem

router = APIRouter(tags=["windows"], responses=ERRORS)

Name = Annotated[str, Path(max_length=100, description="The NAME of [windows.NAME].")]


@router.get("/windows", response_model=Windows)
def listed(ask: Reads) -> dict[str, Any]:
    """The windows of the configuration: whether each is open, and when it opens next."""
    return {"items": action.listed(ask.desk())}


@router.get("/openings", response_model=Openings)
def coming(ask: Reads, count: Annotated[int, Query(ge=1, le=1000)] = 10) -> dict[str, Any]:
    """The next openings of all windows, soonest first."""
    return {"items": view.upcoming(ask.desk().policy.backups.windows.values(), ask.office.clock(), count)}


@router.get("/windows/{name}", response_model=WindowDetail)
def shown(ask: Reads, name: Name) -> dict[str, Any]:
    """One window, its next openings, and what became of those of the last two weeks."""
    _assert_there(ask, name)
    return action.shown(ask.desk(), name)


@router.get("/windows/{name}/plan", response_model=Nights)
def planned(
    ask: Reads,
    name: Name,
    at: Annotated[str | None, Query(max_length=50, description="Of the window's zone unless it names one; left out: now.")] = None,
    pool: Annotated[str | None, Query(max_length=200)] = None,
) -> dict[str, Any]:
    """What would run when in the opening that is open then, or else the next one, by what earlier backups took; and who would be missed."""
    _assert_there(ask, name)
    return {"items": action.plan(ask.desk(pool), name, at)}


@router.get(
    "/windows/{name}/calendar",
    response_class=Response,
    responses={200: {"content": {"text/calendar": {}}, "description": "The next 100 openings (RFC 5545)."}},
)
def calendar(ask: Reads, name: Name) -> Response:
    """Its next openings for a calendar."""
    _assert_there(ask, name)
    desk = ask.desk()
    return Response(action.calendar(desk.loaded, desk.policy.backups, name, ask.office.clock()), media_type="text/calendar")


def _assert_there(ask: Ask, name: str) -> None:
    if name not in ask.office.written.now().policy.backups.windows:
        raise Problem(404, "no-such-window", f"there is no window {name!r}")
