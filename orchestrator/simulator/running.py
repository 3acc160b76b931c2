"""The calls that are under way, so that they can be cancelled, or cut short when their toolstack stops."""

import contextlib
import threading
from collections.abc import Iterator

from orchestrator.simulator.call import Call
from orchestrator.simulator.schema import NULL


class RunningCalls:
    """Calls by identity, and by their task once they have one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: set[Call] = set()
        self._by_task: dict[str, Call] = {}
        self._closed = False

    @contextlib.contextmanager
    def during(self, call: Call) -> Iterator[None]:
        """The call runs inside the block."""
        with self._lock:
            self._calls.add(call)
            if self._closed:
                call.interrupt()
        self.name(call)
        try:
            yield
        finally:
            with self._lock:
                self._calls.discard(call)
                self._by_task.pop(call.task, None)

    def name(self, call: Call) -> None:
        """The call has a task, if it has."""
        if call.task != NULL:
            with self._lock:
                self._by_task[call.task] = call

    def of_task(self, task: str) -> Call | None:
        """The running call of a task, or None."""
        with self._lock:
            return self._by_task.get(task)

    def interrupt_all(self) -> None:
        """Every call ends unanswered at its next look."""
        with self._lock:
            for call in {*self._calls, *self._by_task.values()}:
                call.interrupt()

    def close(self) -> None:
        """The server stops: calls that still arrive end at their first look."""
        with self._lock:
            self._closed = True
