"""What was seen of a pool last, so that a page never waits for a pool longer than it has to, however many people look."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from state.store import Away
from workflows.ports import PoolError

T = TypeVar("T")

FIRST_WITHIN, WITHIN = 10.0, 2.0  # seconds that a page waits for a pool: of which nothing is known yet, and otherwise


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """What was seen last; None: nothing yet. *problem*: why it is not newer, "" when it is as new as was asked for."""

    value: T | None
    problem: str = ""


class Glance(Generic[T]):
    """Reads in a thread of its own, one reading at a time, and keeps the last one. What cannot be read now leaves it as it is."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._changed = threading.Condition()
        self._reading = False
        self._value: T | None = None
        self._at: float | None = None
        self._problem = ""

    def get(self, fresh: float, within: float | None = None, *, bearable: float = 0) -> Seen[T]:
        """A reading at most *fresh* seconds old, if it comes *within* so many (None: as is usual); else the last one there was.

        One that is at most *bearable* seconds old is not waited for: the next one is begun, for who asks after that.
        """
        with self._changed:
            if within is None:
                within = FIRST_WITHIN if self._at is None else WITHIN
            if self._at is not None and time.monotonic() - self._at <= fresh:
                return Seen(self._value, self._problem)
            if not self._reading:
                self._reading = True
                threading.Thread(target=self.take, name="glance", daemon=True).start()
            if self._value is not None and self._at is not None and time.monotonic() - self._at <= bearable:
                return Seen(self._value, self._problem)
            if not self._changed.wait_for(lambda: not self._reading, within):
                return Seen(self._value, self._problem or ("" if self._value is not None else f"no answer for {within:.0f} s"))
            return Seen(self._value, self._problem)

    @property
    def last(self) -> Seen[T]:
        """What was seen last, however long ago."""
        with self._changed:
            return Seen(self._value, self._problem)

    def take(self) -> T | None:
        """Read now, in this thread; None where that failed."""
        value, problem = None, ""
        try:
            value = self._read()
        except (PoolError, Away) as error:
            problem = str(error)
        except BaseException as error:
            problem = type(error).__name__
            raise
        finally:
            with self._changed:
                self._reading, self._at, self._problem = False, time.monotonic(), problem
                self._value = self._value if problem else value
                self._changed.notify_all()
        return value
