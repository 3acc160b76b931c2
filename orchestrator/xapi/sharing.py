"""One reading for all who asked before it began."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from orchestrator.xapi import errors
from workflows.ports import PoolError

T = TypeVar("T")


class Shared(Generic[T]):
    """What *read* returns, read for many callers at once.

    A caller gets a reading that began after it asked, never an older one; all who ask while a reading is under way share the next. So a
    hundred callers at once cost two readings. A `PoolError` is shared as well, any other error is the reader's own.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._turn = threading.Condition()
        self._reading = False
        self._begun = 0
        self._ended = 0
        self._last: T | PoolError | None = None

    def get(self) -> T:
        """A reading that begins from now on: somebody else's, or the caller's own."""
        with self._turn:
            wanted = self._begun + 1
            self._turn.wait_for(lambda: self._ended >= wanted or not self._reading)
            if self._ended < wanted:
                self._reading = True
                self._begun += 1
                mine = self._begun
            else:
                return self._shared()
        return self._lead(mine)

    def _shared(self) -> T:
        if isinstance(self._last, PoolError):
            raise errors.again(self._last)
        return cast("T", self._last)  # a reading ended, or nobody would be here

    def _lead(self, mine: int) -> T:
        ended: T | PoolError | None = None
        try:
            ended = self._read()
        except PoolError as error:
            ended = error
            raise
        else:
            return ended
        finally:
            with self._turn:
                self._reading = False
                if ended is not None:
                    self._last, self._ended = ended, mine
                self._turn.notify_all()
