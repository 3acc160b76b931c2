"""How many calls were in flight at the same moment, by who made them: for whoever judges a client's limit."""

import collections
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

LEFT_OUT = ("event.", "session.")


class Crowds:
    """Counts calls from their admission to their answer, by the originator of their session, but for those of events and sessions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: collections.Counter[str] = collections.Counter()
        self._peak: collections.Counter[str] = collections.Counter()
        self._calls: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

    @contextlib.contextmanager
    def during(self, method: str, originator: str, session: str) -> Iterator[None]:
        """The call is in flight inside the block."""
        if method.startswith(LEFT_OUT):
            yield
            return
        with self._lock:
            self._now[originator] += 1
            self._peak[originator] = max(self._peak[originator], self._now[originator])
            self._calls[originator][session] += 1
        try:
            yield
        finally:
            with self._lock:
                self._now[originator] -= 1

    def counted(self) -> dict[str, dict[str, Any]]:
        """By originator: how many are in flight, how many were at most, and how many there were by each session."""
        with self._lock:
            return {
                name: {"in_flight": self._now[name], "peak": self._peak[name], "calls": dict(calls)} for name, calls in self._calls.items()
            }
