"""How long something takes, as people write it in a plugin's table: "500ms", "30s", "10m", "12h", or a number of seconds."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def parse(value: Any) -> timedelta:
    """The span that was written; ValueError when it is none, or not longer than nothing."""
    found = WRITTEN.fullmatch(value.strip()) if isinstance(value, str) else None
    seconds = float(found[1]) * SECONDS[found[2]] if found else value
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e9:
        raise ValueError('write how long, such as "30s", "10m" or "12h"')
    return timedelta(seconds=seconds)


Span = Annotated[timedelta, BeforeValidator(parse)]
