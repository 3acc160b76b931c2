"""Durations as people say them."""

from datetime import timedelta


def spoken(span: timedelta) -> str:
    """As short as it can be read: "0.4 s", "37 s", "12:05 min", "3:20 h", "2 d 4 h"."""
    seconds = max(0.0, span.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if not minutes:
        return f"{rest} s"
    if not hours:
        return f"{minutes}:{rest:02} min"
    return f"{hours}:{minutes_of_hour:02} h" if hours < 24 else f"{hours // 24} d {hours % 24} h"
