"""How windows and their plans are shown: timelines, pictures, calendars."""

import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orchestrator.views import ical, timeline, timeline_svg
from orchestrator.views import windows as view
from workflows import planning
from workflows.planning import Candidate
from workflows.policies import BackupPlan, Backups, BackupWindow, Limits, Selection
from workflows.windows import Window

TEN = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def window(hours: float = 1, zone: str = "UTC", name: str = "night", **limits: int | None) -> BackupWindow:
    unlimited: dict[str, int | None] = {"pool": None, "host": None, "sr": None, "port": None}
    return BackupWindow(name, Window("0 22 * * *", timedelta(hours=hours), zone), limits=Limits(**{**unlimited, **limits}))


def plan(takes: list[int], name: str = "web", **fields: Any) -> dict[str, Any]:
    """VMs that take so many minutes each, one at a time unless told otherwise."""
    one = window(**{"pool": 1, **fields})
    found = [Candidate(f"vm-{number}", f"{name}-{number}", "nightly", 0, None, count * MINUTE) for number, count in enumerate(takes)]
    span = (TEN, TEN + one.window.duration)
    return view.plan(one, "lab", span, planning.timeline(found, one.limits, *span), {})


def test_the_plan_says_who_begins_when_and_who_is_missed_and_why() -> None:
    """One that never fits, one whose turn comes too late, and one that nobody lets begin."""
    slots = plan([30, 20, 20, 90])["slots"]
    assert [(slot["name"], slot["begins"]) for slot in slots[:2]] == [("web-0", TEN), ("web-1", TEN + 30 * MINUTE)]
    assert {slot["name"]: slot["why"] for slot in slots[2:]} == {
        "web-2": "its turn comes too late to be through before the end",
        "web-3": "it takes longer than the window is open",
    }
    assert plan([5], pool=0)["slots"][0]["why"] == "limits.pool = 0 lets nobody begin"


@pytest.mark.parametrize("width", [60, 100, 200])
@pytest.mark.parametrize("name", ["web", "a-very-long-name-of-a-very-long-machine"])
def test_the_timeline_fits_the_terminal_and_names_everybody(width: int, name: str) -> None:
    """A line for each, the axis within the width, bars one after the other."""
    lines = [line.plain for line in timeline.drawn(plan([30, 20, 90], name), width)]
    assert "2 of 3 VMs would be saved, the last until 22:50" in lines[0]
    chart = lines[2:5]
    assert all(len(line) <= width for line in chart)
    assert [line.split()[-2:] for line in chart[1:]] == [["22:00-22:30", "nightly"], ["22:30-22:50", "nightly"]]
    assert chart[1].rindex("█") < chart[2].index("█") + 2
    assert lines[-2] == "missed: 1"
    assert lines[-1].endswith("nightly: it takes longer than the window is open (about 90 min)")


@pytest.mark.parametrize(
    ("seconds", "ends", "says"), [(120.2, "22:02", "about 2 min"), (100, "22:02", "about 2 min"), (5, "22:00", "about 1 min")]
)
def test_what_a_backup_takes_is_rounded_as_its_end_is(seconds: float, ends: str, says: str) -> None:
    """To the nearest minute: what a policy shows and what the plan draws are the same."""
    one = window()
    slots = planning.timeline(
        [Candidate("vm", "web", "nightly", 0, None, timedelta(seconds=seconds))], one.limits, TEN, TEN + one.window.duration
    )
    made = view.plan(one, "lab", (TEN, TEN + one.window.duration), slots, {})
    assert f" 22:00-{ends}  " in timeline.drawn(made, 100)[3].plain
    assert f"22:00-{ends}" in timeline_svg.picture(made)
    assert timeline.minutes(seconds) == says


def test_a_backup_of_seconds_in_a_long_window_is_seen() -> None:
    """It has a bar, however thin."""
    lines = [line.plain for line in timeline.drawn(plan([1], hours=24), 80)]
    assert any(mark in lines[3] for mark in timeline.EIGHTHS[1:])


