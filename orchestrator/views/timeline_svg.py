"""The plan of a window as a picture (SVG 1.1, nothing outside of it is needed). Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.views import timeline

WIDTH, LEFT, RIGHT, TOP = 1200, 200, 130, 178
ROW, BAR = 24, 14
CURVE_TOP, CURVE = 92, 58
MISSED_ROW = 22
FEW = 12  # columns of hours
COLOURS = ("#2563eb", "#0d9488", "#9333ea", "#d97706", "#be185d", "#475569")
STYLE = """
text { font-family: Inter, "Segoe UI", "Helvetica Neue", Arial, sans-serif; font-size: 12px; fill: #1e293b }
.title { font-size: 20px; font-weight: 600 } .soft { fill: #64748b } .end { text-anchor: end } .middle { text-anchor: middle }
.grid { stroke: #e2e8f0; stroke-width: 1 } .edge { stroke: #94a3b8; stroke-width: 1 }
.curve { fill: #dbeafe; stroke: #3b82f6; stroke-width: 1.5 }
.head { font-weight: 600 } .bad { fill: #b91c1c } .stripe { fill: #f8fafc }
"""


def picture(plan: Mapping[str, Any]) -> str:
    """The whole picture."""
    begun = [slot for slot in plan["slots"] if slot["begins"]]
    missed = [slot for slot in plan["slots"] if not slot["begins"]]
    below = TOP + len(begun) * ROW + 30
    height = below + (len(missed) * MISSED_ROW + 50 if missed else 0)
    colours = timeline.colour_of(plan, COLOURS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(timeline.in_a_line(plan))}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_heading(plan, begun, missed),
        *_legend(colours),
        *_stripes(len(begun)),
        *_hours(plan, TOP + len(begun) * ROW),
        *_curve(plan, begun),
        *(line for number, slot in enumerate(begun) for line in _bar(plan, slot, TOP + number * ROW, colours[slot["policy"]])),
        *_missed(missed, below),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _heading(plan: Mapping[str, Any], begun: Sequence[Any], missed: Sequence[Any]) -> list[str]:
    zone = ZoneInfo(plan["timezone"])
    begins, closes = plan["begins"].astimezone(zone), plan["closes"].astimezone(zone)
    when = f"{begins:%A, %d %B %Y, %H:%M} to {closes:%A, %H:%M} ({plan['timezone']})"
    paused = "".join(f"; policy {name} is {why}" for name, why in plan["paused"].items())
    counted = f"{len(begun)} VMs are saved" + (f", {len(missed)} are missed" if missed else ", nobody is missed")
    tone = ' class="bad"' if missed else ' class="soft"'
    return [
        f'<text x="24" y="38" class="title">Window {escape(plan["window"])}, pool {escape(plan["pool"])}</text>',
        f'<text x="24" y="60" class="soft">{escape(when)} · <tspan{tone}>{escape(counted + paused)}</tspan></text>',
    ]


def _legend(colours: Mapping[str, str]) -> list[str]:
    """The policies, from the right edge."""
    parts, x = [], WIDTH - 24.0
    for name, colour in reversed(list(colours.items())):
        parts.append(f'<text x="{x:.0f}" y="38" class="end">{escape(name)}</text>')
        x -= 7.4 * len(name) + 22
        parts.append(f'<rect x="{x:.0f}" y="28" width="12" height="12" rx="3" fill="{colour}"/>')
        x -= 18
    return parts


def _stripes(rows: int) -> list[str]:
    return [f'<rect x="24" y="{TOP + number * ROW}" width="{WIDTH - 48}" height="{ROW}" class="stripe"/>' for number in range(1, rows, 2)]


def _hours(plan: Mapping[str, Any], bottom: int) -> list[str]:
    zone, parts = ZoneInfo(plan["timezone"]), []
    for at in timeline.ticks(plan["begins"], plan["closes"], zone, FEW):
        x = _x(plan, at)
        parts.append(f'<line x1="{x:.1f}" y1="{CURVE_TOP}" x2="{x:.1f}" y2="{bottom}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 8}" class="soft middle">{at.astimezone(zone):%H:%M}</text>')
    edges = [_x(plan, at) for at in (plan["begins"], plan["closes"])]
    return parts + [f'<line x1="{x:.1f}" y1="{CURVE_TOP}" x2="{x:.1f}" y2="{bottom}" class="edge"/>' for x in edges]


def _curve(plan: Mapping[str, Any], begun: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many are at work at the same time."""
    changes = sorted([(slot["begins"], 1) for slot in begun] + [(slot["ends"], -1) for slot in begun], key=lambda pair: pair)
    steps: list[tuple[datetime, int]] = []
    for at, change in changes:
        before = steps[-1][1] if steps else 0
        if steps and steps[-1][0] == at:
            steps[-1] = (at, before + change)
        else:
            steps.append((at, before + change))
    most = max((count for _, count in steps), default=0)
    if not most:
        return []
    base, points = CURVE_TOP + CURVE, [f"{_x(plan, plan['begins']):.1f},{CURVE_TOP + CURVE}"]
    last = 0
    for at, count in steps:
        points += [f"{_x(plan, at):.1f},{base - CURVE * last / most:.1f}", f"{_x(plan, at):.1f},{base - CURVE * count / most:.1f}"]
        last = count
    return [
        f'<polygon points="{" ".join(points)}" class="curve"/>',
        f'<text x="{LEFT - 12}" y="{CURVE_TOP + 10}" class="end">{most} at work</text>',
        f'<text x="{LEFT - 12}" y="{CURVE_TOP + 26}" class="end soft">at most</text>',
    ]


def _bar(plan: Mapping[str, Any], slot: Mapping[str, Any], y: int, colour: str) -> list[str]:
    zone = ZoneInfo(plan["timezone"])
    begins, ends = _x(plan, slot["begins"]), _x(plan, slot["ends"])
    times = "-".join(timeline.clock(slot[end], zone) for end in ("begins", "ends"))
    middle, name = y + ROW / 2 + 4, slot["name"] if len(slot["name"]) <= 26 else slot["name"][:25] + "…"
    size = f'width="{max(3.0, ends - begins):.1f}" height="{BAR}"'
    told = f"{slot['name']}, policy {slot['policy']}, {times}, {timeline.minutes(slot['takes'])}"
    at = f'x="{begins:.1f}" y="{y + (ROW - BAR) / 2:.0f}"'
    bar = f'<rect {at} {size} rx="4" fill="{colour}"><title>{escape(told)}</title></rect>'
    return [
        f'<text x="{LEFT - 12}" y="{middle:.0f}" class="end">{escape(name)}</text>',
        bar,
        f'<text x="{WIDTH - 24}" y="{middle:.0f}" class="end soft">{times}</text>',
    ]


def _missed(missed: Sequence[Mapping[str, Any]], y: int) -> list[str]:
    if not missed:
        return []
    parts = [f'<text x="24" y="{y + 10}" class="head bad">Missed: {len(missed)}</text>']
    for number, slot in enumerate(missed):
        at = y + 34 + number * MISSED_ROW
        why = f"{slot['policy']}: {slot['why']} ({timeline.minutes(slot['takes'])})"
        parts.append(f'<circle cx="30" cy="{at - 4}" r="3" class="bad"/><text x="42" y="{at}">{escape(slot["name"])}</text>')
        parts.append(f'<text x="{LEFT + 60}" y="{at}" class="soft">{escape(why)}</text>')
    return parts


def _x(plan: Mapping[str, Any], at: datetime) -> float:
    share: float = (at - plan["begins"]) / (plan["closes"] - plan["begins"])
    return LEFT + share * (WIDTH - LEFT - RIGHT)
