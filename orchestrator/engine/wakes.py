"""The wakes of the last while, so that a change that came between a step's look and its parking is not lost, nor by a crash after it."""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from state.store import Session

KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Mark:
    """The transaction before a step's look, which sees all that was recorded before it.

    *count*: how many wakes there were. Where processes share the rows: its *snapshot*, the *witness* that the server has not crashed
    since, and *at*, when it was, by this machine's monotonic time.
    """

    count: int = 0
    snapshot: str = ""
    witness: str = ""
    at: float = 0.0


class Wakes:
    """Remembers which keys were woken and when, as a growing number; the oldest are forgotten, and then taken for woken.

    For one process whose writers follow one another. The wakes that a transaction brings are noted in it: marks are taken in transactions
    too, so that both are in the order in which what happened counts. Who parks asks in the transaction that does: what is noted by then
    it finds, and who notes later is told that somebody parks, and looks for who waits after that.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._lock = threading.Lock()
        self._kept = kept
        self._last: dict[str, int] = {}
        self._count = 0
        self._forgotten = 0
        self._parking: Counter[str] = Counter()

    def mark(self, session: Session) -> Mark:  # noqa: ARG002 - as where processes share the rows
        """The moment, to be given to `came`: taken in the transaction before the step looks."""
        return Mark(self._count)

    def note(self, keys: Iterable[str]) -> bool:
        """These keys are woken now, before the rows are searched for who waits for them; whether somebody parks on one at this moment.

        Then the search must come after that: it is to be one that writes.
        """
        with self._lock:
            found = False
            for key in keys:
                found = found or key in self._parking
                self._count += 1
                self._last.pop(key, None)
                self._last[key] = self._count
            while len(self._last) > self._kept:
                self._forgotten = self._last.pop(next(iter(self._last)))
            return found

    def note_with(self, session: Session, keys: Iterable[str]) -> None:  # noqa: ARG002 - as above
        """These keys are woken by what the transaction does; to be called before the rows are searched in it."""
        self.note(keys)

    @contextmanager
    def parking(self, key: str | None) -> Iterator[None]:
        """Around the transaction in which a run parks on the key (None: on none)."""
        if key is None:
            yield
            return
        with self._lock:
            self._parking[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._parking[key] -= 1
                if not self._parking[key]:
                    del self._parking[key]

    def came(self, session: Session, mark: Mark, key: str) -> bool:  # noqa: ARG002 - as above
        """Whether *key* was woken after *mark*, or may have been: one wake too many costs a look, one too few costs the wait.

        To be asked in the transaction in which a run parks on it, before the row says so.
        """
        with self._lock:
            return self._last.get(key, 0) > mark.count or self._forgotten > mark.count
