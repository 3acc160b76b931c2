"""Notices when windows open, and has each opening kept once: whatever the clock does, however often this or another process starts."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID, uuid4, uuid5

from plugins.values import WindowOpening
from state import leases, openings, runs
from state.clock import of_machine
from state.leases import Lease
from state.openings import Opening
from state.store import Session, Store
from workflows import choosing, keep_window
from workflows.policies import Backups, BackupWindow

logger = logging.getLogger(__name__)

OPENINGS = UUID("5b0c0a52-6f0e-4ab6-9d0e-0d1f3c6c7a10")
"""The namespace of the ids of their runs: a second scheduler would make the same run."""
ON_TIME = timedelta(minutes=2)
"""Seen later than this an opening was slept through, and `catch_up` says what becomes of it."""
LONGEST_PAUSE = timedelta(seconds=5)
MANY = 1000
"""Openings that were slept through and are written down; of a longer sleep the oldest are left out."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """An opening that nobody has dealt with, at the moment of the look. *waited_for*: the run of an earlier one that was at work."""

    window: BackupWindow
    pool: str
    opens: datetime
    waited_for: UUID | None

    @property
    def run_id(self) -> UUID:
        return uuid5(OPENINGS, f"{self.window.name} {self.pool} {self.opens.isoformat()}")

    @property
    def overtaken(self) -> str:
        """What is noted when a later one has opened too."""
        return f"skipped: {self._why} a later one opened"

    @property
    def _why(self) -> str:
        return f"run {self.waited_for} of an earlier opening was at work until" if self.waited_for else "nobody was there before"

    def closes(self, now: datetime, *, watched: bool) -> datetime | str:
        """Until when it is to be kept, begun now; or why it is not. *watched*: somebody was there before, so it was slept through."""
        ends = self.opens + self.window.window.duration
        late = now - self.opens > ON_TIME and watched and self.waited_for is None
        if late and self.window.catch_up == "skip":
            return "skipped: nobody was there when it opened"
        if late and self.window.catch_up == "run-once":
            return now + self.window.window.duration
        return ends if now < ends else f"skipped: {self._why} it closed"


class Scheduler:
    """All windows that some policy uses, in every pool; active in the one process that has the lease "scheduler".

    *backups*: the policies and windows as they hold at each look. *publish* is told of the runs that were made.
    """

    def __init__(
        self,
        store: Store,
        backups: Callable[[], Backups],
        pools: Collection[str],
        publish: Callable[[Collection[UUID]], None],
        *,
        lease: timedelta,
        clock: Callable[[], datetime] = of_machine,
    ) -> None:
        self._store = store
        self._look_up = backups
        self._pools = tuple(pools)
        self._publish = publish
        self._clock = clock
        self._duration = lease
        self._lease: Lease | None = None
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._backups = Backups()
        self._windows: Sequence[BackupWindow] = ()

    def run(self, stop: threading.Event) -> None:
        """Look until *stop* is set, soon after each opening; without windows nothing but whether there is one by now."""
        pause = timedelta()
        while not stop.wait(pause.total_seconds()):
            try:
                self.look()
            except Exception:  # the database may be away for a moment
                logger.exception("the windows could not be looked at")
            pause = self._pause()
        if self._lease is not None:
            self._release(self._lease)

    def look(self) -> list[UUID]:
        """Deal with every opening that nobody has dealt with; the runs that were made. Nothing without the lease."""
        self._backups = known = self._look_up()
        self._windows = [one for one in known.windows.values() if choosing.of_window(known, one.name)]
        if not self._windows:
            return []
        now = self._clock()

        def deal(session: Session) -> list[UUID]:
            if not self._has_lease(session, now):
                return []
            where = [(window, pool) for window in self._windows for pool in self._pools_of(window)]
            return [run_id for window, pool in where for run_id in self._deal(session, window, pool, now)]

        made = self._store.do(deal)
        if made:
            self._publish(made)
        return made

    def _release(self, lease: Lease) -> None:
        try:
            self._store.do(lambda session: leases.release(session, lease, now=self._clock()), within=timedelta())
        except Exception:  # it ends by itself in seconds
            logger.exception("the lease of the windows could not be given back")

    def _pause(self) -> timedelta:
        """Until the next opening, or the lease must be renewed."""
        now = self._clock()
        coming = [moment - now for window in self._windows if (moment := window.window.opens(now)) is not None]
        return max(timedelta(milliseconds=50), min([LONGEST_PAUSE, self._duration / 3, *coming]))

    def _has_lease(self, session: Session, now: datetime) -> bool:
        if self._lease is not None and leases.renew(session, self._lease, now=now, duration=self._duration):
            return True
        self._lease = leases.acquire(session, "scheduler", self._holder, now=now, duration=self._duration)
        return self._lease is not None

    def _pools_of(self, window: BackupWindow) -> Sequence[str]:
        """The pools that a policy of the window means."""
        plans = choosing.of_window(self._backups, window.name)
        return [pool for pool in self._pools if any(choosing.means(plan, pool) for plan in plans)]

    def _deal(self, session: Session, window: BackupWindow, pool: str, now: datetime) -> list[UUID]:
        """What opened since the last opening that was dealt with, oldest first: the newest is kept, the others have a line each."""
        last = openings.last(session, window.name, pool, now=now)
        if last is None:
            self._watch(session, window, pool, window.window.opened(now) or now, now)
        elif openings.schedule(session, window.name, pool) != window.window.moments:
            self._watch(session, window, pool, now, now)
            last = now
        unseen = _unseen(session, window, pool, last, now)
        self._overtaken(session, unseen[:-1], now)
        return [run_id for seen in unseen[-1:] for run_id in self._newest(session, seen, now, watched=last is not None)]

    def _newest(self, session: Session, seen: _Seen, now: datetime, *, watched: bool) -> Iterator[UUID]:
        until = seen.closes(now, watched=watched)
        if isinstance(until, str):
            if openings.note(session, _line(seen, until, now)):
                logger.warning("window %s of pool %s, %s: %s", seen.window.name, seen.pool, _said(seen.opens), until)
        elif (before := self._at_work(session, seen)) is not None:
            if openings.note(session, _line(seen, openings.WAITS, now, before)):
                logger.warning(
                    "window %s of pool %s is open and waits for run %s of an earlier opening", seen.window.name, seen.pool, before
                )
        elif openings.note(session, _line(seen, openings.RUN, now, seen.run_id)):
            yield from self._keep(session, seen, until, now)

    def _overtaken(self, session: Session, overtaken: Sequence[_Seen], now: datetime) -> None:
        openings.note_all(session, [_line(seen, seen.overtaken, now) for seen in overtaken])
        if overtaken:
            seen = overtaken[0]
            logger.warning("window %s of pool %s: %d openings since %s had no run of their own", seen.window.name, seen.pool,
                           len(overtaken), _said(seen.opens))  # fmt: skip

    def _watch(self, session: Session, window: BackupWindow, pool: str, since: datetime, now: datetime) -> None:
        """The first look at a window: what opened before is nobody's, but for an opening that lasts.

        One at a schedule that was changed: what would have opened by it before is nobody's.
        """
        openings.watch(session, window.name, pool, window.window.moments, since=since, now=now)

    def _at_work(self, session: Session, seen: _Seen) -> UUID | None:
        """The run of an earlier opening that is at work yet: limits hold for both together, so this one waits."""
        request = keep_window.request(self._opening(seen, seen.opens), (), limits=seen.window.limits)
        active = runs.active_on(session, request)
        return active.id if active is not None else None

    def _opening(self, seen: _Seen, closes: datetime) -> WindowOpening:
        return WindowOpening(seen.run_id, seen.window.name, seen.pool, seen.opens, closes)

    def _keep(self, session: Session, seen: _Seen, closes: datetime, now: datetime) -> Iterator[UUID]:
        plans = choosing.of_window(self._backups, seen.window.name)
        names = [plan.name for plan in plans if choosing.means(plan, seen.pool)]
        run, new = runs.create(session, keep_window.request(self._opening(seen, closes), names, limits=seen.window.limits), now=now)
        if new:
            logger.info("window %s of pool %s is open until %s: run %s", seen.window.name, seen.pool, _said(closes), run.id)
            yield run.id


def _line(seen: _Seen, status: str, now: datetime, run_id: UUID | None = None) -> Opening:
    return Opening(
        window=seen.window.name, pool=seen.pool, opens_at=seen.opens, closes_at=seen.opens + seen.window.window.duration, status=status,
        run_id=run_id, noted_at=now,
    )  # fmt: skip


def _unseen(session: Session, window: BackupWindow, pool: str, last: datetime | None, now: datetime) -> list[_Seen]:
    """The openings after the last one that was dealt with, oldest first; without one, that which is open now."""
    if last is None:
        opened = window.window.opened(now)
        found = [opened] if opened is not None else []
    else:
        found = list(islice(window.window.openings_before(now, last), MANY))
    waiting = openings.waiting(session, window.name, pool) if found else {}
    return [_Seen(window, pool, moment, waiting.get(moment)) for moment in reversed(found)]


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
