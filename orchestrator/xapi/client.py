"""A pool's API for every thread of the process: one session, found and kept by itself, and failures by name."""

import copy
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import XenAPI

from orchestrator import calls_made, retry
from orchestrator.xapi import decode, errors, tasks
from orchestrator.xapi.connection import Line
from orchestrator.xapi.decode import JSON
from orchestrator.xapi.errors import Unreachable
from orchestrator.xapi.haste import Haste
from orchestrator.xapi.login import Login
from orchestrator.xapi.session import Session
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.tally import Tally
from orchestrator.xapi.transport import Limits, only_reads
from orchestrator.xapi.turns import Turns
from workflows.ports import Gone, PoolError, Transient
from workflows.tasks import Pending, TaskOutcome, Vanished

T = TypeVar("T")

TIMEOUT = 60.0


class Client:
    """One per pool and process, shared by all threads.

    Every call may raise a named error of `workflows.ports`. What certainly took no effect (nobody was reached, the server was not the
    coordinator, the session had ended), and reads that were cut, are tried again for *patience* seconds (the settings' if None; 0: not
    at all) and are `Transient` after that. Everything else goes out once: what was cut after it was sent is `Unknown`.

    Once a call's patience was in vain the next ones are tried once, until one gets through: who waits for a pool that is away for long
    is in the way of those who work on another.

    With *turns* each attempt waits for its turn first, but for event.from, which lasts as long as nothing happens. The wait is part of the
    patience; a call that is made once (patience 0) waits for as long as the settings say. No turn in time is `Transient`.
    """

    def __init__(self, settings: PoolSettings, turns: Turns | None = None) -> None:
        self.name = settings.name
        self.tally = Tally()
        self._patience = settings.patience.total_seconds()
        self._login = Login(settings)
        self._stop = threading.Event()
        self._away = False
        self.haste: Haste | None = None
        self._turns = turns
        self._all_turns = [turns] if turns else []
        self.uuid_of: Callable[[str], str | None] = _unknown

    def in_turn(self, turns: Turns) -> "Client":
        """A client by the same session, closed together with this one, whose calls wait for their turn."""
        other = copy.copy(self)
        other._turns = turns  # noqa: SLF001 - of its own class
        self._all_turns.append(turns)
        return other

    def in_haste(self, haste: Haste) -> "Client":
        """A client by the same session, closed together with this one, for somebody who sits there and waits."""
        other = copy.copy(self)
        other.haste, other._patience = haste, min(self._patience, haste.patience)  # noqa: SLF001 - of its own class
        return other

    def call(self, method: str, *params: Any, timeout: float = TIMEOUT, patience: float | None = None) -> Any:
        """Call *method* ("VM.get_record") with its parameters, the session left out; its result as it came (numbers: use `fetch`).

        *timeout*: seconds for one attempt; event.from's is always above the one asked.
        """
        return self._patiently(method, params, Limits(timeout), patience, decode.plain)

    def fetch(
        self, kind: type[T], method: str, *params: Any, timeout: float = TIMEOUT, patience: float | None = None, line: Line | None = None
    ) -> T:
        """As `call`, the result decoded straight into *kind*: a struct, dict[str, Struct], int, ...

        A `msgspec.Raw` inside is to be decoded by `decode.into`, which knows of XML-RPC's ints. By *line* another thread may end the call;
        with one, the default patience is 0, so that a call that was ended is not made again.
        """
        if line is not None and patience is None:
            patience = 0
        return self._patiently(method, params, Limits(timeout, line), patience, lambda raw: decode.into(kind, raw))

    def start(self, method: str, *params: Any, timeout: float = TIMEOUT, patience: float | None = None) -> str:
        """Start *method* as `Async.`; the ref of its task.

        `Unknown` when it was cut: it may have been started under a task that we cannot name.
        """
        return self.fetch(str, f"Async.{method}", *params, timeout=timeout, patience=patience)

    def task_outcome(self, ref: str) -> TaskOutcome:
        """How the task stands. One that ended is destroyed in the pool, so keep what this says; `Vanished` when it is not there."""
        try:
            outcome = tasks.outcome(self.fetch(tasks.TaskRecord, "task.get_record", ref))
        except Gone:
            return Vanished()
        if not isinstance(outcome, Pending):
            self._forget(ref)
        return outcome

    def _forget(self, ref: str) -> None:
        try:
            self.call("task.destroy", ref, patience=0)
        except PoolError:  # only tidiness: the pool forgets it within 65 minutes
            return

    @property
    def epoch(self) -> int:
        """How many logins there were. It changes with every new session and coordinator: what was known from before must be read again."""
        return self._login.epoch

    @property
    def address(self) -> str:
        """Where the coordinator was found last, as "host[:port]"."""
        return self._login.address

    @property
    def session(self) -> Session:
        """The package's session, for what is asked of it directly; it is not looked after as the calls above are."""
        return self._login.session()

    def close(self) -> None:
        """Log out and end every call in flight, in whatever thread; later calls are `Transient`."""
        self._stop.set()
        for turns in self._all_turns:
            turns.dismiss(self._stop)
        self._login.close()

    def _patiently(self, method: str, params: tuple[Any, ...], limits: Limits, patience: float | None, then: Callable[[JSON], T]) -> T:
        """Try once, and again as long as the class says."""
        if self.haste is None:
            return self._tried(method, params, limits, patience, then)
        bounded = Limits(min(limits.timeout, self.haste.longest), limits.line)
        return self.haste.ask(lambda: self._tried(method, params, bounded, patience, then))

    def _tried(self, method: str, params: tuple[Any, ...], limits: Limits, patience: float | None, then: Callable[[JSON], T]) -> T:
        repeated = (Unreachable, _ReadCut) if only_reads(method) else (Unreachable,)
        waits_out = patience is None
        if patience is None:
            patience = 0 if self._away else self._patience
        turn_by = time.monotonic() + (patience or (0 if waits_out else self._patience))
        try:
            raw = retry.patiently(lambda: self._once(method, params, limits, turn_by), patience=patience, on=repeated, stop=self._stop)
        except repeated as error:
            if waits_out and not self._stop.is_set():
                self._away = True
                if isinstance(error, _ReadCut):  # who hears and does not answer may have a successor, as one who is not reached
                    self._login.leave_any()
            raise
        self._away = False
        return then(raw)

    def _once(self, method: str, params: tuple[Any, ...], limits: Limits, turn_by: float) -> JSON:
        turns, begun = None if method == "event.from" else self._turns, time.monotonic()
        try:
            if turns is not None:
                turns.take(max(0.0, turn_by - begun), self._stop)
            try:
                self.tally.called(method)
                begun = time.monotonic()
                answer = self._sent(method, params, limits)
            finally:
                if turns is not None:
                    turns.give_back()
        except PoolError as error:
            self.tally.failed(error.code)
            self._note(method, params, time.monotonic() - begun, error.code)
            raise
        self._note(method, params, time.monotonic() - begun, None)
        return answer

    def _note(self, method: str, params: tuple[Any, ...], seconds: float, error: str | None) -> None:
        """For who looks at the run whose step this is."""
        calls = calls_made.at_work()
        if calls is not None:
            first = params[0] if params and isinstance(params[0], str) else ""
            calls.add(method, first if method.endswith(".get_by_uuid") else self.uuid_of(first), seconds, error)

    def _sent(self, method: str, params: tuple[Any, ...], limits: Limits) -> JSON:
        session = self._login.session()
        fault: PoolError
        try:
            return session.invoke(method, params, limits)
        except XenAPI.Failure as failure:
            fault = errors.named(failure.details)
        except Unreachable as error:
            if error.code == errors.NOT_REACHED:
                # a toolstack that is down forgets its sessions, and a coordinator that is down may have a successor
                self._login.leave(session)
            raise
        except Transient as error:
            raise _ReadCut(error.code, error.details) from None
        if fault.code in errors.NOBODY_HEARD:
            self._login.leave(session)
        raise fault


def _unknown(_: str) -> None:
    """Who asks by refs may say which uuids they have (`Refs`)."""


class _ReadCut(Transient):
    """A call that only reads was cut: it may be repeated at once."""
