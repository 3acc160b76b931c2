"""Whether a stream still hears: where it stands, and since when it has been waiting for an answer."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Hearing:
    """Written by the stream, asked by the watchdog. Tokens are compared as strings, as xapi makes them: of a fixed width."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._token: str | None = None
        self._asked_at: float | None = None
        self._asked = 0
        self._was_deaf = False

    @property
    def is_asking(self) -> bool:
        """Whether the stream waits for an answer at this moment."""
        return self._asked_at is not None

    @property
    def was_deaf(self) -> bool:
        """Whether it was found deaf, and nothing has been heard since."""
        return self._was_deaf

    def lost(self) -> None:
        """Nothing is followed at this moment: everything is being loaded."""
        with self._changed:
            self._token, self._asked_at = None, None
            self._changed.notify_all()

    @contextmanager
    def asking(self, token: str) -> Iterator[None]:
        """While the stream waits for what comes after *token*; when that fails, nothing is followed."""
        with self._changed:
            self._token, self._asked_at = token, time.monotonic()
            self._asked += 1
            mine = self._asked
            self._changed.notify_all()
        try:
            yield
        except BaseException:
            if self._asked == mine:  # else a thread that has taken over is asking already
                self.lost()
            raise

    def heard(self, token: str) -> None:
        """An answer came, up to *token*."""
        with self._changed:
            self._token, self._asked_at, self._was_deaf = token, None, False
            self._changed.notify_all()

    def is_past(self, token: str) -> bool:
        """Whether what happened before *token* has been heard."""
        return self._token is not None and self._token > token

    def is_deaf(self, token: str, touched_at: float, seconds: float) -> bool:
        """Wait until the stream is past *token*, at most *seconds*; whether it is deaf to what was touched at *touched_at* (monotonic).

        A stream that is loading, or at work on an answer, is not: only one that waited for an answer all the time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._token is None or self.is_past(token), seconds)
            waited = self._asked_at is not None and self._asked_at <= touched_at
            self._was_deaf = waited and self._token is not None and not self.is_past(token)
            return self._was_deaf
