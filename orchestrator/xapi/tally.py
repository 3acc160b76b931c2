"""How often a pool was called, and what it answered when that was an error."""

import re
import threading
from collections import Counter
from collections.abc import Mapping

CODE = re.compile(r"[A-Za-z0-9_]{1,64}")
MOST = 200  # codes and methods that are told apart: a server's own words must not grow without end
OTHER = "other"


class Tally:
    """Counted by all threads, since the process started. An attempt counts, also one that is made again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    def called(self, method: str) -> None:
        """The method ("VM.get_record") is called."""
        with self._lock:
            self._calls[_bounded(method, self._calls)] += 1

    def failed(self, code: str) -> None:
        """A call ended in XenAPI's error *code*, or in one of ours where nothing was answered."""
        with self._lock:
            self._errors[_bounded(code if CODE.fullmatch(code) else OTHER, self._errors)] += 1

    def counts(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Calls by method and errors by code."""
        with self._lock:
            return dict(self._calls), dict(self._errors)


def _bounded(name: str, counted: Mapping[str, int]) -> str:
    return name if name in counted or len(counted) < MOST else OTHER
