"""Who did what, as files for other programs: plain JSON, and CSV that no spreadsheet takes for formulas."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

COLUMNS = ("seq", "at", "who", "how", "what", "thing", "outcome", "reason", "details")
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings by which spreadsheets take a cell for something to be worked out: the last are the full-width forms of = + - @."""


def as_csv(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each act below one with the names of the columns; *rows* as `actions.audit.row` makes them. Times are ISO, in UTC."""
    yield _line(COLUMNS)
    for row in rows:
        details = dict(row["details"])
        shown = {**row, "at": _moment(row["at"]), "reason": str(details.pop("reason", "")), "details": _json(details) if details else ""}
        yield _line([shown[name] for name in COLUMNS])


def as_json(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One array, an act a line."""
    before = "[\n"
    for row in rows:
        yield before + _json({**row, "at": _moment(row["at"])})
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def harmless(cell: object) -> str:
    """The cell as text, with an apostrophe before what a spreadsheet would work out."""
    text = str(cell)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULAS) else text


def _line(cells: Iterable[object]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([harmless(cell) for cell in cells])
    return written.getvalue()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
