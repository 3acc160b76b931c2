"""What the engine counted since it started, for metrics."""

import threading
from collections import Counter


class Tally:
    """Counts by (what, which): ("ended", "done"), ("step", "wait"), ("claim", "taken"), ("claim", "lost"), ..."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, what: str, which: str) -> None:
        """One more."""
        with self._lock:
            self._counts[what, which] += 1

    def counts(self) -> dict[tuple[str, str], int]:
        """All counts as they are now."""
        with self._lock:
            return dict(self._counts)
