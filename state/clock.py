"""The time that all who share the rows agree on: moments of leases and waits are given by one machine and judged by another."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import Session

from state.store import Away, Store

EVERY = 30.0  # seconds between two looks at the server's clock
ROUGH = timedelta(seconds=1)
"""An answer that took longer says the time too roughly, where a better one is at hand."""


def elapsed() -> float:
    """Seconds that nobody can set, those of a machine that slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def of_machine() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


class Clock:
    """The time: the database's where writers of several machines share it, else this machine's. For any number of threads.

    Between two looks at the server it goes on by a clock that nobody can set; a server that is away is asked again later.
    """

    def __init__(self, store: Store, *, every: float = EVERY, machine: Callable[[], datetime] = of_machine) -> None:
        self._store = store if store.is_shared else None
        self._every = every
        self._machine = machine
        self._asking = threading.Lock()
        self._known: tuple[datetime, float] | None = None
        self._asked_at = float("-inf")

    def __call__(self) -> datetime:
        """The time, aware, in UTC."""
        if self._store is None:
            return self._machine()
        if elapsed() - self._asked_at >= self._every and self._asking.acquire(blocking=self._known is None):
            try:
                self._ask(self._store)
            finally:
                self._asking.release()
        known = self._known
        if known is None:
            return self._machine()
        return known[0] + timedelta(seconds=elapsed() - known[1])

    def _ask(self, store: Store) -> None:
        if elapsed() - self._asked_at < self._every:
            return  # another thread has asked meanwhile
        try:
            said, before, after = store.do(_said, within=timedelta())
        except Away:
            self._asked_at = elapsed()
            return
        self._asked_at = elapsed()
        took = timedelta(seconds=after - before)
        if self._known is None or took < ROUGH:
            self._known = said + took / 2, after


def _said(session: Session) -> tuple[datetime, float, float]:
    """What the server's clock says, between which two moments of ours."""
    before = elapsed()
    said: datetime = session.connection().execute(select(func.clock_timestamp())).scalar_one()
    return said.astimezone(UTC), before, elapsed()
