"""The two directions of a transfer: bytes that come from a pool and bytes that go there, each with the pool's task beside it."""

import contextlib
import html
import io
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO
from urllib.parse import SplitResult, urlsplit

import msgspec

from orchestrator.xapi import tasks
from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.tls import Trust
from orchestrator.xapi.transfers_http import Ask, Exchange, same_request, words
from plugins import streams
from plugins.errors import SourceError
from workflows.ports import Busy, Gone, PoolError, Transient
from workflows.tasks import Failed, Pending, Succeeded, TaskOutcome, Vanished

REDIRECTIONS = 3
BEGINNING = 1 << 16
POLL = 0.05
LONGEST_POLL = 1.0


class Later(SourceError):
    """Nothing was handed out, and the same may go well in a moment: the disk is in use, or the pool is away."""


class _Host(msgspec.Struct):
    address: str


class Link:
    """The way to one pool for one transfer: its client for the task, and HTTP for the bytes.

    *keeps*: the task stays in the pool when the transfer has ended, however it did: whoever asked for it looks for its traces by it.
    """

    def __init__(self, client: Client, settings: PoolSettings, trust: Trust, stalled: float, *, keeps: bool = False) -> None:
        self.client = client
        self.keeps = keeps
        self.pool = settings.name
        self.stalled = stalled
        self._settings = settings
        self._trust = trust

    def begin(self, what: str, ask: Ask) -> tuple[str, Exchange]:
        """Make the task and ask, wherever the pool sends us; the task and the answer. `Later`, SourceError."""
        try:
            task = str(self.client.call("task.create", f"vfo: {ask.path[1:]}", what))
        except PoolError as error:
            raise (Later if isinstance(error, Transient) else SourceError)(f"{what}: pool {self.pool}: {error}") from None
        try:
            return task, self._asked(what, ask, task)
        except SourceError:
            self.give_up(task)
            raise
        except PoolError as error:
            self.give_up(task)
            raise (Later if isinstance(error, Transient) else SourceError)(f"{what}: pool {self.pool}: {error}") from None
        except OSError as error:
            self.give_up(task)
            raise Later(f"{what}: pool {self.pool} is not reached: {words(error)}") from None

    def _asked(self, what: str, ask: Ask, task: str) -> Exchange:
        handle = str(self.client.session.handle)
        ask = replace(ask, query={**ask.query, "session_id": handle, "task_id": task})
        url = urlsplit(f"{urlsplit(self._settings.url).scheme}://{self.client.address}")
        for _ in range(REDIRECTIONS):
            exchange = Exchange(url, self._trust, ask, self.stalled)
            if exchange.status == 200:
                return exchange
            with exchange:
                there = exchange.elsewhere()
                if there is None:
                    raise self._refused(what, task, exchange, handle)
            url = self._member(what, ask, there)
        raise SourceError(f"{what}: pool {self.pool} sends us from host to host")

    def _member(self, what: str, ask: Ask, there: SplitResult) -> SplitResult:
        """The host that we are sent to, in the way that the configuration reaches the pool; the session goes to its members alone."""
        members = {host.address for host in self.client.fetch(dict[str, _Host], "host.get_all_records").values()}
        if there.hostname not in members or not same_request(ask, there):
            raise SourceError(f"{what}: pool {self.pool} sends us to {there.hostname}, which is none of its hosts, or for something else")
        mine = urlsplit(self._settings.url)
        host = f"[{there.hostname}]" if ":" in str(there.hostname) else there.hostname
        return urlsplit(f"{mine.scheme}://{host}{f':{mine.port}' if mine.port else ''}")

    def _refused(self, what: str, task: str, exchange: Exchange, handle: str) -> SourceError:
        state = self._state(task)
        if isinstance(state, Failed):
            return self.failed(what, state)
        if exchange.status in (401, 503):
            return Later(f"{what}: pool {self.pool} answers HTTP {exchange.status}")
        room = memoryview(bytearray(4096))
        with contextlib.suppress(OSError):
            page = bytes(room[: exchange.readinto(room)]).decode(errors="replace")
            text = html.unescape(" ".join(re.sub(r"<[^>]*>", " ", page).split())).replace(handle, "(session)")
            return SourceError(f"{what}: pool {self.pool} answers HTTP {exchange.status}: {text or 'nothing more'}")
        return SourceError(f"{what}: pool {self.pool} answers HTTP {exchange.status}")

    def failed(self, what: str, state: Failed, before: str = "") -> SourceError:
        """What a failed task means."""
        kind = Later if isinstance(state.error, Busy) else SourceError
        return kind(f"{what}: {before}pool {self.pool} says {state.error}")

    def ended(self, task: str, patience: float) -> TaskOutcome:
        """How the task ended, which may take a moment after the last byte; Pending when it has not within *patience* seconds."""
        pause, wait, ends = threading.Event(), POLL, time.monotonic() + patience
        while isinstance(state := self._state(task), Pending) and time.monotonic() < ends:
            pause.wait(wait)
            wait = min(2 * wait, LONGEST_POLL)
        if isinstance(state, Pending):
            self.give_up(task)
        return state

    def _state(self, task: str) -> TaskOutcome:
        try:
            return self._kept(task) if self.keeps else self.client.task_outcome(task)
        except PoolError as error:
            return Failed(error)

    def _kept(self, task: str) -> TaskOutcome:
        try:
            return tasks.outcome(self.client.fetch(tasks.TaskRecord, "task.get_record", task))
        except Gone:
            return Vanished()

    def give_up(self, task: str) -> None:
        """End the task and let the pool forget it, as far as somebody hears that: it forgets it by itself within a day."""
        for method in ("task.cancel",) if self.keeps else ("task.cancel", "task.destroy"):
            with contextlib.suppress(PoolError):
                self.client.call(method, task, patience=0)


