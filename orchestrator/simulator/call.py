"""What a handler is given beside its parameters."""

import threading
from typing import TYPE_CHECKING

from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure, Interrupted
from orchestrator.simulator.schema import NULL

if TYPE_CHECKING:
    from orchestrator.simulator.server import Server


class Call:
    """One call of one message, running in a thread of its own, without the database's lock.

    `task` is the ref of the call's task: every Async call and every synchronous one that xapi forwards has one.
    `session`, `user` and `role` say who calls.
    """

    def __init__(self, server: "Server", method: str, session: str = NULL, user: str = "", role: str = "pool-admin") -> None:
        self.server = server
        self.db: Database = server.db
        self.method = method
        self.session = session
        self.user = user
        self.role = role
        self.host: str = NULL
        self.task: str = NULL
        self._woken = threading.Event()
        self._cancelled = False
        self._interrupted = False

    def handle(self, cls: str, ref: str) -> Row:
        """The object's row; HANDLE_INVALID [cls, ref] when it is gone."""
        return self.db.get(cls, ref)

    def work(self, seconds: float) -> None:
        """Take *seconds* of a real host's time, scaled by the server's speed; not to be called with the lock held.

        Failure TASK_CANCELLED [task] when the task was cancelled, Interrupted when the toolstack stops.
        """
        self.check()
        self.pause(seconds * self.server.speed)

    def pause(self, seconds: float) -> None:
        """Wait *seconds* as the clock on the wall has them, whatever the server's speed; raises what `work` raises."""
        if seconds > 0:
            self._woken.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise what `work` raises, without taking any time: for handlers that wait for something themselves."""
        if self._interrupted:
            raise Interrupted(self.method)
        if self._cancelled:
            raise Failure("TASK_CANCELLED", self.task)

    def progress(self, done: float) -> None:
        """Say on the task how much is done, 0 to 1."""
        if self.db.exists("task", self.task):
            self.db.set("task", self.task, progress=done)

    def cancel(self) -> None:
        """Let the call end with TASK_CANCELLED at its next look."""
        self._cancelled = True
        self._woken.set()

    def interrupt(self) -> None:
        """Let the call end unanswered at its next look: its toolstack is gone."""
        self._interrupted = True
        self._woken.set()
