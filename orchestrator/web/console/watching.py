"""Looks at a pool whenever something changed that a page may show, while somebody looks at the console."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from orchestrator.web.console.glances import Glance

logger = logging.getLogger(__name__)

LEAST, SHARE = 0.1, 4.0  # seconds to rest after a look at the least, and how many times as long as the look took
ANYWAY, SELDOM = 15.0, 40.0  # seconds after which it looks whatever is heard (the listener may be away), and times as long as a look took

T = TypeVar("T")
Rows = Sequence[Mapping[str, Any]]


class Watcher(Generic[T]):
    """One pool's ports or VMs, in a thread of its own between `start` and `stop`. *told*: what was seen before, or None, and after."""

    def __init__(self, pool: str, glance: Glance[T], told: Callable[[T | None, T], None]) -> None:
        self._pool = pool
        self._glance = glance
        self._told = told
        self._over = threading.Event()
        self._changed = threading.Event()

    def start(self) -> None:
        """Begin, with a look; a thread that was at it before is over."""
        self._over, self._changed = threading.Event(), threading.Event()
        self._changed.set()
        name = f"console watches {self._pool}"
        threading.Thread(target=self._run, args=(self._over, self._changed), name=name, daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self._changed.set()

    def look_anew(self) -> None:
        """Something changed in the pool, or in what is known of it."""
        self._changed.set()

    def _run(self, over: threading.Event, changed: threading.Event) -> None:
        """Look, then rest in proportion to what a look costs: all that changes meanwhile is one change."""
        last = self._glance.last.value
        while not over.is_set():
            changed.clear()
            began = time.monotonic()
            try:
                last = self._look(last, over)
            except Exception:  # the next look may be a better one: pages that are open have no other
                logger.exception("pool %s: what changed could not be shown", self._pool)
            took = time.monotonic() - began
            over.wait(max(LEAST, SHARE * took))
            changed.wait(max(ANYWAY, SELDOM * took))

    def _look(self, last: T | None, over: threading.Event) -> T | None:
        """Tell what is other than *last*; what was seen."""
        seen = self._glance.take()
        if seen is None:
            return last
        if not over.is_set():
            self._told(last, seen)
        return seen
