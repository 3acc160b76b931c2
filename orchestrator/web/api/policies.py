"""Policies of backups: whom each means, writing one, pausing one, and saving its VMs now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from orchestrator.actions import policies as action
from orchestrator.web.api.guard import ERRORS, Administers, Operates, Reads
from orchestrator.web.api.shapes_policies import Policies, PolicyDetail, PolicyProposal, PolicyRunBody, PolicyStands, Removed, Written
from orchestrator.web.api.starting import HowAsked, begins, begun
from orchestrator.web.api.writing import OUTDATED, IfMatch, Table, revision, tag, tagged
from orchestrator.web.ask import Ask, answer
from orchestrator.web.problems import Problem
from state import runs
from state.store import Session
from state.written import POLICY

router = APIRouter(tags=["policies"], responses=ERRORS)

Name = Annotated[str, Path(max_length=100, description="The NAME of [policies.NAME].")]


@router.get("/policies", response_model=Policies)
def listed(ask: Reads) -> dict[str, Any]:
    """The policies of the configuration and of the rows, and which are paused."""
    desk = ask.desk()
    return {"items": action.listed(desk), "amiss": action.amiss(desk)}


@router.get("/policies/{name}", response_model=PolicyDetail)
def shown(ask: Reads, name: Name, said: Response, pool: Annotated[str | None, Query(max_length=200)] = None) -> dict[str, Any]:
    """One policy and the VMs that it means now, the most overdue first."""
    _assert_there(ask, name)
    row = action.shown(ask.desk(pool), name)
    tag(said, row["revision"])
    return row


@router.put("/policies/{name}", response_model=Written, responses=OUTDATED)
def written(ask: Administers, name: Name, table: Table, if_match: IfMatch = None) -> Response:
    """Write a policy into the rows, or change the one that If-Match means; all machines take it up. Those of the file are changed there."""
    desk = ask.desk()

    def change(session: Session, now: datetime) -> dict[str, Any]:
        return action.set_written(session, desk, name, table, revision=revision(if_match, desk, POLICY, name), now=now)

    return tagged(ask.act("write-policy", f"policy {name}", change))


@router.delete("/policies/{name}", response_model=Removed, responses=OUTDATED)
def removed(ask: Administers, name: Name, if_match: IfMatch = None) -> Response:
    """Take a policy out of the rows: nobody is begun by it any more, who is at work goes on, what it saved stays. Without If-Match: any."""
    desk = ask.desk()

    def change(session: Session, now: datetime) -> dict[str, Any]:
        if desk.in_force.of(POLICY, name) is None:
            _assert_there(ask, name)
        return action.set_removed(session, desk, name, revision(if_match, desk, POLICY, name), now=now)

    return ask.act("remove-policy", f"policy {name}", change)


@router.post("/policies/{name}/proposal", response_model=PolicyProposal, responses=OUTDATED)
def proposed(
    ask: Reads, name: Name, table: Table, if_match: IfMatch = None, pool: Annotated[str | None, Query(max_length=200)] = None
) -> Response:  # fmt: skip
    """What a policy of this table would mean and do, and how its window's next opening would go. Nothing is written."""
    desk = ask.desk(pool)
    return answer(action.proposed(desk, name, table, revision=revision(if_match, desk, POLICY, name)))


@router.post("/policies/{name}/run", **begins("Save its VMs now, within the limits of its window, with no end to be through before."))
async def run(ask: Operates, how: HowAsked, name: Name, body: PolicyRunBody) -> Response:
    """One run for each pool. Who waited for them is told (409) when somebody was not saved, and why."""
    _assert_there(ask, name)
    said = await begun(ask, how, "run-policy", f"policy {name}", lambda desk: action.run(desk, name, body.vms))
    if how.wait and not how.dry_run and said.status_code == 200:
        await run_in_threadpool(_assert_saved, ask, name, orjson.loads(bytes(said.body))["runs"])
    return said


@router.post("/policies/{name}/pause", response_model=PolicyStands)
def paused(ask: Operates, name: Name) -> Response:
    """Begin nobody by it until it is resumed; who is at work goes on. What is missed meanwhile is not made up for."""
    _assert_there(ask, name)

    def change(session: Session, now: datetime) -> dict[str, Any]:
        return action.set_paused(session, ask.office.place(ask.principal), name, now=now)

    return ask.act("pause-policy", f"policy {name}", change)


@router.post("/policies/{name}/resume", response_model=PolicyStands)
def resumed(ask: Operates, name: Name) -> Response:
    """Go on with it, from the next opening of its window on. One that the configuration does not have any more may be resumed too."""

    def change(session: Session, now: datetime) -> dict[str, Any]:
        stood = action.set_resumed(session, ask.office.place(ask.principal), name, now=now)
        if stood is None:
            _assert_there(ask, name)
        return stood or action.stands(None, name)

    return ask.act("resume-policy", f"policy {name}", change)


def _assert_saved(ask: Ask, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises Problem when somebody who should have been saved by these runs was not."""
    with ask.office.store.read() as session:
        found = [runs.get(session, UUID(row["run"])) for row in rows]
    judged = action.judge_runs(ask.office.store, name, {run.pool: run for run in found if run is not None})
    if not judged.well:
        text = "; ".join(f"{line.vm_name}: {line.status}: {line.reason}" for line in judged.amiss)
        raise Problem(409, "not-saved", text or "somebody was not saved: /reports says who", runs=rows)


def _assert_there(ask: Ask, name: str) -> None:
    if name not in ask.office.written.now().policy.backups.policies:
        raise Problem(404, "no-such-policy", f"there is no policy {name!r}")
