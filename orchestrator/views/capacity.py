"""How full the pools were, as a row of equal times of which each has the numbers of its fullest moment. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from state.capacity import LASTS

NUMBERS = ("total", "used", "free", "promised", "leaked", "broken")
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Slot:
    """A time from *begins* to *ends*. *figures*: its numbers when most VFs were used or promised; None: nobody counted in it."""

    begins: datetime
    ends: datetime
    figures: Mapping[str, int] | None


def networks(rows: Iterable[Mapping[str, Any]]) -> dict[Key, str]:
    """The networks (pool and uuid) that had ports, each with its last name, by pool and name."""
    found = {(row["pool"], row["network"]): row["name"] or row["network"] for row in rows if row["ports"]}
    return dict(sorted(found.items(), key=lambda pair: (pair[0][0], pair[1].lower(), pair[0])))


def slots(rows: Sequence[Mapping[str, Any]], begins: datetime, ends: datetime, count: int) -> list[Slot]:
    """The samples of some networks, in the order of time, as so many times; those from `LASTS` before *begins* are to be among them."""
    step, known, number, found = (ends - begins) / count, dict[Key, Mapping[str, Any]](), 0, []
    while number < len(rows) and rows[number]["at"] <= begins:
        known[_key(rows[number])] = rows[number]
        number += 1
    for place in range(count):
        begin, end = begins + place * step, begins + (place + 1) * step
        fullest = _sum(known, begin)
        while number < len(rows) and rows[number]["at"] < end:
            known[_key(rows[number])] = rows[number]
            at, number = rows[number]["at"], number + 1
            if number == len(rows) or rows[number]["at"] != at:
                fullest = _fuller(fullest, _sum(known, at))
        found.append(Slot(begin, end, fullest))
    return found


def at(rows: Iterable[Mapping[str, Any]], moment: datetime) -> dict[str, int] | None:
    """The numbers at that moment by the samples until then; None: nobody had counted for longer than a sample lasts."""
    return _sum({_key(row): row for row in rows}, moment)


def _key(row: Mapping[str, Any]) -> Key:
    return row["pool"], row["network"]


def _sum(known: Mapping[Key, Mapping[str, Any]], at: datetime) -> dict[str, int] | None:
    """Of all networks together at that moment; None where nobody had counted for longer than a sample lasts."""
    fresh = [row for row in known.values() if at - row["at"] <= LASTS]
    return {name: sum(row[name] for row in fresh) for name in NUMBERS} if fresh else None


def _fuller(one: dict[str, int] | None, other: dict[str, int] | None) -> dict[str, int] | None:
    if one is None or other is None:
        return one or other
    return other if taken(other) >= taken(one) else one


def taken(figures: Mapping[str, int]) -> int:
    """How many VFs are in use or promised."""
    return figures["used"] + figures["promised"]


def tabled(
    rows: Sequence[Mapping[str, Any]], begins: datetime, ends: datetime, count: int, wanted: Callable[[Key], bool] = lambda _: True
) -> list[dict[str, Any]]:
    """A row for each network and time in which somebody counted, oldest first."""
    found = []
    for key, name in networks(rows).items():
        if wanted(key):
            mine = slots([row for row in rows if _key(row) == key], begins, ends, count)
            found += [{"at": slot.begins, "pool": key[0], "network": key[1], "name": name, **slot.figures} for slot in mine if slot.figures]
    return sorted(found, key=lambda row: (row["at"], row["pool"], row["name"]))


def span(length: timedelta) -> str:
    """A length of time in words: "7 days", "6 hours", "30 minutes"."""
    units = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))
    unit, one = next(((unit, one) for unit, one in units if length >= one and not length % one), units[-1])
    count = max(1, round(length / one))
    return f"{count} {unit}{'' if count == 1 else 's'}"
