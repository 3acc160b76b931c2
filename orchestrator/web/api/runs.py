"""Runs: what goes on, what happened, and a person's word on it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from orchestrator.actions import runs as action
from orchestrator.actions.verbs import Verb
from orchestrator.views import calls
from orchestrator.views import runs as view
from orchestrator.web.api.guard import ERRORS, Operates, Reads
from orchestrator.web.api.shapes import RunDetail, RunPage, RunRow, StepCalls
from orchestrator.web.problems import Problem
from state import pages
from state.pages import Asked, Cursor
from state.run import Status
from state.store import Session

router = APIRouter(tags=["runs"], responses=ERRORS)

RunId = Annotated[UUID, Path(description="The run's id.")]
MOST = 500


@router.get("/runs", response_model=RunPage)
def listed(  # noqa: PLR0913 - one parameter is one option
    ask: Reads,
    *,
    status: Annotated[list[Status] | None, Query(description="Of these statuses; left out: active, or in need of a person.")] = None,
    pool: Annotated[str | None, Query(max_length=200)] = None,
    workflow: Annotated[str | None, Query(max_length=200)] = None,
    subject: Annotated[str | None, Query(max_length=200, description='What it is about, as "vm:UUID".')] = None,
    cursor: Annotated[str | None, Query(max_length=200, description="The *next* of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> dict[str, Any]:  # fmt: skip
    """Runs, newest first, page by page."""
    statuses = frozenset(status) if status else view.NEEDS_ATTENTION
    try:
        before = None if cursor is None else Cursor.read(cursor)
    except ValueError:
        raise Problem(422, "bad-cursor", "this is no cursor of a page before: leave it out for the first page") from None
    with ask.office.store.read() as session:
        found, after = pages.runs(session, Asked(statuses, pool, workflow, subject), before=before, limit=limit)
    return {"items": [view.row(run) for run in found], "next": None if after is None else after.written()}


@router.get("/runs/{run_id}", response_model=RunDetail)
def shown(ask: Reads, run_id: RunId) -> dict[str, Any]:
    """One run with its history."""
    with ask.office.store.read() as session:
        return view.detail(session, _find(session, run_id))


@router.get("/runs/{run_id}/calls", response_model=list[StepCalls])
def called(ask: Reads, run_id: RunId) -> list[dict[str, Any]]:
    """The calls into the pool that its steps made."""
    with ask.office.store.read() as session:
        return calls.of(session, _find(session, run_id))


@router.post("/runs/{run_id}/{verb}", response_model=RunRow)
def changed(ask: Operates, run_id: RunId, verb: Verb) -> Response:
    """Approve of what it waits to do, take it up again, or give it up and undo what it did."""

    def change(session: Session, now: datetime) -> dict[str, Any]:
        _find(session, run_id)
        return view.row(action.change(session, ask.office.place(ask.principal), str(run_id), verb, now=now))

    return ask.act(verb.value, f"run {run_id}", change, publish=lambda: [run_id])


def _find(session: Session, run_id: UUID) -> Any:
    try:
        return view.find(session, str(run_id))
    except view.NoSuchRun:
        raise Problem(404, "no-such-run", f"there is no run {run_id}") from None
