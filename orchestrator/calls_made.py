"""The calls into pools that a step makes, for who wants to know what was asked of a pool: their names, never what was sent with them."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

MOST = 200  # lines of a step
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CODE = re.compile(r"[A-Za-z0-9_]{1,64}")

Packed = dict[str, Any]
"""As a row keeps it: {"lines": [[call, subject, milliseconds, error, times]], "more": N}."""


@dataclass(slots=True)
class Line:
    """A call, or several that read the same with nothing changed in between. *milliseconds*: of all of them; *error*: the pool's code."""

    call: str
    subject: str | None
    milliseconds: float
    error: str | None
    times: int = 1


class Calls:
    """Those of one step, after those of which a row told already. For any number of threads: a plugin's may be left behind and go on."""

    __slots__ = ("_lines", "_lock", "_more", "_reads")

    def __init__(self, earlier: Packed | None = None) -> None:
        self._lock = threading.Lock()
        self._lines = lines(earlier)
        self._more = more(earlier)
        self._reads: dict[tuple[str, str | None, str | None], Line] = {}
        for line in self._lines if earlier else ():
            self._remember(line)

    def add(self, call: str, subject: object, seconds: float, error: str | None) -> None:
        """One that has ended. *subject*: what it is about, which counts where it is a uuid; *error*: None when it went well."""
        about = subject if isinstance(subject, str) and UUID.fullmatch(subject) else None
        line = Line(call, about, seconds * 1000, error if error is None or CODE.fullmatch(error) else "other")
        with self._lock:
            same = self._reads.get((line.call, line.subject, line.error))
            if same is not None:
                same.times += 1
                same.milliseconds += line.milliseconds
            elif len(self._lines) == MOST:
                self._more += 1
            else:
                self._lines.append(line)
                self._remember(line)

    def _remember(self, line: Line) -> None:
        if reads(line.call):
            self._reads[line.call, line.subject, line.error] = line
        else:
            self._reads.clear()

    def packed(self) -> Packed | None:
        """As a row keeps it; None when there were none."""
        with self._lock:
            if not self._lines:
                return None
            said = [[one.call, one.subject, round(one.milliseconds, 1), one.error, one.times] for one in self._lines]
            return {"lines": said, "more": self._more}


_AT_WORK: ContextVar[Calls | None] = ContextVar("the calls of the step at work", default=None)


@contextmanager
def noted(calls: Calls) -> Iterator[None]:
    """What this thread calls meanwhile, and what a plugin's thread does for it, is among *calls*."""
    before = _AT_WORK.set(calls)
    try:
        yield
    finally:
        _AT_WORK.reset(before)


def at_work() -> Calls | None:
    """Those of the step at work; None where there is none."""
    return _AT_WORK.get()


def reads(call: str) -> bool:
    """Whether it is one that changes nothing."""
    return call.rpartition(".")[2].startswith(("get_", "assert_"))


def lines(packed: Mapping[str, Any] | None) -> list[Line]:
    """What a row has kept."""
    return [Line(*one) for one in packed["lines"]] if packed else []


def more(packed: Mapping[str, Any] | None) -> int:
    """How many calls it tells nothing of."""
    return int(packed["more"]) if packed else 0
