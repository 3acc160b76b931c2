"""Windows of backups: when each opens, what became of its openings, how one would go, and writing one."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from orchestrator.actions import windows as action
from orchestrator.views import windows as view
from orchestrator.web.api.guard import ERRORS, Administers, Reads
from orchestrator.web.api.shapes_policies import Nights, Openings, Removed, WindowDetail, WindowProposal, Windows, Written
from orchestrator.web.api.writing import OUTDATED, IfMatch, Table, revision, tag, tagged
from orchestrator.web.ask import Ask, answer
from orchestrator.web.problems import Problem
from state.store import Session
from state.written import WINDOW

router = APIRouter(tags=["windows"], responses=ERRORS)

Name = Annotated[str, Path(max_length=100, description="The NAME of [windows.NAME].")]


@router.get("/windows", response_model=Windows)
def listed(ask: Reads) -> dict[str, Any]:
    """The windows of the configuration and of the rows: whether each is open, and when it opens next."""
    desk = ask.desk()
    return {"items": action.listed(desk), "amiss": action.amiss(desk)}


@router.get("/openings", response_model=Openings)
def coming(ask: Reads, count: Annotated[int, Query(ge=1, le=1000)] = 10) -> dict[str, Any]:
    """The next openings of all windows, soonest first."""
    return {"items": view.upcoming(ask.desk().policy.backups.windows.values(), ask.office.clock(), count)}


@router.get("/windows/{name}", response_model=WindowDetail)
def shown(ask: Reads, name: Name, said: Response) -> dict[str, Any]:
    """One window, its next openings, and what became of those of the last two weeks."""
    _assert_there(ask, name)
    row = action.shown(ask.desk(), name)
    tag(said, row["revision"])
    return row


@router.put("/windows/{name}", response_model=Written, responses=OUTDATED)
def written(ask: Administers, name: Name, table: Table, if_match: IfMatch = None) -> Response:
    """Write a window into the rows, or change the one that If-Match means; all machines take it up. Those of the file are changed there."""
    desk = ask.desk()

    def change(session: Session, now: datetime) -> dict[str, Any]:
        return action.set_written(session, desk, name, table, revision=revision(if_match, desk, WINDOW, name), now=now)

    return tagged(ask.act("write-window", f"window {name}", change))


@router.delete("/windows/{name}", response_model=Removed, responses=OUTDATED)
def removed(ask: Administers, name: Name, if_match: IfMatch = None) -> Response:
    """Take a window that no policy uses out of the rows. Without If-Match: whichever there is."""
    desk = ask.desk()

    def change(session: Session, now: datetime) -> dict[str, Any]:
        if desk.in_force.of(WINDOW, name) is None:
            _assert_there(ask, name)
        return action.set_removed(session, desk, name, revision(if_match, desk, WINDOW, name), now=now)

    return ask.act("remove-window", f"window {name}", change)


@router.post("/windows/{name}/proposal", response_model=WindowProposal, responses=OUTDATED)
def proposed(
    ask: Reads, name: Name, table: Table, if_match: IfMatch = None, pool: Annotated[str | None, Query(max_length=200)] = None
) -> Response:  # fmt: skip
    """When a window of this table would open, and how that would go. Nothing is written."""
    desk = ask.desk(pool)
    return answer(action.proposed(desk, name, table, revision=revision(if_match, desk, WINDOW, name)))


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
