"""Whether the thread still has the run that it works on: asked right before whatever changes something outside of our rows.

A process may be paused anywhere, for longer than its leases: another one then has its runs, has looked and has acted. What the paused one
read before is old, and what it was about to do must not be done a second time. Records are fenced by the claim in their row; a pool knows
no claims, so that the only fence there is our own clock.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from plugins.errors import RetryLater
from state.clock import elapsed

logger = logging.getLogger(__name__)
Rows = TypeVar("Rows")
T = TypeVar("T")

SURE = 2 / 3
"""The share of a lease for which nobody is asked. Beats come within half of it, so that a process which lives asks nobody; and what is
sent then has a third of a lease to arrive before another one looks."""

_OF_THREAD = threading.local()

Claim = tuple[UUID, int]
"""A run, and the number of the claim under which it is held."""


class Lost(RetryLater):
    """The run may be somebody else's by now: nothing is done for it here. Where it is not, its step begins anew."""


class Grip:
    """A run that a thread works on. *until*: when its claim ends, by `elapsed`; *confirm* extends the claim, False where it was lost."""

    def __init__(self, run_id: UUID, lease: float, until: float, confirm: Callable[[], bool]) -> None:
        self._run_id = run_id
        self._lease = lease
        self._until = until
        self._confirm = confirm

    def kept(self, since: float) -> None:
        """The claim was extended by what was begun then."""
        self._until = max(self._until, since + self._lease)

    def lose(self) -> None:
        """Somebody else has the run."""
        self._until = float("-inf")

    def assert_held(self) -> None:
        """Raises `Lost` where the run may be somebody else's. Costs nothing but for who was paused, or did not reach the database."""
        if self._is_sure():
            return
        since = elapsed()
        if self._confirm():
            self.kept(since)
            if self._is_sure():
                return
        raise Lost(f"run {self._run_id} may be at work elsewhere: this process was paused or cut off for longer than it may hold it")

    def _is_sure(self) -> bool:
        return self._until - elapsed() > self._lease * (1 - SURE)

    def sent(self, what: str) -> None:
        """What was asserted a moment ago has been sent: where the process was paused just between, that is told."""
        late = elapsed() - self._until
        if late > 0:
            logger.error(
                "run %s: %s went out %.1f s after the run had been given up to others, as this process was paused at that very moment:"
                " look at what it is about, and type `vfo recover`", self._run_id, what, late,
            )  # fmt: skip


class Grips:
    """Those of one process. *lease*: in seconds; *confirm*: extends the claim of a run and says whether it is held."""

    def __init__(self, lease: float, confirm: Callable[[Claim], bool]) -> None:
        self._lease = lease
        self._confirm = confirm
        self._lock = threading.Lock()
        self._grips: dict[Claim, Grip] = {}

    @contextmanager
    def holding(self, claim: Claim, left: Callable[[], float]) -> Iterator[None]:
        """This thread works on the run meanwhile, for *left* more seconds unless its claim is extended."""
        now = elapsed()  # before the clock is asked: what passes in between counts against us
        grip = Grip(claim[0], self._lease, now + left(), lambda: self._confirm(claim))
        with self._lock:
            self._grips[claim] = grip
        try:
            with _held(grip):
                yield
        finally:
            with self._lock:
                del self._grips[claim]

    def beaten(self, since: float, claims: Collection[Claim], kept: Collection[UUID]) -> None:
        """These claims were to be extended by what was begun then: those of the runs *kept* were, the others are lost."""
        with self._lock:
            for claim in claims:
                if (grip := self._grips.get(claim)) is None:
                    continue
                if claim[0] in kept:
                    grip.kept(since)
                else:
                    grip.lose()


@contextmanager
def _held(grip: Grip) -> Iterator[None]:
    before = getattr(_OF_THREAD, "grip", None)
    _OF_THREAD.grip = grip
    try:
        yield
    finally:
        _OF_THREAD.grip = before


def grip() -> Grip | None:
    """Of the run that this thread works on; None where it works on none: who is no worker has nothing to lose."""
    found: Grip | None = getattr(_OF_THREAD, "grip", None)
    return found


def fenced(work: Callable[[Rows], T]) -> Callable[[Rows], T]:
    """The same work on rows, refused with `Lost` where the run of the thread that asks for it may be somebody else's by then."""
    mine = grip()
    if mine is None:
        return work

    def checked(rows: Rows) -> T:
        mine.assert_held()
        return work(rows)

    return checked


def assert_held() -> None:
    """Raises `Lost` where this thread works on a run that may be somebody else's by now."""
    if (mine := grip()) is not None:
        mine.assert_held()
