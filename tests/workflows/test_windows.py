import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows import windows
from workflows.windows import Window

NIGHT = Window("0 22 * * 1-5", timedelta(hours=8), "Europe/Berlin")


def utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type,misc]


def test_a_window_is_open_from_its_moment_for_its_duration() -> None:
    """Open at the very moment it begins, shut at the very moment it ends."""
    assert NIGHT.closes(utc(2026, 11, 23, 20, 59, 59)) is None
    assert NIGHT.closes(utc(2026, 11, 23, 21)) == utc(2026, 11, 24, 5)
    assert NIGHT.closes(utc(2026, 11, 24, 4, 59, 59)) == utc(2026, 11, 24, 5)
    assert NIGHT.closes(utc(2026, 11, 24, 5)) is None


def test_a_window_says_when_it_opens_next() -> None:
    """On Saturday the next one of a window of weekdays is Monday's; while one is open it is the one after it."""
    assert NIGHT.opens(utc(2026, 11, 28, 12)) == utc(2026, 11, 30, 21)
    assert NIGHT.opens(utc(2026, 11, 23, 23)) == utc(2026, 11, 24, 21)


@pytest.mark.parametrize(("year", "month", "day"), [(2026, 3, 28), (2026, 10, 24)])
def test_a_window_over_a_change_of_the_clocks_is_as_long_as_any_other(year: int, month: int, day: int) -> None:
    """Eight hours are eight hours in both nights in which the clocks change (story 60)."""
    window = Window("0 22 * * *", timedelta(hours=8), "Europe/Berlin")
    opened = window.opens(utc(year, month, day, 12))
    assert opened is not None
    assert window.closes(opened) == opened + timedelta(hours=8)


def test_a_moment_that_comes_twice_opens_one_window() -> None:
    """At 02:30 in the night in October that has it twice, the window opens once (story 60)."""
    window = Window("30 2 * * *", timedelta(minutes=30), "Europe/Berlin")
    first = window.opens(utc(2026, 10, 24, 22))
    assert first == utc(2026, 10, 25, 0, 30)
    assert window.opens(first) == utc(2026, 10, 26, 1, 30)
    assert window.closes(utc(2026, 10, 25, 1, 35)) is None


def test_a_moment_that_is_skipped_opens_its_window_nevertheless() -> None:
    """At 02:30 in the night in March that lacks it, the window opens when that moment would have been (story 60)."""
    window = Window("30 2 * * *", timedelta(minutes=30), "Europe/Berlin")
    opened = window.opens(utc(2026, 3, 28, 22))
    assert opened is not None
    assert utc(2026, 3, 29, 1) <= opened <= utc(2026, 3, 29, 1, 30)
    assert window.closes(opened) == opened + timedelta(minutes=30)


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone comes with it
    st.sampled_from(["0 22 * * *", "30 2 * * *", "*/15 * * * *", "0 3 * * 6#1", "15 1-4 * * *"]),
    st.integers(1, 26 * 60),
)
def test_open_is_what_the_openings_say(now: datetime, schedule: str, minutes: int) -> None:
    """Looking back from any moment finds the window that the moments before it, one after the other, would have opened."""
    window = Window(schedule, timedelta(minutes=minutes), "Europe/Berlin")
    opened, last = window.opens(now - window.duration - timedelta(days=1)), None
    while opened is not None and opened <= now:
        last, opened = opened, window.opens(opened)
    expected = last + window.duration if last is not None and now < last + window.duration else None
    assert window.closes(now) == expected


def test_a_schedule_that_cannot_be_used_is_told() -> None:
    """Words that are no cron, and days that never come."""
    assert windows.problem_of("0 22 * * 1-5") is None
    assert str(windows.problem_of("at night")).startswith('write minute, hour, day, month and weekday, such as "0 22 * * 1-5"')
    assert windows.problem_of("61 * * * *") == "bad minute in '61 * * * *'"
    assert windows.problem_of("0 0 30 2 *") is not None


def test_of_several_windows_the_one_that_is_open_longest_counts() -> None:
    """And the next opening is the first of any."""
    both = {"short": Window("0 1 * * *", timedelta(hours=1)), "long": Window("0 0 * * *", timedelta(hours=4))}
    seen = windows.look(both, utc(2026, 1, 1, 1, 30))
    assert (seen.name, seen.closes, seen.opens) == ("long", utc(2026, 1, 1, 4), utc(2026, 1, 2, 0))
    assert seen.lasts(utc(2026, 1, 1, 1, 30), timedelta(hours=2))
    assert not seen.lasts(utc(2026, 1, 1, 1, 30), timedelta(hours=3))


