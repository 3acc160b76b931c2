"""The nights: how an opening of a window would go, as bars. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

TONES = {"saved": "good", "skipped": "", "waiting": "plan", "late": "warn"}
MOST = 200  # bars of one picture: what comes after them is counted


@dataclass(frozen=True, slots=True)
class Bar:
    """One VM's turn; *x* and *width* of 100."""

    name: str
    policy: str
    begins: datetime
    ends: datetime
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Night:
    """An opening in one pool. *missed*: VMs for which there is no time, with the reason; *more*: bars that are not drawn."""

    pool: str
    begins: datetime
    closes: datetime
    bars: Sequence[Bar]
    more: int
    missed: Sequence[Mapping[str, Any]]
    paused: Mapping[str, str]


def night(plan: Mapping[str, Any]) -> Night:
    """What `views.windows.plan` says, as bars."""
    whole = (plan["closes"] - plan["begins"]).total_seconds()
    slots = [slot for slot in plan["slots"] if slot["begins"]]
    bars = [_bar(slot, plan["begins"], whole) for slot in slots[:MOST]]
    missed = [slot for slot in plan["slots"] if not slot["begins"]]
    return Night(plan["pool"], plan["begins"], plan["closes"], bars, max(0, len(slots) - MOST), missed, plan["paused"])


def _bar(slot: Mapping[str, Any], begins: datetime, whole: float) -> Bar:
    x = 100 * (slot["begins"] - begins).total_seconds() / whole
    width = 100 * (slot["ends"] - slot["begins"]).total_seconds() / whole
    return Bar(slot["name"], slot["policy"], slot["begins"], slot["ends"], round(x, 3), round(max(width, 0.4), 3))


def tone(status: str) -> str:
    """A colour for what became of a backup."""
    return TONES.get(status, "bad")


def retention(kept: Mapping[str, int]) -> str:
    """What is kept, in words."""
    return ", ".join(f"{count} {name}" for name, count in kept.items()) or "as the product keeps it"
