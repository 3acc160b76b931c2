"""One job at work in this process: its thread, what it says of itself, and how it is told to end."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from plugins.errors import Cancelled, GiveUp, RetryLater, SourceError
from plugins.kit import Result, Work
from plugins.values import Progress
from state.jobs import Claim

logger = logging.getLogger(__name__)


class End(Enum):
    """Why a job is told to end: somebody cancelled it, this process stops, or another process has taken it."""

    CANCEL = "it was cancelled"
    STOP = "its process was stopped"
    LOST = "another process has taken it"


@dataclass(frozen=True, slots=True)
class Said:
    """What a job says of itself, as its row has it. *state* is the row's: "running", "done", "failed" or "cancelled"."""

    state: str = "running"
    fraction: float | None = None
    read: int = 0
    stored: int = 0
    point: str = ""
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class AtWork:
    """Begins at once. *over* is called in the job's thread when the work has come to its end, however it did."""

    def __init__(self, claim: Claim, work: Work, over: Callable[["AtWork"], None]) -> None:
        self.claim = claim
        self._work = work
        self._over = over
        self.over = False
        self._said = Said()
        self._written = Said()
        self._why: End | None = None
        self._kept_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"job {claim.id}", daemon=True)
        self._thread.start()

    # -- for the work: `plugins.kit.Job` -----------------------------------------------------------------------

    def say(self, *, read: int = 0, stored: int = 0, fraction: float | None = None, message: str = "") -> None:
        """How far it is; raises Cancelled when it is to end."""
        if self._why is not None:
            raise Cancelled(self._why.value)
        self._said = Said("running", fraction, read, stored, "", message)

    # -- for those who keep it ---------------------------------------------------------------------------------

    @property
    def ending(self) -> bool:
        """Whether it was told to end, or has ended."""
        return self._why is not None or self._said.state != "running"

    def end(self, why: End) -> None:
        """Have it end at its next word; the first reason counts."""
        self._why = self._why or why

    def join(self, seconds: float) -> bool:
        """Wait for its end; whether it has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def kept(self) -> None:
        """Its lease was extended."""
        self._kept_at = time.monotonic()

    def unkept(self) -> float:
        """For how many seconds its lease could not be extended."""
        return time.monotonic() - self._kept_at

    @property
    def has_news(self) -> bool:
        """Whether it has said something since `said` was asked for."""
        return self._said is not self._written

    def said(self) -> dict[str, Any]:
        """The columns of its row."""
        now = self._written = self._said
        return {name: getattr(now, name) for name in ("state", "fraction", "read", "stored", "point", "message")} | {
            "details": dict(now.details)
        }

    def progress(self) -> Progress:
        """How it stands."""
        now = self._said
        state = "failed" if now.state == "cancelled" else now.state
        return Progress(state, now.fraction, now.read, now.stored, now.point, now.message, now.details)

    def _run(self) -> None:
        try:
            self._said = _ended(self._work(self))
        except BaseException as error:  # noqa: BLE001 - a vendor's code may raise anything, and the row must say so
            self._said = self._failed(error)
        self._over(self)

    def _failed(self, error: BaseException) -> Said:
        if self._why is not None or isinstance(error, Cancelled):
            return self._cut_off()  # whatever it raises then: its stream is cut as well when the process stops
        if isinstance(error, RetryLater):
            return replace(self._said, message=f"not now: {error}")  # still "running", and kept by nobody: lost
        if isinstance(error, GiveUp | SourceError):
            return replace(self._said, state="failed", message=str(error))
        logger.warning("job %s failed", self.claim.id, exc_info=error)
        return replace(self._said, state="failed", message=f"{type(error).__name__}: {error}")

    def _cut_off(self) -> Said:
        why = self._why or End.CANCEL
        return replace(self._said, state="cancelled" if why is End.CANCEL else "running", message=why.value)


def _ended(result: object) -> Said:
    if not isinstance(result, Result):
        return Said("failed", message=f"its work gave {type(result).__name__}: it must give plugins.kit.Result")
    return Said("done", 1.0, result.read, result.stored, result.point, result.message, dict(result.details or {}))
