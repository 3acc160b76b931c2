"""What an exception that left a step means for its run: the one place that decides it."""

import re
import traceback
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from plugins.errors import GiveUp, RetryLater
from state.store import Away
from workflows.ports import Busy, Denied, Gone, LockedOut, PoolError, Refused, Transient, Unknown

LINES = 8  # of a traceback: enough to find the place

SECRETS = (
    (re.compile(r"(://[^\s/@:]*):[^\s/@]*@"), r"\1:***@"),
    (re.compile(r"(?i)\b(pass\w*|secret\w*|token\w*|session\w*|authorization)(['\"]?\s*[=:]\s*)(['\"]?)[^\s,'\")}]+"), r"\1\2\3***"),
)


@dataclass(frozen=True, slots=True)
class Again:
    """The step is to run again: after *after* (None: the back-off says). *tries*: how often at most; None: until its time is over.

    *unreachable*: the pool cannot be reached, so that nothing else could be done there either.
    """

    reason: str
    after: timedelta | None = None
    tries: int | None = None
    unreachable: bool = False
    evidence: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Abandon:
    """The step will never work: what was done is to be undone."""

    reason: str


def judge(error: BaseException, *, tries: int) -> Again | Abandon:
    """What *error* means. A step looks before it acts, so that running it again is safe even when a call's fate is unknown.

    What nobody foresaw (a wrong call, a bug) is tried *tries* times in all: it may pass, and if not, a person must see it.
    """
    reason = in_words(error)
    match error:
        case RetryLater():
            return Again(reason, after=error.after)
        case Transient() | LockedOut() | Away():  # as with the pool: nothing else could be done without the database either
            return Again(reason, unreachable=True)
        case Busy() | Unknown():
            return Again(reason)
        case GiveUp() | Gone() | Refused() | Denied():
            return Abandon(reason)
    return Again(reason, tries=tries, evidence={"error": reason, "traceback": _places(error)})


def in_words(error: BaseException) -> str:
    """The error in one line, without secrets."""
    text = redacted(str(error)).strip()
    if isinstance(error, (PoolError, RetryLater, GiveUp, Away)):
        return text or type(error).__name__
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def redacted(text: str) -> str:
    """The text with what looks like a password, a token or a session starred out."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def _places(error: BaseException) -> list[str]:
    """Where it happened: the last frames as "file:line in function", innermost last. Places only: source and values may hold secrets."""
    frames = traceback.extract_tb(error.__traceback__)[-LINES:]
    return [f"{Path(frame.filename).parent.name}/{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
