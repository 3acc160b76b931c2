"""What an examination finds, and the words for it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: *subject* is what was looked at, *text* what was found, *advice* what to do about it ("" where nothing is to be done)."""

    level: Level
    subject: str
    text: str
    advice: str = ""


def ok(subject: str, text: str, advice: str = "") -> Finding:
    """All is well; *advice* is where to read what XenAPI cannot tell."""
    return Finding("ok", subject, text, advice)


def warn(subject: str, text: str, advice: str) -> Finding:
    """Something works less well than it could, or cannot be known."""
    return Finding("warn", subject, text, advice)


def fail(subject: str, text: str, advice: str) -> Finding:
    """The product cannot do its work here."""
    return Finding("fail", subject, text, advice)
