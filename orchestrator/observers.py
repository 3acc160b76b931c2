"""Tells observers what happened: each has a queue and a thread of its own, so that one that blocks or raises holds up nobody."""

import logging
import queue
import threading
import time
from collections.abc import Iterable
from datetime import timedelta

from plugins import implementations
from plugins.manager import Instance
from plugins.values import BackupEnded, Happening, HostChanged, RunEnded, VFFreed, VFLeaked, WindowChanged

logger = logging.getLogger(__name__)

HOOKS: dict[type, str] = {
    VFFreed: "vf_freed",
    VFLeaked: "vf_leaked",
    RunEnded: "run_ended",
    BackupEnded: "backup_ended",
    WindowChanged: "window_changed",
    HostChanged: "host_changed",
}
ROOM = 1000
"""How many happenings wait for one observer; what comes then is dropped."""
PATIENCE = timedelta(seconds=1)


class Told:
    """One observer. Its thread begins with the first happening, and ends with `close`."""

    def __init__(self, instance: Instance, room: int = ROOM) -> None:
        self.name = instance.label
        self.dropped = 0
        self._hooks = {name: one for name, one in instance.hooks.items() if name in implementations.OBSERVING}
        self._waiting: queue.Queue[tuple[Happening, threading.Event] | None] = queue.Queue(room)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._behind = False

    def hears(self, happening: Happening) -> bool:
        """Whether it has the hook."""
        return HOOKS[type(happening)] in self._hooks

    def tell(self, happening: Happening) -> threading.Event | None:
        """Put it in the queue; an event that is set when it was told, None where nobody should wait for that."""
        told = threading.Event()
        self._begin()
        try:
            self._waiting.put_nowait((happening, told))
        except queue.Full:
            self._drop()
            return None
        return None if self._behind else told

    def _drop(self) -> None:
        self.dropped += 1
        if self.dropped == 1 or self.dropped % 100 == 0:
            logger.error("observer %s does not keep up: %d happenings were dropped", self.name, self.dropped)

    def fell_behind(self) -> None:
        """It did not come to the end in time: nobody waits for it until it has."""
        if not self._behind:
            logger.warning("observer %s is slow: nobody waits for it until it has caught up", self.name)
        self._behind = True

    def close(self, within: float) -> None:
        """Let it hear what is waiting, for so many seconds."""
        if self._thread is None:
            return
        try:
            self._waiting.put(None, timeout=max(0.0, within))
        except queue.Full:
            return
        self._thread.join(max(0.0, within))

    def _begin(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"observer {self.name}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            happening, told = item
            hook = HOOKS[type(happening)]
            try:
                self._hooks[hook](happening)
            except BaseException:  # a vendor's code may raise anything, sys.exit() included: the next happening is told all the same
                logger.exception("observer %s failed in %s", self.name, hook)
            told.set()
            if self._waiting.empty():
                self._behind = False


class Observers:
    """All of them. *patience*: how long whoever announces waits for those that keep up, so that nothing is lost when the process dies."""

    def __init__(self, instances: Iterable[Instance], *, room: int = ROOM, patience: timedelta = PATIENCE) -> None:
        self._all = [Told(instance, room) for instance in instances]
        self._patience = patience.total_seconds()

    @property
    def dropped(self) -> dict[str, int]:
        """How many happenings each observer missed."""
        return {one.name: one.dropped for one in self._all}

    def announce(self, happening: Happening) -> None:
        """Tell every observer; returns when those that keep up have heard it, or their time is over. Never raises."""
        told = [(one, one.tell(happening)) for one in self._all if one.hears(happening)]
        ends = time.monotonic() + self._patience
        for one, event in told:
            if event is not None and not event.wait(max(0.0, ends - time.monotonic())):
                one.fell_behind()

    def close(self, within: timedelta = PATIENCE) -> None:
        """Let them hear what is waiting; after that time they are left."""
        ends = time.monotonic() + within.total_seconds()
        for one in self._all:
            one.close(ends - time.monotonic())
