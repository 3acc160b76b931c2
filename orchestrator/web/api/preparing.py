"""VMs made ready for a backup product: the two calls of its pre and post scripts."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from orchestrator.actions import backup
from orchestrator.web.api.acting import Body, VMs
from orchestrator.web.api.guard import ERRORS, Operates
from orchestrator.web.api.starting import HowAsked, begins, begun, waited
from orchestrator.web.ask import answer, plans, row
from state.store import Session

router = APIRouter(tags=["backups"], responses=ERRORS)

Span = Annotated[str | None, Field(max_length=20, description='Such as "12h"; left out: as [backup] says.')]


class PrepareBody(Body):
    """As `vfo backup prepare` takes it."""

    vms: VMs
    mode: Literal["auto", "online", "offline", "failover"] = "auto"
    hold: Span = None
    keep: Span = None


class ReleaseBody(Body):
    """As `vfo backup release` takes it."""

    vms: VMs


@router.post("/backups/prepare", **begins("Make VMs ready for a backup product: a run for each, which is done when its VM is ready."))
async def prepared(ask: Operates, how: HowAsked, body: PrepareBody) -> Response:
    """A snapshot that wants no VF, and the VM back in service with its own."""
    wanted = backup.Wanted(body.vms, body.mode, body.hold, body.keep)
    return await begun(ask, how, "prepare-backup", ", ".join(body.vms), lambda desk: backup.prepare(desk, wanted))


@router.post("/backups/release", **begins("The product is done: VFs come back where they were away, snapshots go when their time is over."))
async def released(ask: Operates, how: HowAsked, body: ReleaseBody) -> Response:
    """The runs that hold the snapshots go on."""
    thing = ", ".join(body.vms)

    def release() -> Response:
        before = None if how.dry_run else ask.answered()
        if before is not None:
            return before
        if how.dry_run:
            return answer(plans([backup.plan(run) for run in backup.held(ask.desk(how.pool), body.vms)]), 200)
        with ask.written_down("backup-release", thing):
            held = backup.held(ask.desk(how.pool), body.vms)

        def change(session: Session, now: datetime) -> dict[str, Any]:
            place = ask.office.place(ask.principal)
            return {"runs": [row(backup.let_go(session, place, run, now=now), new=False) for run in held], "plans": []}

        return ask.act("backup-release", thing, change, status=202, publish=lambda: [run.id for run in held])

    said = await run_in_threadpool(release)
    return said if how.dry_run else await waited(ask, how, said, backup.is_over_for_the_product)
