"""Which restore points of a VM a policy keeps no longer. Pure."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, tzinfo

from plugins.values import RestorePoint
from workflows.policies import Keep

Period = Callable[[datetime], object]
PERIODS: tuple[tuple[str, Period], ...] = (
    ("daily", lambda moment: moment.date()),
    ("weekly", lambda moment: moment.isocalendar()[:2]),
    ("monthly", lambda moment: (moment.year, moment.month)),
    ("yearly", lambda moment: moment.year),
)


def of(points: Iterable[RestorePoint], *, pool: str, vm: str, policy: str) -> tuple[RestorePoint, ...]:
    """Those of one VM by one policy: what another policy made is that one's to keep."""
    return tuple(point for point in points if (point.pool, point.vm, point.policy) == (pool, vm, policy))


def outlived(points: Sequence[RestorePoint], keep: Keep, zone: tzinfo) -> tuple[RestorePoint, ...]:
    """Of the restore points of one VM by one policy those that no rule keeps, oldest first; never the newest one.

    Each rule by itself keeps the newest point of each of the latest periods (by the calendar of *zone*) that have one: days on which
    nothing was saved cost nothing. A policy without any rule keeps everything.
    """
    if keep == Keep():
        return ()
    newest_first = sorted(points, key=lambda point: (point.taken_at, point.id), reverse=True)
    kept = {point.id for point in newest_first[: max(1, keep.last)]}
    for rule, period in PERIODS:
        kept |= _kept(newest_first, getattr(keep, rule), period, zone)
    return tuple(point for point in reversed(newest_first) if point.id not in kept)


def _kept(newest_first: Sequence[RestorePoint], number: int, period: Period, zone: tzinfo) -> set[str]:
    """The newest point of each of the latest *number* periods."""
    found: dict[object, str] = {}
    for point in newest_first:
        found.setdefault(period(point.taken_at.astimezone(zone)), point.id)
    return set(list(found.values())[:number])
