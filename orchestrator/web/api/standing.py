"""How it all stands: what was saved and what was not, what the doctor finds, and the processes that share the work."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from orchestrator import bootstrap
from orchestrator.actions import cluster as clusters
from orchestrator.actions import report as reports
from orchestrator.web.api.guard import ERRORS, Reads
from orchestrator.web.api.shapes_backups import Report
from orchestrator.web.api.shapes_standing import Cluster, Findings
from orchestrator.web.problems import Problem

router = APIRouter(tags=["standing"], responses=ERRORS)

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


@router.get("/reports", response_model=Report)
def report(
    ask: Reads,
    since: Annotated[str, Query(max_length=50, description='A duration ("24h"), or a moment with its zone.')] = "24h",
    until: Annotated[datetime | None, Query(description="With its zone; left out: now.")] = None,
    policy: Annotated[str | None, Query(max_length=100)] = None,
    pool: Annotated[str | None, Query(max_length=200)] = None,
) -> dict[str, Any]:
    """What was saved and what was not, per policy and VM, and why."""
    now = ask.office.clock()
    begins, ends = reports.moment(since, now, zoned=True), until or now
    if ends.tzinfo is None:
        raise Problem(422, "no-zone", "until: write it with its zone, as 2026-11-30T00:00:00Z")
    if not EARLIEST <= begins <= ends:
        raise Problem(422, "no-time", f"since {begins.isoformat()} until {ends.isoformat()}: there is nothing between them")
    return reports.report(ask.desk(pool), reports.Wanted(begins, min(ends, now), policy, pool))


@router.get("/pools/{pool}/findings", response_model=Findings)
def findings(ask: Reads, pool: Annotated[str, Path(max_length=200)]) -> dict[str, Any]:
    """What the doctor finds of a pool, and what to do about it. The pool is examined for it."""
    if pool not in ask.office.pools:
        raise Problem(404, "no-such-pool", f"there is no pool {pool!r} in the configuration")
    return {"items": bootstrap.examine(ask.office.loaded, pool, ask.office.pools[pool].client.haste)}


@router.get("/cluster", response_model=Cluster)
def cluster(ask: Reads) -> dict[str, Any]:
    """The processes that share the work: who lives, who holds what since when, what waits, and what is amiss."""
    return clusters.status(ask.office.loaded, ask.office.store)