def test_without_windows_nothing_ever_opens() -> None:
    """No window is neither open nor opening."""
    assert windows.look({}, utc(2026, 1, 1)) == windows.Opening("", None, None)


BERLIN = "Europe/Berlin"


def test_a_window_by_rule_opens_when_its_rule_says() -> None:
    """Mondays and Wednesdays at 22:00 of the zone's clock, which is another hour in UTC in winter."""
    window = Window("RRULE:FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=22;BYMINUTE=0", timedelta(hours=2), BERLIN)
    assert window.opens(utc(2026, 11, 24, 12)) == utc(2026, 11, 25, 21)
    assert window.opens(utc(2026, 7, 1, 12)) == utc(2026, 7, 1, 20)
    assert window.closes(utc(2026, 11, 25, 22)) == utc(2026, 11, 25, 23)
    assert window.closes(utc(2026, 11, 25, 23)) is None


def test_a_rule_with_an_interval_counts_from_its_start() -> None:
    """Every second Friday is that of the week in which DTSTART is."""
    window = Window("DTSTART:20260102T210000 RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", timedelta(hours=1))
    assert window.opens(utc(2026, 1, 3)) == utc(2026, 1, 16, 21)


@pytest.mark.parametrize("schedule", ["30 2 * * *", "RRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=30"])
@pytest.mark.parametrize(("year", "month", "day"), [(2026, 3, 28), (2026, 10, 24)])
def test_a_change_of_the_clocks_opens_a_window_once_a_day(schedule: str, year: int, month: int, day: int) -> None:
    """Whether written as cron or as a rule: over the night of the change there is one opening each day (story 60)."""
    window = Window(schedule, timedelta(minutes=30), BERLIN)
    openings = list(itertools.islice(window.openings(utc(year, month, day, 12)), 3))
    assert len({moment.date() for moment in openings}) == 3
    assert [window.opened(moment) for moment in openings] == openings


@pytest.mark.parametrize("schedule", ["0 3 29 2 *", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=3;BYMINUTE=0"])
def test_a_leap_day_comes_when_there_is_one(schedule: str) -> None:
    """On the 29th of February of 2028, and not before."""
    assert Window(schedule, timedelta(hours=1)).opens(utc(2026, 3, 1)) == utc(2028, 2, 29, 3)


def test_a_window_does_not_open_on_a_blackout_day_of_its_zone() -> None:
    """The evening of the 24th is left out although it is open over midnight; that of the 23rd goes on into it."""
    window = Window("0 22 * * *", timedelta(hours=8), BERLIN, frozenset({date(2026, 12, 24)}))
    assert list(itertools.islice(window.openings(utc(2026, 12, 23, 12)), 2)) == [utc(2026, 12, 23, 21), utc(2026, 12, 25, 21)]
    assert window.closes(utc(2026, 12, 24, 2)) == utc(2026, 12, 24, 5)
    assert window.closes(utc(2026, 12, 24, 22)) is None


def test_a_window_that_ever_is_blacked_out_ends_its_openings() -> None:
    """A day that comes once in a year and is blacked out for years does not keep anybody looking for ever."""
    days = frozenset(date(year, 12, 24) for year in range(2026, 2090))
    assert Window("0 22 24 12 *", timedelta(hours=1), blackouts=days).opens(utc(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("schedule", "wrong"),
    [
        ("RRULE:FREQ=HOURLY", "too often"),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "DTSTART"),
        ("RRULE:FREQ=DAILY;BYHOUR=25", "in 'RRULE"),
        ("RRULE:FREQ=DAILY;UNTIL=20200101T000000", "never comes"),
        ("RRULE FREQ=DAILY", "RRULE:FREQ=DAILY"),
    ],
)
def test_a_rule_that_cannot_be_used_says_why(schedule: str, wrong: str) -> None:
    """Each mistake in words, with what to write instead."""
    assert wrong in str(windows.problem_of(schedule))


@settings(max_examples=100, deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2029, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone comes with it
    st.sampled_from(
        ["30 2 * * *", "0 0 1 * *", "RRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=1;BYMINUTE=0"]
    ),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_the_window_that_is_open_is_the_last_that_opened(now: datetime, schedule: str, timezone: str) -> None:
    """Whatever the moment, the schedule and the zone: looking back and looking forward name the same openings."""
    window = Window(schedule, timedelta(hours=30), timezone)
    following = window.opens(now)
    assert following is not None
    assert window.opened(following) == following
    assert window.opened(following - timedelta(seconds=1)) == window.opened(now) or following - now > window.duration
