"""Transactions that share one commit: what several threads want to write at the same moment costs one wait for the disk."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlmodel import Session

T = TypeVar("T")
AT_ONCE = 64  # works in one transaction: the last of them must not wait long for the first


class _Part:
    """What one thread wants done, and what came of it."""

    __slots__ = ("error", "over", "result", "work")

    def __init__(self, work: Callable[[Session], Any]) -> None:
        self.work = work
        self.over = False
        self.result: Any = None
        self.error: Exception | None = None


class Together:
    """Whoever gets the turn carries out all that waits, in one transaction; the others find theirs committed when they get it."""

    def __init__(self, write: Callable[[], AbstractContextManager[Session]]) -> None:
        self._write = write
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: list[_Part] = []

    def do(self, work: Callable[[Session], T]) -> T:
        """What *work* returns, once it is committed; raises what it raises, and then nothing of it is kept.

        A work that fails does not hurt those beside it: all are rolled back and carried out again, each in a transaction of its own.
        So a work may run twice; it does nothing but write rows and return.
        """
        part = _Part(work)
        with self._lock:
            self._waiting.append(part)
        with self._turn:
            if not part.over:
                self._carry_out(self._take(part))
        if part.error is not None:
            raise part.error
        result: T = part.result
        return result

    def _take(self, mine: _Part) -> list[_Part]:
        with self._lock:
            others = [part for part in self._waiting if part is not mine]
            self._waiting = others[AT_ONCE:]
        return [mine, *others[:AT_ONCE]]

    def _carry_out(self, parts: list[_Part]) -> None:
        try:
            with self._write() as session:
                results = [part.work(session) for part in parts]
        except Exception as error:  # noqa: BLE001 - given to the thread whose work it is
            if len(parts) == 1:
                parts[0].error, parts[0].over = error, True
                return
            for part in parts:
                self._carry_out([part])
            return
        for part, result in zip(parts, results, strict=True):
            part.result, part.over = result, True
