"""On which line of a TOML file a setting stands: tomllib does not tell, and an error without it sends people searching."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Where = tuple[str | int, ...]
HEADER = re.compile(r"\s*(\[\[?)(.*?)(\]\]?)\s*(#.*)?$")
PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.|=|$)""")
TOKEN = re.compile(r'"""(?:\\.|[^\\])*?"""|' + r"'''.*?'''" + r'|"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|#[^\n]*|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines (from 1) of the tables and keys of a file, by where they stand in what tomllib gives."""

    numbers: Mapping[Where, int] = field(default_factory=dict)

    def of(self, *where: str | int) -> int | None:
        """The line of a setting; of the table or key that it would be in, when it is not there itself; None when nothing of it is."""
        for length in range(len(where), 0, -1):
            if where[:length] in self.numbers:
                return self.numbers[where[:length]]
        return None

    def after(self, file: object, *where: str | int) -> str:
        """What an error begins with: FILE:LINE, or the file alone."""
        line = self.of(*where)
        return f"{file}" if line is None else f"{file}:{line}"


def read(text: str) -> Lines:
    """The lines of a text that tomllib has taken."""
    found: dict[Where, int] = {}
    counts: dict[Where, int] = {}
    table: Where = ()
    for number, line in _statements(text):
        header = HEADER.match(line)
        if header:
            table = _table(_parts(header[2]), double=header[1] == "[[", counts=counts)
            _note(found, (), table, number)
        elif parts := _parts(line):
            _note(found, table, parts, number)
    return Lines(found)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The beginnings of tables ("[x]") and of keys ("x ="), each with its line: without values, whose lines and brackets mean nothing."""
    number, begins, said, in_value, depth = 1, 1, "", False, 0
    for match in TOKEN.finditer(text + "\n"):
        piece = match[0]
        if in_value:
            depth += (piece in ("[", "{")) - (piece in ("]", "}"))
        elif piece == "=":
            said, in_value = f"{said}=", True
        elif piece != "\n" and not piece.startswith("#"):
            said += piece
        if piece == "\n" and depth == 0:
            yield begins, said
            said, in_value, begins = "", False, number + 1
        number += piece.count("\n")


def _parts(line: str) -> Where:
    """The dotted key at the beginning of a line; () when there is none."""
    parts, at = [], 0
    while match := PART.match(line, at):
        parts.append(next(part for part in match.groups()[:3] if part is not None))
        at = match.end()
        if match[4] != ".":
            return tuple(parts)
    return ()


def _table(parts: Where, *, double: bool, counts: dict[Where, int]) -> Where:
    """Where the table is in what tomllib gives: in an array of tables that is the newest one."""
    where: Where = ()
    for length, part in enumerate(parts, 1):
        where = (*where, part)
        if double and length == len(parts):
            counts[where] = counts.get(where, -1) + 1
        if where in counts:
            where = (*where, counts[where])
    return where


def _note(found: dict[Where, int], table: Where, parts: Where, number: int) -> None:
    for length in range(1, len(parts) + 1):
        found.setdefault((*table, *parts[:length]), number)
