"""What changes, as it changes: server-sent events, which a client that was cut off takes up where it was."""

import time
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from orchestrator.web.api.guard import ERRORS, Reads
from orchestrator.web.ask import Ask
from orchestrator.web.live import Change
from orchestrator.web.problems import Problem
from state.store import Away

router = APIRouter(tags=["events"], responses=ERRORS)

BEAT = 15.0  # seconds: proxies cut what says nothing for a minute
AGAIN = 2000  # milliseconds after which a client that was cut off comes again
STREAM = "text/event-stream"


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {STREAM: {"schema": {"type": "string"}}}, "description": "Server-sent events"}},
)
async def events(
    ask: Reads,
    *,
    run: Annotated[UUID | None, Query(description="Only what is about this run.")] = None,
    pool: Annotated[str | None, Query(max_length=200, description="Only what is about this pool.")] = None,
    last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=200)] = None,
) -> StreamingResponse:
    """Events "run" (a run's row, with the *entry* that was recorded or null), "object" {pool, class, uuid} and "reset" {pool}.

    With Last-Event-ID nothing that was recorded of runs since is left out; "reset" says to look at a pool anew.
    """
    return StreamingResponse(_written(ask, run, pool, last), media_type=STREAM, headers={"X-Accel-Buffering": "no"})


async def _written(ask: Ask, run: UUID | None, pool: str | None, last: str | None) -> AsyncIterator[bytes]:
    """The stream; it ends when the token counts no more."""
    yield f"retry: {AGAIN}\n\n".encode()
    looked = time.monotonic()
    async for change in ask.office.live.follow(last, beat=BEAT):
        if time.monotonic() - looked >= BEAT:
            looked = time.monotonic()
            if not await run_in_threadpool(_still_counts, ask):
                return
        if change is None:
            yield b": still here\n\n"
        elif _is_meant(change, run, pool):
            data = orjson.dumps(change.data, option=orjson.OPT_UTC_Z, default=str)
            yield b"id: %b\nevent: %b\ndata: %b\n\n" % (change.id.encode(), change.kind.encode(), data)


def _is_meant(change: Change, run: UUID | None, pool: str | None) -> bool:
    if run is not None and change.data.get("id") != run:
        return False
    return pool is None or change.data.get("pool") == pool


def _still_counts(ask: Ask) -> bool:
    try:
        ask.again()
    except Problem:
        return False
    except Away:
        return True
    return True
