"""What makes pages live: watches pools and rows while somebody looks, and tells what changed, drawn once for all who look."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import cast

from orchestrator.web.console.listeners import Listener, Listeners, event
from orchestrator.web.console.models import vfs
from orchestrator.web.console.sights import Sights
from orchestrator.web.console.watching import Rows, Watcher
from orchestrator.web.live import Change
from orchestrator.web.office import Office

log = logging.getLogger(__name__)

RUNS, VFS, OVERVIEW = "runs", "vfs", "overview"
TOPICS = frozenset({RUNS, VFS, OVERVIEW})
OF_POOLS = frozenset({VFS, OVERVIEW})
AGAIN = 1.0  # seconds until what was cut off is followed again


class Liveness:
    """*draw*: a port as the piece of the page that replaces it; *draw_sum*: the line of numbers of a pool, by its place in the order."""

    def __init__(self, office: Office, sights: Sights, draw: Callable[[vfs.Port], str], draw_sum: Callable[[int, str], str]) -> None:
        self._office = office
        self._sights = sights
        self._draw = draw
        self._draw_sum = draw_sum
        self._order = {name: place for place, name in enumerate(sorted(office.pools), 1)}
        self._watchers = {name: Watcher(name, sights.ports[name], partial(self._seen, name)) for name in office.pools}
        self._watches = False
        self._following: asyncio.Task[None] | None = None
        self._listeners = Listeners(self._changed)

    def come(self, topics: frozenset[str], mark: str = "") -> Listener:
        """Somebody looks at a page about these topics. To be called in the loop that sends to them.

        The page was drawn a moment ago, or before the connection was lost: it is told to draw anew, the map of VFs only where that is
        another one by now than that of the *mark*.
        """
        listener = self._listeners.come(topics & TOPICS)
        listener.tell({topic: event(topic) for topic in listener.topics & {RUNS, OVERVIEW}})
        if VFS in listener.topics and vfs.mark(self._sights.last_maps()) != mark:
            listener.tell({"map": event("map")})
        if self._following is None or self._following.done():
            self._following = asyncio.get_running_loop().create_task(self._follow())
        return listener

    def go(self, listener: Listener) -> None:
        """They do no more. In the same loop."""
        self._listeners.go(listener)
        if not self._listeners.are_there and self._following is not None:
            self._following.cancel()
            self._following = None

    def close(self) -> None:
        """End everything; in any thread."""
        self._listeners.close()

    async def _follow(self) -> None:
        """What changes, until nobody looks any more. Where that was cut off, pages are told to draw anew what may have been missed."""
        while True:
            try:
                await self._follow_on()
            except Exception:
                log.exception("what changes is not told to pages that are open: it is tried again")
            if self._office.live.is_closed:
                return
            await asyncio.sleep(AGAIN)
            self._listeners.tell(RUNS, {RUNS: event(RUNS)})
            self._listeners.tell(OVERVIEW, {OVERVIEW: event(OVERVIEW)})
            for pool in self._watchers:
                self._look_anew(pool)

    async def _follow_on(self) -> None:
        """A run that goes on may promise VFs, or let them go: the ports of its pool are looked at as well."""
        following = cast("AsyncGenerator[Change]", self._office.live.follow())
        async with contextlib.aclosing(following) as changes:
            async for change in changes:
                if change.kind == "run":
                    self._listeners.tell(RUNS, {RUNS: event(RUNS)})
                self._look_anew(change.data.get("pool", ""))

    def _look_anew(self, pool: str) -> None:
        if self._watches and pool in self._watchers:
            self._watchers[pool].look_anew()

    def _changed(self, topics: frozenset[str]) -> None:
        wants = bool(topics & OF_POOLS)
        if wants != self._watches:
            self._watches = wants
            for watcher in self._watchers.values():
                if wants:
                    watcher.start()
                else:
                    watcher.stop()

    def _seen(self, pool: str, before: Rows, after: Rows) -> None:
        """Draw what is other than before."""
        changed = vfs.changed(before, after)
        if changed == []:
            return
        self._listeners.tell(OVERVIEW, {OVERVIEW: event(OVERVIEW)})
        if changed is None:
            self._listeners.tell(VFS, {"map": event("map")})
            return
        news = {f"port {row['port']}": event("port", self._draw(vfs.port(row))) for row in changed}
        whole = vfs.drawn(pool, after)
        self._listeners.tell(VFS, {**news, f"sum {pool}": event("port", self._draw_sum(self._order[pool], whole.said))})
