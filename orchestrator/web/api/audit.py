"""Who did what; and who one is."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from orchestrator.actions import audit as action
from orchestrator.web.api.guard import ERRORS, Administers, Reads
from orchestrator.web.api.shapes import AuditPage, Me
from state import audit

router = APIRouter(tags=["audit"], responses=ERRORS)

MOST = 1000
Word = Annotated[str, Query(max_length=200)]


@router.get("/me", response_model=Me)
def me(ask: Reads) -> dict[str, Any]:
    """The token that asks."""
    return {"name": ask.principal.name, "scope": ask.principal.scope}


@router.get("/audit", response_model=AuditPage)
def listed(  # noqa: PLR0913 - one parameter is one option
    ask: Administers,
    *,
    who: Word = "",
    how: Annotated[Literal["", "cli", "api", "console", "rule"], Query()] = "",
    what: Word = "",
    outcome: Annotated[Literal["", "done", "refused", "failed"], Query()] = "",
    since: Annotated[AwareDatetime | None, Query(description="From this moment on.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this moment.")] = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="The *next* of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> dict[str, Any]:
    """Every act, refused ones too, newest first, page by page."""
    asked = audit.Asked(who, how, what, outcome, since, until, cursor)
    with ask.office.store.read() as session:
        found = audit.listed(session, asked, limit=limit + 1)
    page = found[:limit]
    return {"items": [action.row(act) for act in page], "next": page[-1].seq if len(found) > limit else None}
