"""One thread that keeps one feed of a pool current, whatever happens to the connection, and that can be replaced while it hangs."""

import logging
import threading
import time
from typing import Protocol

from orchestrator import retry
from orchestrator.listener.errors import Interrupted
from orchestrator.listener.meters import Meters
from orchestrator.listener.settings import ListenerSettings
from orchestrator.xapi.connection import Line
from workflows.ports import PoolError

log = logging.getLogger(__name__)


class Turn:
    """A thread's right to work on a feed. A thread that waits in a call cannot be stopped, but its call can be cut and its turn be over."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self.line = Line()

    def is_over(self) -> bool:
        """Whether another thread has the feed now, or nobody."""
        return self._over.is_set()

    def end(self) -> None:
        """Take it away, and cut the call in flight."""
        self._over.set()
        self.line.drop()

    def pause(self, seconds: float) -> None:
        """Wait, at most until the turn is over."""
        self._over.wait(seconds)


class Feed(Protocol):
    """What is followed. Both calls may raise anything; then everything is loaded anew. Neither touches anything once its turn is over."""

    def load(self, turn: Turn) -> None:
        """Load everything and say what differs from what was known."""

    def advance(self, turn: Turn) -> bool:
        """Wait for the next answer and say what changed; False when everything should be loaded anew."""


class Stream:
    """Keeps *feed* current in a thread of its own."""

    def __init__(self, name: str, feed: Feed, settings: ListenerSettings, meters: Meters) -> None:
        self._name = name
        self._feed = feed
        self._settings = settings
        self._meters = meters
        self._turn = Turn()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        """Begin, with a full load. A thread that was at it before loses its turn; what it is still told is thrown away.

        Once it was stopped, it stays so: the watchdog may find the stream deaf while it is being stopped.
        """
        with self._starting:
            if self._stopped:
                return
            self._turn.end()
            self._turn = Turn()
            self._thread = threading.Thread(target=self._run, args=(self._turn,), name=self._name, daemon=True)
            self._thread.start()

    def stop(self, seconds: float) -> bool:
        """End it, and wait at most so long for the thread; whether that is over. It never outlives the process."""
        with self._starting:
            self._stopped = True
        ends = time.monotonic() + seconds
        while self._thread is not None and self._thread.is_alive() and time.monotonic() < ends:
            self._turn.end()  # again and again: the call in flight may have begun just after the last time
            self._thread.join(min(0.1, seconds))
        return self._thread is None or not self._thread.is_alive()

    def _run(self, turn: Turn) -> None:
        failures = 0
        while not turn.is_over():
            try:
                self._feed.load(turn)
                while not turn.is_over() and self._feed.advance(turn):
                    failures = 0
                continue
            except (PoolError, Interrupted) as error:
                if turn.is_over():
                    return
                # a pool that is away for a night is one line, not thousands
                log.log(logging.DEBUG if failures else logging.WARNING, "%s: interrupted, everything is loaded anew: %s", self._name, error)
            except Exception:
                log.exception("%s: failed, everything is loaded anew", self._name)
            failures += 1
            self._meters.failures += 1
            longest, first = self._settings.longest_pause.total_seconds(), self._settings.first_pause.total_seconds()
            turn.pause(retry.pause_after(failures, first=first, longest=longest))
