"""How people wait for a pool: not for long, and not many of them for one that says nothing."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import TypeVar

from workflows.ports import PoolError, Transient

T = TypeVar("T")

CODE = "NO_ANSWER"
MOST = 8  # calls in flight, and as many more that wait for a place among them
IN_LINE = 2.0  # seconds that one of those waits
AGAIN = 1.0  # seconds that an answer is waited for once the pool has been silent: the call goes on, and says when it speaks again


class Haste:
    """The calls into one pool that somebody sits and waits for, in any number of threads.

    What is not reached is tried again for *patience*; no answer is waited for longer than three times that, whatever it is that hangs (a
    coordinator that takes a connection and says nothing, somebody else's login). Then the pool is silent: until it has answered something,
    one call at a time may try, and all others are told so at once.
    """

    def __init__(self, pool: str, patience: timedelta) -> None:
        self.patience = patience.total_seconds()
        self.longest = 3 * self.patience
        self._pool = pool
        self._changed = threading.Condition()
        self._inside = self._in_line = 0
        self._silent = False

    def ask(self, act: Callable[[], T]) -> T:
        """What *act* comes to, by a thread of its own. Raises `Transient` where that takes too long: it is left to itself then."""
        within = self._come_in()
        answer: Future[T] = Future()
        threading.Thread(target=self._work, args=(act, answer), name=f"a call into pool {self._pool}", daemon=True).start()
        try:
            return answer.result(within)
        except TimeoutError:
            with self._changed:
                self._silent = self._silent or not answer.done()
                self._changed.notify_all()
            raise Transient(CODE, (self._pool,), f"pool {self._pool} does not answer: nothing came within {within:.0f} s") from None

    def _come_in(self) -> float:
        """Have a place; for how long the answer is waited for."""
        with self._changed:
            if not self._has_room():
                if self._silent or self._in_line >= MOST:
                    raise self._refused()
                self._in_line += 1
                try:
                    self._changed.wait_for(lambda: self._silent or self._has_room(), IN_LINE)
                finally:
                    self._in_line -= 1
                if not self._has_room():
                    raise self._refused()
            self._inside += 1
            return min(AGAIN, self.longest) if self._silent else self.longest

    def _has_room(self) -> bool:
        return self._inside < (1 if self._silent else MOST)

    def _refused(self) -> Transient:
        why = "it is asked already" if self._silent else f"{self._inside} calls into it are under way, and others wait"
        return Transient(CODE, (self._pool,), f"pool {self._pool} does not answer now: {why}")

    def _work(self, act: Callable[[], T], answer: "Future[T]") -> None:
        answered = False
        try:
            answer.set_result(act())
            answered = True
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            answered = isinstance(error, PoolError) and not isinstance(error, Transient)
            answer.set_exception(error)
        finally:
            with self._changed:
                self._inside -= 1
                self._silent = self._silent and not answered
                self._changed.notify_all()
