"""`[maintenance.NAME]` and `[windows.NAME]`: when hosts may reboot, and when backups may begin."""

import zoneinfo
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from orchestrator.config.durations import Duration
from orchestrator.config.section import Section
from workflows import windows
from workflows.policies import BackupWindow, Limits
from workflows.windows import Window

DAYS = 'write days such as "2026-12-24", or "2026-12-24..2027-01-01"'
LONGEST_BLACKOUT = 366
AtMost = Annotated[int, Field(ge=0)] | Literal["none"]


def _schedule(value: str) -> str:
    problem = windows.problem_of(value)
    if problem:
        raise ValueError(problem)
    return value


def _timezone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError('write a time zone such as "Europe/Berlin"') from None
    return value


TimeZone = Annotated[str, AfterValidator(_timezone)]


def _longer_than_nothing(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("it must be longer than nothing")
    return value


def _blackouts(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError(DAYS)  # noqa: TRY004 - pydantic's word
    return frozenset(day for written in value for day in _days(written))


def _days(written: object) -> Iterator[date]:
    """The days from the first to the last, both included."""
    first, _, last = str(written).partition("..")
    try:
        begins, ends = date.fromisoformat(first.strip()), date.fromisoformat((last or first).strip())
    except ValueError:
        raise ValueError(f"{written!s}: {DAYS}") from None
    if not timedelta() <= ends - begins <= timedelta(days=LONGEST_BLACKOUT):
        raise ValueError(f"{written!s}: the last day comes after the first, at most a year later")
    return (begins + timedelta(days=number) for number in range((ends - begins).days + 1))


class Opens(Section):
    """What opens at the moments of a schedule."""

    schedule: Annotated[str, AfterValidator(_schedule)]
    """When it opens: minute, hour, day, month, weekday, as cron writes them; or an RRULE: "RRULE:FREQ=DAILY;BYHOUR=22;BYMINUTE=0"."""
    duration: Annotated[Duration, AfterValidator(_longer_than_nothing)]
    """How long it is open, in real time, also when the clocks change meanwhile."""
    timezone: TimeZone = "UTC"
    """Whose clock the schedule and the blackouts mean."""
    blackouts: Annotated[frozenset[date], BeforeValidator(_blackouts)] = frozenset()
    """Days on which it does not open: "2026-12-24", or "2026-12-24..2027-01-01"."""

    def window(self) -> Window:
        """As the steps are given it."""
        return Window(self.schedule, self.duration, self.timezone, self.blackouts)


class Maintenance(Opens):
    """`[maintenance.NAME]`: a window in which hosts may reboot."""


class AtOnce(Section):
    """`limits`: how many VMs may be at work at the same time; 0: none at all; "none": no limit."""

    pool: AtMost = 4
    """In a pool."""
    host: AtMost = 2
    """Of those that run on a host."""
    sr: AtMost = 2
    """Of those with disks on an SR."""
    port: AtMost = 1
    """Of those that hold VFs of a port."""

    def limits(self) -> Limits:
        """As the steps are given it."""
        return Limits(**{name: None if value == "none" else value for name, value in dict(self).items()})


class BackupWindows(Opens):
    """`[windows.NAME]`: a window in which backups may begin."""

    catch_up: Literal["skip", "run-once", "if-time-left"] = "if-time-left"
    """What becomes of an opening that nobody was there for: nothing; it is made up for, whole; what is left of it is used."""
    limits: AtOnce = AtOnce()

    def backup_window(self, name: str) -> BackupWindow:
        """As the steps are given it."""
        return BackupWindow(name, self.window(), self.catch_up, self.limits.limits())
