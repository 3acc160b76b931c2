"""What changes, as it changes: one thread looks at the rows while somebody listens, and tells all who do."""

import asyncio
import contextlib
import logging
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.web.looking import Found, Looker
from state.store import Away, Store

logger = logging.getLogger(__name__)

EVERY = 0.1  # seconds between two looks
AWAY = 2.0  # seconds, while the database does not answer
BEHIND = 2000  # changes that a listener may be behind; then it is let go, and comes again from where it was
KEPT = 2000  # changes that are remembered for those who come again


@dataclass(frozen=True, slots=True)
class Change:
    """One change. *id*: what a listener that comes again says it saw last. *kind*, *data*: as `Looker` has them."""

    id: str
    kind: str
    data: dict[str, Any]


@dataclass(eq=False)
class _Listener:
    """*loop* and *queue* of one who listens; None in it ends the stream. *joined*: what they have missed, once they are told what comes."""

    last: str | None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    queue: "asyncio.Queue[Change | None]" = field(default_factory=asyncio.Queue)
    is_over: bool = False

    def __post_init__(self) -> None:
        self.joined: asyncio.Future[list[Change]] = self.loop.create_future()

    def join(self, missed: list[Change]) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._join, missed)

    def _join(self, missed: list[Change]) -> None:
        if not self.joined.done():
            self.joined.set_result(missed)

    def tell(self, found: Sequence[Change | None]) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):  # its loop is closed: nobody listens there any more
            self.loop.call_soon_threadsafe(self._put, found)

    def _put(self, found: Sequence[Change | None]) -> None:
        for change in found:
            if self.is_over:
                return
            if change is None or self.queue.qsize() >= BEHIND:
                self.is_over = True
                self.queue.put_nowait(None)
                self._join([])
            else:
                self.queue.put_nowait(change)


class Live:
    """The changes of runs and pools, for as many as listen; nothing is looked at while nobody does."""

    def __init__(self, store: Store, pools: Sequence[str]) -> None:
        self._pools = tuple(pools)
        self._looker = Looker(store)
        self._lock = threading.Lock()  # nobody who has it waits for anything
        self._coming: list[_Listener] = []
        self._listeners: list[_Listener] = []
        self._told: deque[Change] = deque(maxlen=KEPT)
        self._life, self._number = secrets.token_hex(4), 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def heard(self, keys: Iterable[str]) -> None:
        """Something happened to these things of a pool, says the listener of this process; where there is none the rows say it."""
        if self._thread is not None:
            self._looker.heard(keys)

    @property
    def is_closed(self) -> bool:
        """Whether nobody is told anything any more: the process stops."""
        return self._stop.is_set()

    async def follow(self, last: str | None = None, *, beat: float | None = None) -> AsyncIterator[Change | None]:
        """Each change from now on, or after the one with the id *last*; ends when the process stops, or the listener is too slow.

        Where there is none for *beat* seconds, a None.

        Of what is recorded of runs nothing is left out. Where *last* was told by another process, or too long ago, a "reset" of each pool
        says to look at it anew, and what was recorded of runs may be told again.
        """
        listener = _Listener(last)
        self._come(listener)
        try:
            for change in await listener.joined:
                yield change
            while True:
                try:
                    told = await asyncio.wait_for(listener.queue.get(), beat)
                except TimeoutError:
                    yield None
                    continue
                if told is None:
                    return
                yield told
        finally:
            listener.is_over = True

    def close(self) -> None:
        """End all streams; who comes later is told nothing."""
        self._stop.set()

    def _come(self, listener: _Listener) -> None:
        """The thread that looks joins them, so that nothing falls between what they have missed and what they are told."""
        with self._lock:
            if self._stop.is_set():
                listener.tell([None])
                return
            self._coming.append(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()

    def _missed(self, last: str | None) -> list[Change]:
        """As it was told here where that is remembered, from the rows else."""
        if not last:
            return []
        for number, change in enumerate(self._told):
            if change.id == last:
                return list(self._told)[number + 1 :]
        written = last.partition(".")[0]
        resets: list[Found] = [("reset", {"pool": pool}) for pool in self._pools]
        recorded = self._looker.since(int(written)) if written.isdecimal() and len(written) < 19 else None
        return [self._made(found) for found in [*resets, *(recorded or [])]]

    def _made(self, found: Found) -> Change:
        """With an id: up to which entry everything was told, and which one it is of this process."""
        kind, data = found
        self._number += 1
        seq = (data.get("entry") or {}).get("seq") or self._looker.seq
        return Change(f"{seq}.{self._life}.{self._number}", kind, data)

    def _run(self) -> None:
        has_begun = False
        while not self._stop.is_set():
            try:
                if not has_begun:
                    self._looker.begin()
                    self._told.clear()
                    has_begun = True
                self._round()
            except Away as error:
                logger.warning("nobody is told what changes: %s", error)
                self._stop.wait(AWAY)
            except Exception:
                logger.exception("what changes cannot be told: all who listen are sent away")
                break
            if self._is_left():
                return
            self._stop.wait(EVERY)
        with self._lock:
            for listener in (*self._listeners, *self._coming):
                listener.tell([None])
            self._listeners.clear()
            self._coming.clear()
            self._thread = None

    def _is_left(self) -> bool:
        """Whether nobody listens any more: then the thread is none from here on."""
        self._listeners = [listener for listener in self._listeners if not listener.is_over]
        with self._lock:
            self._coming = [listener for listener in self._coming if not listener.is_over]
            if self._listeners or self._coming:
                return False
            self._thread = None
            return True

    def _round(self) -> None:
        """Look, tell everybody, and join those who came."""
        changes = [self._made(found) for found in self._looker.look()]
        self._told.extend(changes)
        if changes:
            for listener in self._listeners:
                listener.tell(changes)
        while self._coming:
            listener = self._coming[0]
            listener.join(self._missed(listener.last))
            with self._lock:
                self._coming.remove(listener)
            self._listeners.append(listener)
