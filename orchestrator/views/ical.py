"""The openings of a window for calendars, as RFC 5545 wants it: moments in UTC, lines of 75 octets at most. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from workflows.policies import BackupWindow

MOMENT = "%Y%m%dT%H%M%SZ"
OCTETS = 75


def calendar(window: BackupWindow, policies: Sequence[str], openings: Iterable[datetime], now: datetime) -> str:
    """An event for each opening; read again it replaces the one of before, since each keeps its UID."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//vf-orchestrator//vfo//EN",
        f"X-WR-CALNAME:{_text('backup window ' + window.name)}",
    ]
    for opens in openings:
        lines += _event(window, policies, opens, now)
    return "".join(f"{folded}\r\n" for line in [*lines, "END:VCALENDAR"] for folded in _folded(line))


def _event(window: BackupWindow, policies: Sequence[str], opens: datetime, now: datetime) -> list[str]:
    said = f"Policies: {', '.join(policies) or 'none'}. Schedule: {window.window.schedule} ({window.window.timezone})."
    return [
        "BEGIN:VEVENT",
        f"UID:{_moment(opens)}-{window.name}@vf-orchestrator",
        f"DTSTAMP:{_moment(now)}",
        f"DTSTART:{_moment(opens)}",
        f"DTEND:{_moment(opens + window.window.duration)}",
        f"SUMMARY:{_text('Backup window ' + window.name)}",
        f"DESCRIPTION:{_text(said)}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime(MOMENT)


def _text(value: str) -> str:
    for mark in "\\;,":
        value = value.replace(mark, f"\\{mark}")
    return value.replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """The line in pieces, each after the first begun with a space; no character is cut."""
    piece = ""
    for character in line:
        if len((piece + character).encode()) > OCTETS:
            yield piece
            piece = " "
        piece += character
    yield piece
