"""Putting right what shows marks of ours, by those marks alone."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from orchestrator.actions import recover as action
from orchestrator.web import ask as asking
from orchestrator.web.api.guard import ERRORS, Operates
from orchestrator.web.api.starting import How, HowAsked, begins, waited
from orchestrator.web.ask import Ask
from state.store import Session

router = APIRouter(tags=["recover"], responses=ERRORS)

THING = "every VM with a mark of ours"


@router.post("/recover", **begins("Put right every VM and host with a mark of ours that no run is at; try again what is stuck of backups."))
async def recovered(ask: Operates, how: HowAsked) -> Response:
    """Workers do it: the command `vfo recover` is for when there are none."""
    said = await run_in_threadpool(_begun, ask, how)
    return said if how.dry_run else await waited(ask, how, said)


def _begun(ask: Ask, how: How) -> Response:
    before = None if how.dry_run else ask.answered()
    if before is not None:
        return before
    with ask.written_down("recover", THING):
        desk = ask.desk(how.pool)
        marks = action.look(desk)
        if how.dry_run:
            return asking.answer(asking.plans([plan for _, plan in action.plans(desk, marks.wanted)]))
    begun: list[UUID] = []

    def change(session: Session, now: datetime) -> dict[str, Any]:
        found = action.take_up(session, desk.place, marks, now=now)
        begun[:] = [run.id for run, _ in found]
        return {"runs": [asking.row(run, new=new) for run, new in found], "plans": []}

    return ask.act("recover", THING, change, status=202, publish=lambda: begun)
