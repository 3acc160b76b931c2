"""The wakes of the last while, so that a change that came between a step's look and its parking is not lost."""

import threading
from collections.abc import Iterable

KEPT = 20_000


class Wakes:
    """Remembers which keys were woken and when, as a growing number; the oldest are forgotten, and then taken for woken."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lock = threading.Lock()
        self._kept = kept
        self._last: dict[str, int] = {}
        self._count = 0
        self._forgotten = 0

    def mark(self) -> int:
        """The moment, to be given to `since`: taken before a step looks."""
        return self._count

    def note(self, keys: Iterable[str]) -> None:
        """These keys are woken now: noted before the rows are searched for who waits for them."""
        with self._lock:
            for key in keys:
                self._count += 1
                self._last.pop(key, None)
                self._last[key] = self._count
            while len(self._last) > self._kept:
                self._forgotten = self._last.pop(next(iter(self._last)))

    def since(self, mark: int, key: str) -> bool:
        """Whether *key* was woken after *mark*, or may have been: one wake too many costs a look, one too few costs the wait."""
        with self._lock:
            return self._last.get(key, 0) > mark or self._forgotten > mark
