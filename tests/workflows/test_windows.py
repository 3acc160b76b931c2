from datetime import UTC, datetime, timedelta

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
    assert windows.problem_of("at night") == 'write minute, hour, day, month and weekday, such as "0 22 * * 1-5"'
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
