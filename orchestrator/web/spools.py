"""Disks of restore points that were read to look into them, kept for a while: who looks on does not have them read anew."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from orchestrator.files import NoRoom

MOST = 2  # that are kept: each takes room on this machine
LASTS = 300.0  # seconds since somebody looked into one

Key = tuple[str, str, int]
Read = Callable[[], AbstractContextManager[BinaryIO]]


class _Kept:
    """One disk. *users*: how many look into it now; *lock*: of who reads it, so that others wait for that."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open = ExitStack()
        self.spool: BinaryIO | None = None
        self.users = 0
        self.used_at = 0.0


class Spools:
    """For any number of threads. The files have no names: nothing is left of them when the process is gone, however it went."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[Key, _Kept] = {}
        self._timer: threading.Timer | None = None

    @contextmanager
    def had(self, key: Key, read: Read) -> Iterator[BinaryIO]:
        """The disk as a file of one's own, by what *read* opens where it is not kept. Raises as that does."""
        self.forget(MOST if key in self._kept else MOST - 1)
        with self._lock:
            one = self._kept.setdefault(key, _Kept())
            one.users += 1
        try:
            with one.lock:
                if one.spool is None:
                    one.spool = self._read(one.open, read)
            with Path(f"/proc/self/fd/{one.spool.fileno()}").open("rb") as own:  # with a place in it of its own
                yield cast("BinaryIO", own)
        finally:
            with self._lock:
                one.users -= 1
                one.used_at = self._clock()
                if one.spool is None and not one.users:
                    del self._kept[key]
                self._look_again()

    def forget(self, most: int = 0) -> None:
        """Let go of what nobody looks into: whose time is over, and the longest unused of more than *most*."""
        with self._lock:
            idle = sorted((one.used_at, key) for key, one in self._kept.items() if not one.users)
            over = [key for at, key in idle if at <= self._clock() - LASTS]
            more = [key for _, key in idle if key not in over][: max(0, len(self._kept) - len(over) - most)]
            gone = [self._kept.pop(key) for key in (*over, *more)]
        for one in gone:
            one.open.close()

    def close(self) -> None:
        """Let go of all of them; what somebody looks into goes with them."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
        self.forget()

    def _read(self, stack: ExitStack, read: Read) -> BinaryIO:
        try:
            return stack.enter_context(read())
        except NoRoom:
            self.forget()
            return stack.enter_context(read())

    def _look_again(self) -> None:
        """Let go of it when its time is over, whether somebody comes or not."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(LASTS + 1, self.forget, (MOST,))
        self._timer.daemon = True
        self._timer.start()
