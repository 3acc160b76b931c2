"""The VFs as a map: hosts as columns, ports as blocks, each VF a cell. Pure."""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = ("used", "promised", "leaked", "unsure", "broken", "free")
IN_WORDS = {
    "used": "in use",
    "promised": "promised",
    "leaked": "leaked",
    "unsure": "not accounted for",
    "broken": "broken",
    "free": "free",
}
FEW = 16  # VFs of a port whose cells have room for a name


@dataclass(frozen=True, slots=True)
class Cell:
    """One VF. *kind* is one of KINDS; *text* is what is read in it; *vm* (uuid) and *vif* (uuid) are "" where no VM has it."""

    kind: str
    text: str
    vm: str = ""
    vif: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """One port (a network_sriov, by its uuid), *device* being its NIC; *counts*: how many cells of each kind there are."""

    id: str
    device: str
    network: str
    mode: str
    cells: tuple[Cell, ...]
    counts: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def is_many(self) -> bool:
        """Whether there are too many cells for names in them."""
        return len(self.cells) > FEW

    @property
    def said(self) -> str:
        """Its numbers in words."""
        return in_words(self.counts)


@dataclass(frozen=True, slots=True)
class Host:
    """A column; *name* is the host's."""

    name: str
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Map:
    """The VFs of one pool. *problem*: why nothing newer is known of it; ""."""

    pool: str
    hosts: tuple[Host, ...]
    counts: Mapping[str, int]
    problem: str = ""

    @property
    def said(self) -> str:
        """The pool's numbers in words."""
        return in_words(self.counts)


def drawn(pool: str, rows: Iterable[Mapping[str, Any]], problem: str = "") -> Map:
    """The map of what `views.vfs.ports` gave for the pool."""
    ports: dict[str, list[Port]] = {}
    for row in rows:
        ports.setdefault(row["name"].rpartition("/")[0], []).append(port(row))
    hosts = tuple(
        Host(name, tuple(sorted(found, key=lambda one: one.device)))
        for name, found in sorted(ports.items(), key=lambda pair: natural(pair[0]))
    )
    every = [one for host in hosts for one in host.ports]
    return Map(pool, hosts, {kind: sum(one.counts[kind] for one in every) for kind in KINDS}, problem)


def natural(name: str) -> list[tuple[int, str]]:
    """As people put names in order: host2 before host10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def port(row: Mapping[str, Any]) -> Port:
    """One port's row as cells: those that VMs have first, by the VM's name, so that a cell stays where it is while others change."""
    cells = tuple(_cells(row))
    return Port(
        id=row["port"],
        device=row["name"].rpartition("/")[2],
        network=row["network"],
        mode=row["mode"],
        cells=cells,
        counts={kind: sum(cell.kind == kind for cell in cells) for kind in KINDS},
        notes=(*row["in_flight"], *(f"{odd['text']} ({odd['advice']})" for odd in row["odd"])),
    )


def _cells(row: Mapping[str, Any]) -> Iterable[Cell]:
    for user in sorted(row["users"], key=lambda one: (one["name"], one["vm"], one["device"])):
        yield Cell("used", user["name"], user["vm"], user["vif"], user["device"])
    free = max(0, row["free"])
    promised = min(row["promised"], free)
    for kind, count in (("promised", promised), ("leaked", row["leaked"]), ("unsure", row["missing"] or 0)):
        yield from [Cell(kind, IN_WORDS[kind])] * count
    kind = "free" if row["attached"] else "broken"
    yield from [Cell(kind, IN_WORDS[kind])] * (free - promised)
    if not row["attached"]:
        known = len(row["users"]) + free + row["leaked"] + (row["missing"] or 0)
        yield from [Cell("broken", IN_WORDS["broken"])] * max(0, row["total"] - known)


def in_words(counts: Mapping[str, int]) -> str:
    """Numbers as a sentence's beginning: "3 in use, 5 free"."""
    return ", ".join(f"{counts[kind]} {IN_WORDS[kind]}" for kind in KINDS if counts[kind]) or "no VFs"


def total(counts: Mapping[str, int]) -> int:
    """How many VFs these are."""
    return sum(counts.values())


def changed(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """The rows that show something else than before; None when ports came or went, so that the map has to be drawn anew."""
    was = {row["port"]: _shown(row) for row in before}
    if was.keys() != {row["port"] for row in after}:
        return None
    return [row for row in after if _shown(row) != was[row["port"]]]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without the moment at which it was looked at."""
    return {name: value for name, value in row.items() if name != "at"}


def mark(maps: Sequence[Map]) -> str:
    """A short text that is another one when the maps show something else."""
    return f"{zlib.crc32(repr(maps).encode()):08x}"


def is_meant(cell: Cell, query: str) -> bool:
    """Whether the cell is of a VM that has *query* in its name, or as its uuid; nothing is meant by nothing."""
    return bool(query and cell.vm) and (query.lower() in cell.text.lower() or query == cell.vm)
