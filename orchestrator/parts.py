"""The parts of a process that are to live as long as it does: each a thread, of which it is known whether it died."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator

logger = logging.getLogger(__name__)


class Part:
    """*run* is given what tells it to stop. One that returns is through with its work; one that raises has died."""

    def __init__(self, name: str, run: Callable[[threading.Event], None]) -> None:
        self.name = name
        self._run = run
        self._thread: threading.Thread | None = None
        self._is_through = False

    def start(self, stop: threading.Event) -> None:
        """Begin it."""
        self._thread = threading.Thread(target=self._live, args=(stop,), name=self.name, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for its end, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def is_well(self) -> bool:
        """Whether it lives or is through; not begun yet is well."""
        return self._thread is None or self._thread.is_alive() or self._is_through

    def _live(self, stop: threading.Event) -> None:
        try:
            self._run(stop)
        except Exception:
            logger.exception("part %r of this process has died", self.name)
        else:
            self._is_through = True


def dead(parts: Iterable[Part]) -> list[str]:
    """The names of those that died."""
    return [part.name for part in parts if not part.is_well()]


@contextlib.contextmanager
def asked_to_end(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT ask the process to finish the steps at hand; a second one is not waited for."""
    once = threading.Event()

    def asked(number: int, _frame: object) -> None:
        if once.is_set():
            os._exit(128 + number)
        once.set()
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
