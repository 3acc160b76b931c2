"""The moments of a schedule, written as cron or as an RRULE (RFC 5545), by the clocks of a time zone: only here cronsim and dateutil.

A moment that a change of the clocks skips comes when it would have come; one that it repeats comes once, the first time.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from dateutil.rrule import rrule, rruleset, rrulestr

RULE = re.compile(r"(?:DTSTART:(?P<start>\d{8}T\d{6})\s+)?RRULE:(?P<rule>\S+)", re.IGNORECASE)
EPOCH = datetime(2026, 1, 1)  # noqa: DTZ001 - a wall clock's, like all moments of a rule
TOO_OFTEN = re.compile(r"FREQ=(HOURLY|MINUTELY|SECONDLY)", re.IGNORECASE)
SKIPPED_AT_MOST = timedelta(hours=3)  # no zone's clocks change by more
AT_FIRST = timedelta(days=40)  # a rule counts from its beginning each time it is asked: it is asked for months, then for years


def after(schedule: str, timezone: str, moment: datetime) -> Iterator[datetime]:
    """The moments later than *moment*, in UTC, one after the other; ends when there are no more."""
    zone = ZoneInfo(timezone)
    if (rule := RULE.fullmatch(schedule.strip())) is None:
        return (found for one in CronSim(schedule, moment.astimezone(zone)) if (found := one.astimezone(UTC)) > moment)
    since = (moment.astimezone(zone) - SKIPPED_AT_MOST).replace(tzinfo=None)
    return (found for one in _rule(rule).xafter(since) if (found := _utc(one, zone)) > moment)


def last(schedule: str, timezone: str, moment: datetime) -> Iterator[datetime]:
    """The moments up to *moment* itself, in UTC, the latest first; ends when there are no more."""
    zone = ZoneInfo(timezone)
    if (rule := RULE.fullmatch(schedule.strip())) is None:
        since = (moment + timedelta(seconds=1)).astimezone(zone)
        return (found for one in CronSim(schedule, since, reverse=True) if (found := one.astimezone(UTC)) <= moment)
    return (found for one in _before(_rule(rule), moment.astimezone(zone)) if (found := _utc(one, zone)) <= moment)


def problem_of(schedule: str) -> str | None:
    """What is wrong with a schedule as it is written, for the person who wrote it; None when it can be used."""
    text = schedule.strip()
    try:
        if (rule := RULE.fullmatch(text)) is None:
            if len(text.split()) != 5 or "RRULE" in text.upper():
                return 'write minute, hour, day, month and weekday, such as "0 22 * * 1-5", or "RRULE:FREQ=DAILY;BYHOUR=22;BYMINUTE=0"'
            comes = next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)), None) is not None
        elif TOO_OFTEN.search(text):
            return f"{schedule!r} comes too often: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY, with BYHOUR and BYMINUTE"
        elif "INTERVAL=" in text.upper() and not rule["start"]:
            return f'{schedule!r}: INTERVAL counts from a day: write "DTSTART:20260105T220000 RRULE:..."'
        else:
            comes = next(iter(_rule(rule)), None) is not None
    except (CronSimError, ValueError) as error:
        return f"{str(error).lower()} in {schedule!r}"
    return None if comes else f"{schedule!r} never comes"


def _rule(match: "re.Match[str]") -> rrule | rruleset:
    start = datetime.strptime(match["start"], "%Y%m%dT%H%M%S") if match["start"] else EPOCH  # noqa: DTZ007 - a wall clock's
    return rrulestr(f"RRULE:{match['rule'].upper()}", dtstart=start)


def _before(rule: rrule | rruleset, moment: datetime) -> Iterator[datetime]:
    """The rule's moments up to the wall clock's *moment* and a little more (clocks change), the latest first."""
    latest, span, first = moment.replace(tzinfo=None) + SKIPPED_AT_MOST, AT_FIRST, next(iter(rule), None)
    while first is not None and latest >= first:
        yield from reversed(rule.between(latest - span, latest, inc=True))
        latest, span = latest - span - timedelta(seconds=1), min(2 * span, latest - datetime.min)  # noqa: DTZ901 - a wall clock's


def _utc(wall: datetime, zone: ZoneInfo) -> datetime:
    return wall.replace(tzinfo=zone).astimezone(UTC)
