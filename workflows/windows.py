"""When something may be done: windows that a schedule opens and a duration closes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from workflows import schedules

problem_of = schedules.problem_of


@dataclass(frozen=True, slots=True)
class Window:
    """Opens at every moment of *schedule* (see `workflows.schedules`; by the clocks of *timezone*) and is open for *duration*.

    The moments are those of a wall clock in the zone, the duration is real time: a window of eight hours is eight hours long also in the
    night in which the clocks change. It does not open on the days of *blackouts*, which are the zone's.
    """

    schedule: str
    duration: timedelta
    timezone: str = "UTC"
    blackouts: frozenset[date] = frozenset()

    @property
    def moments(self) -> str:
        """What says when it opens, as one text: another one means other moments."""
        return f"{self.schedule} {self.timezone}"

    def closes(self, now: datetime) -> datetime | None:
        """The end of the window that is open now, in UTC; None when none is. Windows that overlap are open until the last one ends."""
        opened = self.opened(now)
        return None if opened is None else opened + self.duration

    def opened(self, now: datetime) -> datetime | None:
        """When the window that is open now opened, the latest one where several overlap; None when none is."""
        for moment in schedules.last(self.schedule, self.timezone, now):
            if moment + self.duration <= now:
                return None
            if not self._blacked_out(moment):
                return moment
        return None

    def opens(self, now: datetime) -> datetime | None:
        """When it opens next, in UTC: after *now*, also when it is open now; None: never again."""
        return next(self.openings(now), None)

    def openings(self, since: datetime) -> Iterator[datetime]:
        """When it opens after *since*, one moment after the other, in UTC; it ends when there are no more (or blackouts for four years)."""
        skipped_since = since
        for moment in schedules.after(self.schedule, self.timezone, since):
            if not self._blacked_out(moment):
                skipped_since = moment
                yield moment
            elif moment - skipped_since > timedelta(days=4 * 366):
                return

    def openings_before(self, until: datetime, since: datetime) -> Iterator[datetime]:
        """When it opened, up to *until* itself and after *since*, the latest first, in UTC."""
        for moment in schedules.last(self.schedule, self.timezone, until):
            if moment <= since:
                return
            if not self._blacked_out(moment):
                yield moment

    def _blacked_out(self, moment: datetime) -> bool:
        return bool(self.blackouts) and moment.astimezone(ZoneInfo(self.timezone)).date() in self.blackouts


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
