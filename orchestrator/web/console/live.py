"""What tells open pages that something changed: server-sent events."""

from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from orchestrator.web.console.guards import PageRoute, Reader
from orchestrator.web.console.liveness import Liveness

router = APIRouter(route_class=PageRoute)

MOST = 10  # topics of a page


@router.get("/live")
async def live(visit: Reader, topics: str = "", mark: str = "") -> StreamingResponse:
    """What happens about these topics (runs, vfs, overview, vms, pools, backup, vm:UUID), for as long as the page is open."""
    wanted = frozenset(topics.split(",")[:MOST])
    return StreamingResponse(
        _told(visit.counter.liveness, wanted, mark),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _told(liveness: Liveness, topics: frozenset[str], mark: str) -> AsyncIterator[str]:
    listener = liveness.come(topics, mark)
    try:
        async for piece in listener.heard():
            yield piece
    finally:
        liveness.go(listener)