class Download(io.RawIOBase):
    """A body as a stream. The last piece is given only when the task has succeeded and the length is right: SourceError instead of it."""

    def __init__(self, link: Link, what: str, ask: Ask, size: int | None, until_closed: contextlib.ExitStack) -> None:
        super().__init__()
        self._link = link
        self._what = what
        self._size = size
        self._got = 0
        self._over = False
        self._task, self._exchange = link.begin(what, ask)
        self._until_closed = contextlib.ExitStack()
        self._first = b""
        try:
            self._begin()
        except BaseException:
            self._let_go()
            raise
        self._until_closed = until_closed.pop_all()

    def _begin(self) -> None:
        """Look at the beginning: where the work failed at once, as for a disk in use, there is xapi's page in its place."""
        room = memoryview(bytearray(BEGINNING if self._size is None else min(BEGINNING, self._size)))
        have = 0
        while have < len(room) and (got := self._receive(room[have:])):
            have += got
        self._first = bytes(room[:have])
        if have < len(room) or self._size == have:
            self._finish(have)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, but for the last time; 0 at the end."""
        room = memoryview(buffer).cast("B")
        if self._first:
            have = min(len(room), len(self._first))
            room[:have], self._first = self._first[:have], self._first[have:]
            self._got += have
            return have
        if self._over or not room:
            return 0
        have = self._receive(room if self._size is None else room[: self._size - self._got])
        self._got += have
        if not have or self._got == self._size:
            self._finish(self._got)
        return have

    def _receive(self, room: memoryview) -> int:
        try:
            return self._exchange.readinto(room)
        except TimeoutError:
            raise self._broken(f"no byte came for {self._link.stalled:g} s") from None
        except OSError as error:
            raise self._broken(f"the connection broke: {words(error)}") from None

    def _broken(self, why: str) -> SourceError:
        self._exchange.close()
        state = self._link.ended(self._task, 2.0)
        said = f", and its task says {state.error}" if isinstance(state, Failed) else ""
        self._over = True
        return SourceError(f"{self._what}: {self._measure(self._got)} came from pool {self._link.pool}: {why}{said}")

    def _finish(self, got: int) -> None:
        """All bytes are here, or no more come."""
        more = self._receive(memoryview(bytearray(1))) if got == self._size else 0
        self._exchange.close()
        state = self._link.ended(self._task, self._link.stalled)
        self._over = True
        before = f"{self._measure(got)} came, and "
        if isinstance(state, Failed):
            raise self._link.failed(self._what, state, before)
        if not isinstance(state, Succeeded):
            how = "is gone" if isinstance(state, Vanished) else f"has not ended within {self._link.stalled:g} s"
            raise SourceError(f"{self._what}: {before}the task of pool {self._link.pool} {how}: nobody says that they are all")
        if more or (self._size is not None and got != self._size):
            raise SourceError(f"{self._what}: {self._measure(got)}{' and more' if more else ''} came from pool {self._link.pool}")

    def _measure(self, got: int) -> str:
        return f"{got} bytes" if self._size is None else f"{got} of {self._size} bytes"

    def close(self) -> None:
        """Let go; before the end: the pool is told that the rest is not wanted."""
        if not self.closed:
            super().close()
            if hasattr(self, "_until_closed"):
                self._let_go()

    def _let_go(self) -> None:
        with self._until_closed:
            self._exchange.close()
            if not self._over:
                self._over = True
                self._link.give_up(self._task)


class Upload:
    """A body that is sent."""

    def __init__(self, link: Link, what: str, ask: Ask) -> None:
        self._link = link
        self._what = what
        self._ask = ask

    def send(self, stream: BinaryIO, told: Callable[[memoryview], None]) -> tuple[str, Any]:
        """Send as many bytes as were announced, and wait for the task; the task and its value.

        SourceError, and what *stream* and *told* raise.
        """
        size, sent, broke = self._ask.length or 0, 0, ""
        task, exchange = self._link.begin(self._what, self._ask)
        ended = False
        try:
            with exchange:
                for piece in streams.pieces(stream):
                    if sent + len(piece) > size:
                        raise SourceError(f"{self._what}: the backup holds more than the {size} bytes that were announced")
                    try:
                        exchange.send(piece)
                    except OSError as error:
                        broke = f"the connection broke: {words(error)}, "
                        break
                    sent += len(piece)
                    told(piece)
                if sent < size and not broke:
                    raise SourceError(f"{self._what}: the backup ended after {sent} of {size} bytes")
                state = self._link.ended(task, 2.0 if broke else self._link.stalled)
                ended = True
        finally:
            if not ended:
                self._link.give_up(task)
        return task, self._judged(state, f"{sent} of {size} bytes were sent, {broke}", whole=not broke)

    def _judged(self, state: TaskOutcome, before: str, *, whole: bool) -> Any:
        if isinstance(state, Failed):
            raise self._link.failed(self._what, state, before)
        if isinstance(state, Succeeded) and whole:
            return state.value
        how = "is gone" if isinstance(state, Vanished) else "has not ended" if isinstance(state, Pending) else "says that it is done"
        raise SourceError(f"{self._what}: {before}the task of pool {self._link.pool} {how}: nobody knows what is there now")
