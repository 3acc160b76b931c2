"""Everybody who looks at a page that is live, and what each of them has still to be told."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping

QUIET = 15.0  # seconds after which a line that says nothing shows whether anybody is still there
LONGEST = 300.0  # seconds that a stream lasts: who is not signed in any more gets no other
SETTLE, PACE = 0.05, 0.25  # seconds for which news is gathered before it is sent, and between two pieces: pages ask back


class Listener:
    """One page. News of one kind replaces what was not sent yet of that kind: who is slow gets the newest and nothing else."""

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self._news: dict[str, str] = {}
        self._there = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._over = False

    def tell(self, news: Mapping[str, str]) -> None:
        """To be called in any thread. A page that is going away is told nothing."""
        with self._lock:
            self._news.update(news)
        self._wake()

    def end(self) -> None:
        """The process stops: the page is to ask again, of whoever is there then."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._there.set)

    async def heard(self) -> AsyncIterator[str]:
        """What to send, piece by piece, in the form of server-sent events."""
        yield "retry: 1000\n\n"
        ends = self._loop.time() + LONGEST
        while not self._over and self._loop.time() < ends:
            try:
                await asyncio.wait_for(self._there.wait(), QUIET)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            await asyncio.sleep(SETTLE)
            self._there.clear()
            with self._lock:
                news, self._news = self._news, {}
            if news:
                yield "".join(news.values())
                await asyncio.sleep(PACE)


def event(name: str, data: str = "") -> str:
    """One server-sent event."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines()) or "data:\n"
    return f"event: {name}\n{lines}\n"


class Listeners:
    """All of them. *changed*: told which topics are listened to whenever that is other than it was."""

    def __init__(self, changed: Callable[[frozenset[str]], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._all: set[Listener] = set()
        self._topics: frozenset[str] = frozenset()

    def come(self, topics: frozenset[str]) -> Listener:
        """One more, who wants to hear of these topics."""
        listener = Listener(topics)
        with self._lock:
            self._all.add(listener)
            self._count()
        return listener

    def go(self, listener: Listener) -> None:
        """One less."""
        with self._lock:
            self._all.discard(listener)
            self._count()

    @property
    def are_there(self) -> bool:
        """Whether anybody listens."""
        with self._lock:
            return bool(self._all)

    @property
    def topics(self) -> frozenset[str]:
        """What somebody listens to."""
        with self._lock:
            return self._topics

    def close(self) -> None:
        """Nobody any more."""
        with self._lock:
            everybody, self._all = self._all, set()
            self._count()
        for one in everybody:
            one.end()

    def tell(self, topic: str, news: Mapping[str, str]) -> None:
        """Tell all who want to hear of the topic; *news* by what it is about."""
        with self._lock:
            those = [one for one in self._all if topic in one.topics]
        for one in those:
            one.tell(news)

    def _count(self) -> None:
        topics = frozenset(topic for one in self._all for topic in one.topics)
        if topics != self._topics:
            self._topics = topics
            self._changed(topics)
