"""How it all stands: what was saved and what was not, what the doctor finds, and the processes that share the work."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from orchestrator import bootstrap
from orchestrator.actions import capacity
from orchestrator.actions import cluster as clusters
from orchestrator.actions import report as reports
from orchestrator.views import report as view
from orchestrator.web.api.guard import ERRORS, Reads
from orchestrator.web.api.paging import paged
from orchestrator.web.api.shapes_backups import Report
from orchestrator.web.api.shapes_standing import CapacityPage, Cluster, Findings
from orchestrator.web.ask import Ask
from orchestrator.web.problems import Problem
from state.capacity import Asked

router = APIRouter(tags=["standing"], responses=ERRORS)

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MOST = 10_000
Since = Annotated[str, Query(max_length=50, description='A duration ("24h"), or a moment with its zone.')]
Cursor = Annotated[str | None, Query(max_length=2000, description="The *next* of the page before.")]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Until = Annotated[datetime | None, Query(description="With its zone; left out: now.")]


@router.get("/reports", response_model=Report)
def report(  # noqa: PLR0913, PLR0917 - one parameter is one option
    ask: Reads,
    since: Since = "24h",
    until: Until = None,
    policy: Annotated[str | None, Query(max_length=100)] = None,
    pool: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Cursor = None,
    limit: Limit = 1000,
) -> dict[str, Any]:
    """What was saved and what was not, per policy and VM, and why; the sums are of all, whatever the page."""
    begins, ends = _between(ask, since, until)
    made = reports.report(ask.desk(pool), reports.Wanted(begins, min(ends, ask.office.clock()), policy, pool))
    page, following = paged(made["backups"], cursor, limit, view.place, upwards=True)
    return {**made, "backups": page, "next": following}


@router.get("/vfs/history", response_model=CapacityPage)
def history(  # noqa: PLR0913, PLR0917 - one parameter is one option
    ask: Reads,
    since: Since = "24h",
    until: Until = None,
    pool: Annotated[str | None, Query(max_length=200)] = None,
    network: Annotated[str | None, Query(max_length=200, description="Only of this one, by its uuid.")] = None,
    cursor: Cursor = None,
    limit: Limit = 1000,
) -> dict[str, Any]:
    """How many VFs the networks had, and what of them was taken: a sample of each whenever that changed, and every hour; oldest first."""
    begins, ends = _between(ask, since, until)
    pools = [access.name for access in ask.office.chosen(pool)]
    asked = Asked(begins, ends, pools, network, None if cursor is None else _place(cursor))
    items, more = capacity.page(ask.office.store, asked, limit)
    following = "\n".join([items[-1]["at"].isoformat(), items[-1]["pool"], items[-1]["network"]]) if more else None
    return {"counted_since": capacity.since(ask.office.store, pools), "items": items, "next": following}


def _place(written: str) -> tuple[datetime, str, str]:
    """Behind which sample a page begins. Raises Problem."""
    at, *names = written.split("\n")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or len(names) != 2:
        raise Problem(422, "bad-cursor", "this is no cursor of a page before: leave it out for the first page")
    return moment, names[0], names[1]


def _between(ask: Ask, since: str, until: datetime | None) -> tuple[datetime, datetime]:
    """The time that is asked for. Raises Problem and WrongInput."""
    now = ask.office.clock()
    begins, ends = reports.moment(since, now, zoned=True), until or now
    if ends.tzinfo is None:
        raise Problem(422, "no-zone", "until: write it with its zone, as 2026-11-30T00:00:00Z")
    if not EARLIEST <= begins <= ends:
        raise Problem(422, "no-time", f"since {begins.isoformat()} until {ends.isoformat()}: there is nothing between them")
    return begins, ends


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
