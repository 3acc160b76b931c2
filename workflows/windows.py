"""When something may be done: windows that a schedule opens and a duration closes. The only user of cronsim."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


@dataclass(frozen=True, slots=True)
class Window:
    """Opens at every moment of *schedule* (cron: minute hour day month weekday, in *timezone*) and is open for *duration*.

    The moments are those of a wall clock in the zone, the duration is real time: a window of eight hours is eight hours long also in the
    night in which the clocks change. A moment that the change skips comes when it would have; one that it repeats comes once.
    """

    schedule: str
    duration: timedelta
    timezone: str = "UTC"

    def closes(self, now: datetime) -> datetime | None:
        """The end of the window that is open now, in UTC; None when none is. Windows that overlap are open until the last one ends."""
        started = next(self._moments(now + timedelta(seconds=1), reverse=True), None)
        if started is None or started > now or started + self.duration <= now:
            return None
        return started + self.duration

    def opens(self, now: datetime) -> datetime | None:
        """When it opens next, in UTC: after *now*, also when it is open now; None: never again."""
        return next((moment for moment in self._moments(now, reverse=False) if moment > now), None)

    def _moments(self, since: datetime, *, reverse: bool) -> "_Moments":
        return _Moments(CronSim(self.schedule, since.astimezone(ZoneInfo(self.timezone)), reverse=reverse))


class _Moments:
    """What CronSim gives, in UTC."""

    def __init__(self, cron: CronSim) -> None:
        self._cron = cron

    def __iter__(self) -> "_Moments":
        return self

    def __next__(self) -> datetime:
        return next(self._cron).astimezone(UTC)


def problem_of(schedule: str) -> str | None:
    """What is wrong with a schedule as it is written, for the person who wrote it; None when it can be used."""
    if len(schedule.split()) != 5:
        return 'write minute, hour, day, month and weekday, such as "0 22 * * 1-5"'
    try:
        moment = next(CronSim(schedule, datetime(2026, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        return f"{str(error).lower()} in {schedule!r}"
    return None if moment else f"{schedule!r} never comes"


@dataclass(frozen=True, slots=True)
class Opening:
    """How some windows stand at a moment: the name of the one that is open longest and until when, or when the next one opens."""

    name: str
    closes: datetime | None
    opens: datetime | None

    def lasts(self, now: datetime, takes: timedelta) -> bool:
        """Whether what *takes* so long ends before the window does, begun now."""
        return self.closes is not None and now + takes <= self.closes


def look(windows: Mapping[str, Window], now: datetime) -> Opening:
    """How the windows stand now. *opens*: when the next one opens, whichever it is; None when none ever does."""
    closing = {name: end for name, window in windows.items() if (end := window.closes(now)) is not None}
    coming = [moment for window in windows.values() if (moment := window.opens(now)) is not None]
    name = max(closing, key=lambda one: closing[one], default="")
    return Opening(name, closing.get(name), min(coming, default=None))
