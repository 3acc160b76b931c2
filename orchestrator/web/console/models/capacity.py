"""How full pools and networks were, as curves: steps in an SVG of width 120 and height 100, and the same as a table. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from orchestrator.views import capacity as view
from orchestrator.views.capacity import Slot

RANGES = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30), "90d": timedelta(days=90)}
STEPS, ROWS, HEIGHT = 120, 30, 100


@dataclass(frozen=True, slots=True)
class Curve:
    """One picture. *kind*: "pool" or "network"; *most*: the VFs at its upper edge; paths are "" where there is nothing to draw.

    *said*: what a person reads off it, in words. *rows*: its table. *counts*: whether anybody counted in this time.
    """

    kind: str
    name: str
    most: int
    used: str
    promised: str
    lost: str
    total: str
    said: str
    rows: Sequence[Slot]

    @property
    def counts(self) -> bool:
        """Whether there is anything to see."""
        return bool(self.rows)


@dataclass(frozen=True, slots=True)
class Story:
    """The curves of one pool: its own, and one of each network where there are several."""

    pool: str
    curves: Sequence[Curve]


def stories(pools: Iterable[str], rows: Sequence[Mapping[str, Any]], begins: datetime, ends: datetime) -> list[Story]:
    """The samples as curves, pool by pool."""
    found = []
    for pool in sorted(pools):
        mine = [row for row in rows if row["pool"] == pool]
        networks = view.networks(mine)
        parts = [curve("network", name, [row for row in mine if row["network"] == one[1]], begins, ends) for one, name in networks.items()]
        found.append(Story(pool, parts if len(parts) == 1 else [curve("pool", pool, mine, begins, ends), *parts]))
    return found


def curve(kind: str, name: str, rows: Sequence[Mapping[str, Any]], begins: datetime, ends: datetime) -> Curve:
    """The samples of one pool or network as a picture."""
    slots = view.slots(rows, begins, ends, STEPS)
    table = [slot for slot in view.slots(rows, begins, ends, ROWS) if slot.figures]
    most = max((max(_heights(slot.figures)) for slot in slots if slot.figures), default=0)
    levels = [_heights(slot.figures) if slot.figures and most else None for slot in slots]
    used, promised, lost = (_area(levels, lower, most) for lower in range(3))
    return Curve(kind, name, most, used, promised, lost, _line(levels, most), _said(slots, view.at(rows, ends)), table)


def _heights(figures: Mapping[str, int]) -> tuple[int, int, int, int, int]:
    """Where used, promised and lost VFs begin and end, one upon the other; and the total."""
    used, promised = figures["used"], view.taken(figures)
    return 0, used, promised, promised + figures["leaked"] + figures["broken"], figures["total"]


def _area(levels: Sequence[Sequence[int] | None], lower: int, most: int) -> str:
    """Each step as a rectangle between two levels; neighbours of the same height are one."""
    parts, start = [], 0
    for place in range(1, len(levels) + 1):
        if place == len(levels) or _pair(levels[place], lower) != _pair(levels[start], lower):
            pair = _pair(levels[start], lower)
            if pair and pair[0] != pair[1]:
                bottom, top = (_y(level, most) for level in pair)
                parts.append(f"M{start} {bottom}V{top}H{place}V{bottom}Z")
            start = place
    return "".join(parts)


def _pair(levels: Sequence[int] | None, lower: int) -> tuple[int, int] | None:
    return None if levels is None else (levels[lower], levels[lower + 1])


def _line(levels: Sequence[Sequence[int] | None], most: int) -> str:
    """The total as a line in steps, broken where nobody counted."""
    parts, before = [], None
    for place, level in enumerate(levels):
        if level is not None:
            y = _y(level[-1], most)
            parts.append(f"M{place} {y}H{place + 1}" if before is None else (f"V{y}" if y != before else "") + f"H{place + 1}")
            before = y
        else:
            before = None
    return "".join(parts)


def _y(level: int, most: int) -> float:
    """From the top, with a little room above."""
    return round(HEIGHT - (HEIGHT - 4) * level / most, 2)


def _said(slots: Sequence[Slot], last: Mapping[str, int] | None) -> str:
    """What can be read off: how it is now, the most and the least."""
    taken = [view.taken(slot.figures) for slot in slots if slot.figures]
    if not taken:
        return "Nobody counted in this time."
    least, most = min(taken), max(taken)
    span = f"never more than {most}" if least == most else f"from {least} to {most} in this time"
    if last is None:
        return f"{span.capitalize()}; nobody counts now."
    lost = last["leaked"] + last["broken"]
    return f"{view.taken(last)} of {last['total']} VFs in use or promised" + (f", {lost} leaked or broken" if lost else "") + f"; {span}"
