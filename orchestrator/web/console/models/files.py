"""A directory of a disk of a restore point, as lines. Names are a guest's: any text at all. Pure."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.files import Entry

MOST = 1000  # lines of one directory that are shown; others are fetched by their path


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. *path*: from the root of the filesystem; "" for one that cannot be asked for by its name."""

    name: str
    kind: str
    size: int
    mode: str
    path: str


@dataclass(frozen=True, slots=True)
class Folder:
    """What is at a path. *crumbs*: the directories on the way there, each with its path. *is_file*: the one line is what the path names."""

    crumbs: Sequence[tuple[str, str]]
    lines: Sequence[Line]
    more: int
    is_file: bool


def folder(path: str, entries: Sequence[Entry], *, is_file: bool) -> Folder:
    """Directories first, then by name."""
    parts = [part for part in path.split("/") if part]
    crumbs = [(part, "/" + "/".join(parts[: number + 1])) for number, part in enumerate(parts)]
    ordered = sorted(entries, key=lambda one: (one.kind != "directory", one.name.lower(), one.name))
    parent = path.rstrip("/")
    lines = [_line(entry, parent if is_file else f"{parent}/{entry.name}") for entry in ordered[:MOST]]
    return Folder(crumbs, lines, max(0, len(entries) - MOST), is_file)


def _line(entry: Entry, path: str) -> Line:
    askable = not any(ord(letter) < 32 or ord(letter) == 127 for letter in path)
    return Line(entry.name, entry.kind, entry.size, stat.filemode(entry.mode)[1:], path if askable else "")
