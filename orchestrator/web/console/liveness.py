"""What makes pages live: watches pools and rows while somebody looks, and tells what changed, drawn once for all who look."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import cast

from orchestrator.web.console.listeners import Listener, Listeners, event
from orchestrator.web.console.models import vfs
from orchestrator.web.console.sights import Census, Sights
from orchestrator.web.console.watching import Rows, Watcher
from orchestrator.web.live import Change
from orchestrator.web.office import Office
from workflows import back_up, disable, enable, keep_window

log = logging.getLogger(__name__)

RUNS, VFS, OVERVIEW, VMS, POOLS, BACKUP = "runs", "vfs", "overview", "vms", "pools", "backup"
VM = "vm:"  # before the uuid of one
TOPICS = frozenset({RUNS, VFS, OVERVIEW, VMS, POOLS, BACKUP})
OF_PORTS = frozenset({VFS, OVERVIEW, POOLS})
OF_VMS = frozenset({"vm", "vif", "network", "reset"})
"""Changes in a pool that pages of VMs show something of."""
BY_WORKFLOW = {enable.NAME: POOLS, disable.NAME: POOLS, back_up.NAME: BACKUP, keep_window.NAME: BACKUP}
LONGEST = 60  # letters of a topic
AGAIN = 1.0  # seconds until what was cut off is followed again


class Liveness:
    """*draw*: a port as the piece of the page that replaces it; *draw_sum*: the line of numbers of a pool, by its place in the order."""

    def __init__(self, office: Office, sights: Sights, draw: Callable[[vfs.Port], str], draw_sum: Callable[[int, str], str]) -> None:
        self._office = office
        self._sights = sights
        self._draw = draw
        self._draw_sum = draw_sum
        self._order = {name: place for place, name in enumerate(sorted(office.pools), 1)}
        self._ports = {name: Watcher(name, sights.ports[name], partial(self._seen, name)) for name in office.pools}
        self._vms = {name: Watcher(name, sights.census[name], self._counted) for name in office.pools}
        self._watched: frozenset[str] = frozenset()
        self._following: asyncio.Task[None] | None = None
        self._listeners = Listeners(self._changed)

    def come(self, topics: frozenset[str], mark: str = "") -> Listener:
        """Somebody looks at a page about these topics. To be called in the loop that sends to them.

        The page was drawn a moment ago, or before the connection was lost: it is told to draw anew, the map of VFs only where that is
        another one by now than that of the *mark*.
        """
        listener = self._listeners.come(frozenset(topic for topic in topics if _is_one(topic)))
        listener.tell({topic: _said(topic) for topic in listener.topics - {VFS}})
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
            for topic in self._listeners.topics - {VFS}:
                self._tell(topic)
            for pool in self._ports:
                self._ports[pool].look_anew()
                self._vms[pool].look_anew()

    async def _follow_on(self) -> None:
        """A run that goes on may promise VFs, or let them go: the ports of its pool are looked at as well."""
        following = cast("AsyncGenerator[Change]", self._office.live.follow())
        async with contextlib.aclosing(following) as changes:
            async for change in changes:
                if change.kind == "run":
                    for topic in (RUNS, BY_WORKFLOW.get(change.data["workflow"], ""), change.data["subject"]):
                        self._tell(topic)
                self._look_anew(change.data.get("pool", ""), change)

    def _tell(self, topic: str) -> None:
        self._listeners.tell(topic, {topic: _said(topic)})

    def _look_anew(self, pool: str, change: Change) -> None:
        """Of a VIF nobody knows here whose it is: all pages of VMs look again."""
        if pool not in self._ports:
            return
        kind = change.data.get("class", "reset" if change.kind == "reset" else "")
        self._ports[pool].look_anew()
        if kind in OF_VMS:
            self._vms[pool].look_anew()
        if kind == "vm":
            self._tell(VM + change.data["uuid"])
        elif kind in OF_VMS:
            for topic in self._listeners.topics:
                if topic.startswith(VM):
                    self._tell(topic)
        elif kind == "pif":
            self._tell(POOLS)

    def _changed(self, topics: frozenset[str]) -> None:
        for kinds, watchers in ((OF_PORTS, self._ports), (frozenset({VMS}), self._vms)):
            wants, does = bool(topics & kinds), bool(self._watched & kinds)
            for watcher in watchers.values():
                if wants and not does:
                    watcher.start()
                elif does and not wants:
                    watcher.stop()
        self._watched = topics

    def _counted(self, before: Census | None, after: Census) -> None:
        """Tell that VMs look other than before."""
        if before is None or before[0] != after[0]:
            self._tell(VMS)

    def _seen(self, pool: str, before: Rows | None, after: Rows) -> None:
        """Draw what is other than before."""
        changed = vfs.changed(before or (), after)
        if changed == []:
            return
        self._tell(OVERVIEW)
        self._tell(POOLS)
        if changed is None:
            self._listeners.tell(VFS, {"map": event("map")})
            return
        news = {f"port {row['port']}": event("port", self._draw(vfs.port(row))) for row in changed}
        whole = vfs.drawn(pool, after)
        self._listeners.tell(VFS, {**news, f"sum {pool}": event("port", self._draw_sum(self._order[pool], whole.said))})


def _is_one(topic: str) -> bool:
    return topic in TOPICS or (topic.startswith(VM) and len(topic) <= LONGEST)


def _said(topic: str) -> str:
    """The event by which a page hears of the topic; a page of a VM hears of no other one."""
    return event(topic.partition(":")[0])
