"""An opening that is being kept, as bars over its hours: one for each VM, the moment that is now, and the window's end. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.views import kept as view
from orchestrator.views import timeline

MOST = 200  # turns that are drawn: what was well and is over is left out first
KINDS = {view.AT_WORK: "work", view.WAITS: "wait", "saved": "done", "skipped": "skip"}
TONES = {view.AT_WORK: "accent", view.WAITS: "plan", "saved": "good", "skipped": "", view.MISSED: "warn", "late": "warn"}
LEAST = 0.6  # of 100: a bar that is seen
TICKS = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a bar; *x* and *width* of 100."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One VM. *said*: what is known of it now; *until*: by estimate, unless it is over. *pieces*: its bar, one after the other."""

    name: str
    policy: str
    status: str
    tone: str
    said: str
    begins: datetime | None
    until: datetime | None
    href: str
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Night:
    """An opening in one pool. *now* and *end*: of 100, where the moment is and where the window closes; *ticks*: hours and their places."""

    pool: str
    timezone: str
    run: str
    opens: datetime
    closes: datetime
    said: str
    is_late: bool
    counts: Sequence[tuple[str, str, int]]
    turns: Sequence[Turn]
    before: int
    after: int
    now: float
    end: float
    ticks: Sequence[tuple[str, float]]


def night(kept: Mapping[str, Any], timezone: str) -> Night:
    """What `views.kept` says, as bars."""
    opens, now, closes = kept["opens"], kept["now"], kept["closes"] or kept["now"]
    last = max([closes, now, *(turn["ends"] for turn in kept["turns"] if turn["status"] == view.AT_WORK)])
    scale = _Scale(opens, max(last - opens, timedelta(minutes=1)))
    turns, before, after = _some(kept["turns"])
    zone = ZoneInfo(timezone)
    ticks = [(timeline.clock(at, zone), scale.at(at)) for at in timeline.ticks(opens, last, zone, TICKS)]
    return Night(kept["pool"], timezone, str(kept["run"]), opens, closes, kept["said"], closes < now, _counts(kept["counts"]),
                 [_turn(turn, scale, now) for turn in turns], before, after, scale.at(now), scale.at(closes), ticks)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scale:
    begins: datetime
    lasts: timedelta

    def at(self, moment: datetime) -> float:
        """Where it is, of 100."""
        return round(min(100.0, max(0.0, 100 * ((moment - self.begins) / self.lasts))), 3)

    def piece(self, kind: str, begins: datetime, ends: datetime) -> Piece:
        """Seen however short it is, and not beyond the end."""
        x = min(self.at(begins), 100 - LEAST)
        return Piece(kind, round(x, 3), round(max(self.at(ends) - x, LEAST), 3))


def _some(turns: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int, int]:
    """Those that are drawn, how many that were well before are not, and how many after them."""
    over = max(0, len(turns) - MOST)
    well = [place for place, turn in enumerate(turns) if turn["status"] in ("saved", "skipped")][:over]
    left = set(well)
    rest = [turn for place, turn in enumerate(turns) if place not in left]
    return rest[:MOST], len(well), max(0, len(rest) - MOST)


def _turn(turn: Mapping[str, Any], scale: _Scale, now: datetime) -> Turn:
    status = turn["status"]
    pieces: list[Piece] = []
    if status == view.AT_WORK:
        pieces = [scale.piece("work", turn["begins"], now)]
        if turn["ends"] > now:
            pieces.append(scale.piece("rest", now, turn["ends"]))
    elif turn["begins"]:
        pieces = [scale.piece(KINDS.get(status, "amiss"), turn["begins"], turn["ends"])]
    href = f"/runs/{turn['run']}" if turn["run"] else f"/vms/{turn['vm']}"
    return Turn(turn["name"], turn["policy"], status, TONES.get(status, "bad"), _said(turn), turn["begins"], turn["ends"], href, pieces)


def _said(turn: Mapping[str, Any]) -> str:
    """What is known of it beside its status; how far its job is comes first."""
    again = f"try {turn['tries']}" if turn["tries"] > 1 else ""
    far = f"{turn['fraction']:.0%} done" if turn["fraction"] is not None else ""
    said = "" if far and turn["said"].startswith("the product is at work") else turn["said"]
    too_late = "there is no time for it before the end, by estimate" if turn["status"] == view.MISSED else ""
    return "; ".join(part for part in (far, said, again, too_late) if part)


def _counts(counts: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """What there is of each, in words, with its colour."""
    words = {"saved": "good", "at_work": "accent", "waiting": "plan", "skipped": "", "refused": "bad", "failed": "bad", "missed": "bad"}
    return [(name.replace("_", " "), tone, counts[name]) for name, tone in words.items() if counts.get(name)]
