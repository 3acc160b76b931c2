"""How commands print: JSON for programs, tables for people."""

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

UNBROKEN = 4096  # columns of a line that goes to a file or a program
COLOURS = {"done": "green", "running": "cyan", "ready": "cyan", "stuck": "bold red", "refused": "yellow", "undone": "yellow"}
COLOURS |= {"ok": "green", "warn": "yellow", "fail": "bold red"}
COLOURS |= {"saved": "green", "skipped": "yellow", "late": "yellow", "cancelled": "yellow", "missed": "bold red", "failed": "bold red"}
COLOURS |= {"forgotten": "bold red"}


def json(value: Any) -> None:
    """Print a value as JSON, indented, with sorted keys; moments are ISO 8601 in UTC."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z, default=str)
    sys.stdout.write(text.decode() + "\n")


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table."""
    console().print(drawn(headings, rows))


def drawn(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """A table: cells are printed as they are, never as markup, for names come from a pool."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, highlight=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return made


def status(word: str) -> Any:
    """A status in its colour."""
    from rich.text import Text

    return Text(word, style=COLOURS.get(word, ""))


def moment(at: datetime | None) -> str:
    """A moment in the viewer's own zone."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else "-"


def zone() -> str:
    """The viewer's own zone as its clock is called in winter and in summer ("CET/CEST"): headings name it once."""
    return "/".join(dict.fromkeys(time.tzname if time.daylight else time.tzname[:1]))


def console() -> Any:
    """The console for people: no colour when the output is not a terminal, and no line broken when it is not one either.

    Nothing is a picture: the MAC 4e:3c:20:cd:2e:7a has the name of one in it.
    """
    from rich.console import Console

    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else UNBROKEN)
