"""How commands print: JSON for programs, tables for people."""

import sys
from collections.abc import Sequence
from typing import Any

import orjson


def json(value: Any) -> None:
    """Print a value as JSON, indented, with sorted keys; moments are ISO 8601 in UTC."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z, default=str)
    sys.stdout.write(text.decode() + "\n")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; names from a pool are printed as they are, never as markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, highlight=False)
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    console().print(drawn)


def console() -> Any:
    """The console for people: no colour when the output is not a terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)