def test_a_timeline_of_thousands_is_cut_and_says_so() -> None:
    """The whole of it is in JSON and in the picture."""
    lines = [line.plain for line in timeline.drawn(plan([1] * 500, pool=None), 100)]
    assert len(lines) < 320
    assert "... and 200 more (--json and --svg have all of them)" in lines


def test_times_are_those_of_the_windows_zone_in_the_night_of_a_change() -> None:
    """The clock goes from 03:00 back to 02:00: the axis has 02:00 twice, as the wall has."""
    begins = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)
    one = BackupWindow("night", Window("0 1 * * *", timedelta(hours=4), "Europe/Berlin"))
    made = view.plan(one, "lab", (begins, begins + timedelta(hours=4)), planning.timeline([], one.limits, begins, None), {})
    assert "01:00 to Sun 04:00" in timeline.in_a_line(made)
    zone = ZoneInfo("Europe/Berlin")
    ticks = [f"{at.astimezone(zone):%H:%M}" for at in timeline.ticks(begins, begins + timedelta(hours=4), zone, 6)]
    assert ticks == ["01:00", "02:00", "02:00", "03:00", "04:00"]


def test_the_picture_is_sound_xml_with_a_bar_for_each_that_begins() -> None:
    """Names come from a pool: none of them is markup."""
    tree = ET.fromstring(timeline_svg.picture(plan([30, 20, 90], name='<b>&"x"')))
    told = [title.text or "" for title in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert sum("policy nightly" in title for title in told) == 2
    texts = "".join(text for one in tree.iter("{http://www.w3.org/2000/svg}text") for text in one.itertext())
    assert '<b>&"x"-2' in texts
    assert "Missed: 1" in texts


def test_a_calendar_has_an_event_for_each_opening() -> None:
    """Lines of 75 octets at most that end as RFC 5545 wants it, marks escaped, moments in UTC, an UID that stays."""
    one = window(hours=8, zone="Europe/Berlin", name="Nächte")
    openings = [TEN, TEN + timedelta(days=1)]
    text = ical.calendar(one, ["web, all; of it", "ünïcödé-" * 20], openings, TEN)
    assert text.endswith("END:VCALENDAR\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    events = unfolded(text)
    assert [event["DTSTART"] for event in events] == ["20261122T220000Z", "20261123T220000Z"]
    assert [event["DTEND"] for event in events] == ["20261123T060000Z", "20261124T060000Z"]
    assert len({event["UID"] for event in events}) == 2
    assert "web\\, all\\; of it" in events[0]["DESCRIPTION"]
    assert unfolded(ical.calendar(one, [], openings, TEN + MINUTE))[0]["UID"] == events[0]["UID"]
    assert {"UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY"} <= events[0].keys()


def unfolded(text: str) -> list[dict[str, str]]:
    """The events of a calendar, by property."""
    lines = text.replace("\r\n ", "").split("\r\n")
    assert lines[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    assert lines[2].startswith("PRODID:")
    events: list[dict[str, str]] = []
    for line in lines[3:-2]:
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            events.append({})
        elif name not in ("END", "X-WR-CALNAME"):
            events[-1][name] = value
    return events


def test_windows_are_listed_with_their_policies_and_blackouts_as_spans() -> None:
    """And until when each is open."""
    days = frozenset({date(2026, 12, 24), date(2026, 12, 25), date(2027, 1, 1)})
    one = BackupWindow("night", Window("0 22 * * *", timedelta(hours=8), "UTC", days))
    backups = Backups({"web": BackupPlan("web", "nas", window="night"), "db": BackupPlan("db", "nas")}, {"night": one})
    (row,) = view.listed(backups, TEN + MINUTE)
    assert row["blackouts"] == ["2026-12-24..2026-12-25", "2027-01-01"]
    assert (row["policies"], row["open_until"], row["opens"]) == (["web"], TEN + timedelta(hours=8), TEN + timedelta(days=1))


def test_a_selection_is_said_in_words() -> None:
    """All that it asks for."""
    selection = Selection(tags=frozenset({"gold"}), names=("web-*", "db-*"), exclude_names=("*-test",), pools=frozenset({"lab"}))
    assert view.in_words(selection) == "tagged gold, named web-* or db-*, of pool lab, but not named *-test"
    assert view.in_words(Selection()) == "all"
