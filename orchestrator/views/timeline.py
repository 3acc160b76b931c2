"""The plan of a window, drawn for a terminal: a bar per VM over the hours, and below who is missed and why. Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.text import Text

COLOURS = ("cyan", "magenta", "green", "blue", "yellow", "bright_red")
EIGHTHS = " ▏▎▍▌▋▊▉█"
LONGEST_NAME, ROWS = 24, 300
STEPS = [timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440)]


def drawn(plan: Mapping[str, Any], width: int) -> list[Text]:
    """The lines, at most *width* characters wide."""
    begun = [slot for slot in plan["slots"] if slot["begins"]]
    lines = [Text(in_a_line(plan), style="bold")]
    lines += [Text(f"policy {name} is {why}: left out", style="yellow") for name, why in plan["paused"].items()]
    if begun:
        lines += [Text(), *_chart(plan, begun, width)]
    missed = [slot for slot in plan["slots"] if not slot["begins"]]
    if missed:
        lines += [Text(), Text(f"missed: {len(missed)}", style="bold red")]
        lines += [_missed(slot) for slot in missed[:ROWS]]
        lines += _more(missed)
    return lines


def in_a_line(plan: Mapping[str, Any]) -> str:
    """What comes of it, in one sentence."""
    zone = ZoneInfo(plan["timezone"])
    begins, closes = plan["begins"].astimezone(zone), plan["closes"].astimezone(zone)
    begun = [slot for slot in plan["slots"] if slot["begins"]]
    said = f"{len(begun)} of {len(plan['slots'])} VMs would be saved"
    if begun:
        said += f", the last until {clock(max(slot['ends'] for slot in begun), zone)}"
    return f"window {plan['window']}, pool {plan['pool']}, {begins:%a %Y-%m-%d %H:%M} to {closes:%a %H:%M} ({plan['timezone']}): {said}"


def clock(at: datetime, zone: ZoneInfo) -> str:
    """Hours and minutes of the zone's clock, to the nearest minute."""
    return f"{at.astimezone(zone) + timedelta(seconds=30):%H:%M}"


def ticks(begins: datetime, closes: datetime, zone: ZoneInfo, most: int) -> list[datetime]:
    """The round moments of the zone's clock between the two, at most so many, in UTC."""
    step = next((one for one in STEPS if (closes - begins) / one <= most), STEPS[-1])
    midnight = begins.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight.astimezone(begins.tzinfo) + math.ceil((begins - midnight) / step) * step
    return [first + number * step for number in range(math.floor((closes - first) / step) + 1)] if first <= closes else []


def colour_of(plan: Mapping[str, Any], among: Sequence[str]) -> dict[str, str]:
    """A colour for each policy, in the order in which they come; the last one for all that are left."""
    names = list(dict.fromkeys(slot["policy"] for slot in plan["slots"]))
    return {name: among[min(number, len(among) - 1)] for number, name in enumerate(names)}


def _chart(plan: Mapping[str, Any], begun: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    name = min(LONGEST_NAME, width // 4, max(len(slot["name"]) for slot in begun))
    policy = max(len(slot["policy"]) for slot in begun)
    across = max(10, width - name - policy - len("  00:00-00:00  ") - 2)
    zone, colours = ZoneInfo(plan["timezone"]), colour_of(plan, COLOURS)
    per_cell = (plan["closes"] - plan["begins"]) / across
    marks = {int((at - plan["begins"]) / per_cell): at.astimezone(zone) for at in ticks(plan["begins"], plan["closes"], zone, across // 9)}
    lines = [_axis(marks, name, across)]
    for slot in begun[:ROWS]:
        line = Text(f"{_cut(slot['name'], name):{name}} ")
        line.append_text(_bar(slot, plan["begins"], per_cell, (across, marks), colours[slot["policy"]]))
        times = "-".join(clock(slot[end], zone) for end in ("begins", "ends"))
        line.append(f" {times}  ").append(slot["policy"], style=colours[slot["policy"]])
        lines.append(line)
    return lines + _more(begun)


def _axis(marks: Mapping[int, datetime], name: int, across: int) -> Text:
    cells = [" "] * (across + 6)
    for place, at in marks.items():
        cells[place : place + 5] = f"{at:%H:%M}"
    return Text(" " * (name + 1) + "".join(cells).rstrip(), style="dim")


def _bar(slot: Mapping[str, Any], begins: datetime, per_cell: timedelta, place: tuple[int, Mapping[int, Any]], colour: str) -> Text:
    """From its beginning, by the cell, to its end, by the eighth of a cell: short ones are seen too."""
    across, marks = place
    first = min(across - 1, int((slot["begins"] - begins) / per_cell))
    eighths = max(1, round((slot["ends"] - begins) / per_cell * 8) - first * 8)
    bar = EIGHTHS[8] * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
    bar = bar[: across - first]
    grid = ["┊" if cell in marks else " " for cell in range(across)]
    line = Text("".join(grid[:first]), style="dim")
    return line.append(bar, style=colour).append("".join(grid[first + len(bar) :]), style="dim")


def _missed(slot: Mapping[str, Any]) -> Text:
    line = Text(f"  {slot['name']}", style="red")
    return line.append(f"  {slot['policy']}: {slot['why']} ({minutes(slot['takes'])})", style="default")


def _more(slots: Sequence[Any]) -> list[Text]:
    return [Text(f"... and {len(slots) - ROWS} more (--json and --svg have all of them)", style="dim")] if len(slots) > ROWS else []


def minutes(seconds: float) -> str:
    """How long a backup takes by estimate: rounded as `clock` rounds, and never nothing."""
    whole = max(1, math.floor(seconds / 60 + 0.5))
    return f"about {whole} min" if whole < 120 else f"about {whole // 60} h {whole % 60} min"


def _cut(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
