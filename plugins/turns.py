"""Who of this process is at work in a repository, and who waits: one queue for each, however many tables name it and threads use it.

Other processes are kept off by the program's own lock. Within one process that is not enough: a program that waits for its own lock
gives up after a while, whoever came first, and some read their cache before they look at the lock.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakValueDictionary

from plugins.errors import Queued
from plugins.kit import Job
from plugins.repositories import Kept

ASKS_EVERY = 1.0
AGAIN = timedelta(seconds=15)

JUST_BEFORE = 60.0


@dataclass(frozen=True, slots=True)
class Listing:
    """What was *kept* at a moment (*at*, by `time.monotonic`)."""

    kept: tuple[Kept, ...]
    at: float


Look = Callable[[], Sequence[Kept]]


class Turns:
    """The queue of one repository. What is short (a list, a removal) goes before jobs that wait, so that it is not kept off for hours."""

    patience = 10.0
    """For how many seconds what is short waits for its turn, before it is to be tried again later."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._at_work = 0
        self._alone = False
        self._since = 0.0
        self._jobs = 0
        self._short = 0
        self._reading = 0
        self._unread = False
        self._listing: Listing | None = None

    # -- working -----------------------------------------------------------------------------------------------

    @contextmanager
    def turn(self, *, alone: bool, job: Job | None = None, at_once: bool = False) -> Iterator[None]:
        """At work, *alone* or beside others who need not be. A *job* waits as long as it may; else Queued, *at_once* or after a while."""
        with self._change:
            if job is None:
                self._take_soon(alone, time.monotonic() + (0 if at_once else self.patience))
            else:
                self._take_some_day(alone, job, time.monotonic() + self.patience)
            self._at_work += 1
            self._alone, self._since = alone, time.monotonic()
        try:
            yield
        finally:
            with self._change:
                self._jobs -= job is not None
                self._at_work -= 1
                self._alone = False
                self._change.notify_all()

    def _take_some_day(self, alone: bool, job: Job, until: float) -> None:
        self._jobs += 1
        try:
            while not self._has_room(alone) or (self._short and time.monotonic() < until):
                job.say(message="waiting for another backup into the same repository")
                self._change.wait(ASKS_EVERY)
        except BaseException:
            self._jobs -= 1
            raise

    def _take_soon(self, alone: bool, until: float) -> None:
        self._short += 1
        try:
            while not self._has_room(alone):
                left = until - time.monotonic()
                if left <= 0:
                    raise Queued("the repository is at work on a backup", after=AGAIN)
                self._change.wait(left)
        finally:
            self._short -= 1
            self._change.notify_all()

    def _has_room(self, alone: bool) -> bool:
        return not self._alone and not (alone and self._at_work)

    @property
    def has_job(self) -> bool:
        """Whether a job is at work, or waits."""
        return self._jobs > 0

    # -- reading -----------------------------------------------------------------------------------------------

    def begin_reading(self) -> Callable[[], None]:
        """A stream is read, for as long as that takes, beside whatever goes on but `unread`; what ends it. Queued where that takes long."""
        until = time.monotonic() + self.patience
        with self._change:
            while self._unread:
                if not self._change.wait(max(0.0, until - time.monotonic())):
                    raise Queued("the repository gives back the room of old backups", after=AGAIN)
            self._reading += 1
        over = threading.Event()

        def end() -> None:
            with self._change:
                self._reading -= not over.is_set()
                over.set()
                self._change.notify_all()

        return end

    @contextmanager
    def unread(self) -> Iterator[bool]:
        """Whether nobody reads; nobody begins to before the end of it."""
        with self._change:
            free = not self._reading
            self._unread = free
        try:
            yield free
        finally:
            with self._change:
                self._unread = False
                self._change.notify_all()

    # -- what there was when somebody looked last ---------------------------------------------------------------

    @property
    def listing(self) -> Listing | None:
        """What there was; None: nobody knows."""
        return self._listing

    @property
    def listing_meanwhile(self) -> Listing | None:
        """What there was when he who keeps others off began; nobody else has changed it since. None: nobody is at work, or nobody knows."""
        with self._change:
            seen = self._listing
            return seen if self._at_work and seen is not None and seen.at >= self._since - JUST_BEFORE else None

    def remember(self, kept: Sequence[Kept], at: float) -> None:
        """What was seen by somebody who began to look at that moment; an older look does not count."""
        with self._change:
            if self._listing is None or self._listing.at <= at:
                self._listing = Listing(tuple(kept), at)

    def forget(self) -> None:
        """It is not as it was, and nobody has looked."""
        with self._change:
            self._listing = None


_of_path: "WeakValueDictionary[str, Turns]" = WeakValueDictionary()
_making = threading.Lock()


def of(path: str) -> Turns:
    """The queue of the repository; the one thing here that a process has once, since so it is with the repository."""
    with _making:
        turns = _of_path.get(path)
        if turns is None:
            turns = _of_path[path] = Turns()
        return turns
