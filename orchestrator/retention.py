"""Removes what is old, as `[history]` says: by one process at a time, a few at once, so that nobody waits for it."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from state import audit, capacity, leases, openings, pruning
from state.leases import Lease
from state.pruning import Batch, Mark
from state.store import Session, Store
from workflows import assign, disable, enable, release

logger = logging.getLogger(__name__)

LEASE = "history"
LASTS = timedelta(minutes=1)
FIRST, EVERY = timedelta(minutes=1), timedelta(hours=1)
AT_ONCE = 200
CHANGES = timedelta(days=2)
"""How long every sample of VFs is kept; those that are the first of their hour are kept as long as runs."""
REMEMBERED = frozenset({assign.NAME, disable.NAME, enable.NAME, release.NAME})
"""Their newest run on a VM or a network says what a person or a rule wanted of it last: without it the rule would begin anew."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Runs that were removed (or would be) and those of the same age that stay.

    *lines*: of the catalogue that no run belonged to; *audit*: of who did what.
    """

    runs: int = 0
    kept: int = 0
    lines: int = 0
    audit: int = 0


class Retention:
    """*keep*: for how long after their end runs are kept; *audit*: for how long it is known who did what. None: for ever."""

    def __init__(
        self, store: Store, keep: timedelta | None, clock: Callable[[], datetime], *, audit: timedelta | None = None, at_once: int = AT_ONCE
    ) -> None:
        self._store = store
        self._keep = keep
        self._audit = audit
        self._clock = clock
        self._at_once = at_once
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._lease: Lease | None = None

    def run(self, stop: threading.Event) -> None:
        """Remove them now and then until *stop* is set; the process that is at it has the lease."""
        pause = FIRST
        while not stop.wait(pause.total_seconds()):
            pause = EVERY
            try:
                self.prune(stop)
                self.thin(stop)
            except Exception:  # the database may be away for a moment; what was not removed is at the next time
                logger.exception("what is of long ago could not be removed")

    def thin(self, stop: threading.Event) -> int:
        """Remove the samples of VFs that are too many, and the old ones; how many. Two processes at it do no harm."""
        now = self._clock()
        hours = None if self._keep is None else now - self._keep
        return self._portions(lambda session: capacity.remove(session, changes=now - CHANGES, hours=hours, limit=self._at_once), stop)

    @property
    def removes(self) -> bool:
        """Whether anything grows old at all."""
        return self._keep is not None or self._audit is not None

    def prune(self, stop: threading.Event) -> Removed | None:
        """Remove all that is old enough; None when another process is at it, or took over."""
        if not self.removes or not self._store.do(self._has_lease):
            return None
        try:
            removed = Removed() if self._keep is None else self._runs(self._clock() - self._keep, stop)
            if removed is not None and self._audit is not None:
                old = self._clock() - self._audit
                said = self._portions(lambda session: audit.forget(session, before=old, limit=self._at_once), stop)
                removed = replace(removed, audit=said)
        finally:
            self._give_back()
        if removed is not None and (removed.runs or removed.lines or removed.audit):
            logger.info("%d runs were removed, %d of that age are kept; %d lines of the audit", removed.runs, removed.kept, removed.audit)
        return removed

    def _runs(self, before: datetime, stop: threading.Event) -> Removed | None:
        removed, mark = Removed(), None
        while not stop.is_set():
            began = time.monotonic()
            batch = self._remove(before, mark)
            if batch is None:
                return None
            removed = Removed(removed.runs + len(batch.runs), removed.kept + batch.kept)
            mark = batch.mark
            if mark is None:
                some = self._portions(lambda session: pruning.remove_lines(session, before=before, limit=self._at_once), stop)
                self._portions(lambda session: openings.forget(session, before=before, limit=self._at_once), stop)
                return replace(removed, lines=some)
            stop.wait(time.monotonic() - began)  # the others have the database for as long as this had it
        return removed

    def would_remove(self) -> Removed:
        """What `prune` would do, without the lines of which there is no run. Changes nothing."""
        with self._store.read() as session:
            lines = 0 if self._audit is None else audit.older(session, before=self._clock() - self._audit)
            if self._keep is None:
                return Removed(audit=lines)
            before, removed, mark = self._clock() - self._keep, Removed(audit=lines), None
            needed = pruning.needed(session)
            while True:
                batch = pruning.look(session, before=before, after=mark, limit=self._at_once, needed=needed, remembered=REMEMBERED)
                removed, mark = replace(removed, runs=removed.runs + len(batch.runs), kept=removed.kept + batch.kept), batch.mark
                if mark is None:
                    return removed

    def _remove(self, before: datetime, mark: Mark | None) -> Batch | None:
        with self._store.read() as session:
            needed = pruning.needed(session)

        def remove(session: Session) -> Batch | None:
            if not self._has_lease(session):
                return None
            batch = pruning.look(session, before=before, after=mark, limit=self._at_once, needed=needed, remembered=REMEMBERED)
            pruning.remove(session, batch.runs)
            return batch

        return self._store.do(remove)

    def _portions(self, remove: Callable[[Session], int], stop: threading.Event) -> int:
        total, last = 0, self._at_once
        while last == self._at_once and not stop.is_set():
            last = self._store.do(remove)
            total += last
        return total

    def _has_lease(self, session: Session) -> bool:
        now = self._clock()
        if self._lease is not None and leases.renew(session, self._lease, now=now, duration=LASTS):
            return True
        self._lease = leases.acquire(session, LEASE, self._holder, now=now, duration=LASTS)
        return self._lease is not None

    def _give_back(self) -> None:
        if (lease := self._lease) is None:
            return
        self._lease = None
        try:
            self._store.do(lambda session: leases.release(session, lease, now=self._clock()), within=timedelta())
        except Exception:  # it ends by itself
            logger.exception("the lease of the history could not be given back")
