"""How many calls into a pool may be in flight at once, and who is next: in the order in which they asked."""

import threading
from collections import deque
from collections.abc import Callable

from state.clock import elapsed
from workflows.ports import Transient

CODE = "CALLS_AT_ONCE"


class _Waiting:
    """A thread that waits for its turn. *stop*: what ends all calls of the client that it calls by."""

    __slots__ = ("given", "over", "stop")

    def __init__(self, stop: threading.Event) -> None:
        self.over = threading.Event()
        self.given = False
        self.stop = stop


class Turns:
    """The turns of one pool in one process, for all its threads and clients. First come, first served: nobody waits for ever.

    Where several processes share the pool's limit, how many of them are this process's changes (`resize`), and holds *until* a moment
    (as `state.clock.elapsed` counts): a process that was stopped meanwhile finds that it is past before it calls.
    """

    def __init__(self, pool: str, most: int, until: float = float("inf"), *, clock: Callable[[], float] = elapsed) -> None:
        self.pool = pool
        self._most = most
        self._until = until
        self._clock = clock
        self._lock = threading.Lock()
        self._used = 0
        self._waiting: deque[_Waiting] = deque()

    @property
    def most(self) -> int:
        """How many calls this process may have in flight now."""
        return self._most if self._clock() < self._until else 0

    @property
    def in_flight(self) -> int:
        """How many have a turn."""
        return self._used

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def take(self, seconds: float, stop: threading.Event) -> None:
        """Have a turn; it is to be given back. Raises `Transient` when none came in *seconds*, or *stop* is set (see `dismiss`)."""
        with self._lock:
            if stop.is_set():
                raise Transient("CLIENT_CLOSED")
            if not self._waiting and self._used < self.most:
                self._used += 1
                return
            mine = _Waiting(stop)
            self._waiting.append(mine)
        mine.over.wait(seconds)
        with self._lock:
            if mine.given:
                return
            if mine in self._waiting:
                self._waiting.remove(mine)
        if stop.is_set():
            raise Transient("CLIENT_CLOSED")
        raise Transient(CODE, (self.pool, f"no turn within {seconds:.1f} s: {self._used} calls of this process are in flight"))

    def give_back(self) -> None:
        """The call has ended: whoever waits longest is next."""
        with self._lock:
            self._used -= 1
            self._hand_out()

    def resize(self, most: int, until: float = float("inf")) -> int:
        """So many from now on, until that moment. Calls in flight go on; how many of them there are."""
        with self._lock:
            self._most, self._until = most, until
            self._hand_out()
            return self._used

    def dismiss(self, stop: threading.Event) -> None:
        """*stop* was set: those who wait by it wait no more."""
        with self._lock:
            dismissed = [one for one in self._waiting if one.stop is stop]
            self._waiting = deque(one for one in self._waiting if one.stop is not stop)
        for one in dismissed:
            one.over.set()

    def _hand_out(self) -> None:
        while self._waiting and self._used < self.most:
            first = self._waiting.popleft()
            self._used += 1
            first.given = True
            first.over.set()
