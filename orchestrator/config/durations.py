"""Durations as people write them: "500ms", "30s", "10m", "12h", "30d", or a number of seconds."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
LONGEST = timedelta(days=36525)
WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def parse(value: Any) -> timedelta:
    """The duration that was written; ValueError when it is not one, is negative, or longer than a hundred years."""
    try:
        found = _parsed(value)
    except OverflowError:
        found = timedelta.max
    if found > LONGEST:
        raise ValueError("it is too long")
    return found


def _parsed(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return timedelta(seconds=value)
    match = WRITTEN.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError('write a duration such as "30s", "10m", "12h" or "30d"')
    return float(match[1]) * UNITS[match[2]]


def written(duration: timedelta) -> str:
    """As people write it, in the largest unit that leaves no rest: "8h", "90m"."""
    return next(
        f"{duration // one}{unit}"
        for unit, one in [*reversed(UNITS.items()), ("us", timedelta.resolution)]
        if duration % one == timedelta()
    )


Duration = Annotated[timedelta, BeforeValidator(parse)]
