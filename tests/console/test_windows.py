"""The calendar of windows, and the timeline of one that is open."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, expect

from orchestrator.actions import kept as action
from orchestrator.web.console.models import calendar, kept
from orchestrator.web.principal import Principal, Scope
from plugins.values import WindowOpening
from state import backups, claims, jobs, runs
from state.backups import Backup
from state.claims import Change
from state.run import Phase, Status
from state.store import Session
from tests.console.conftest import listening, people_at
from tests.console.test_browsing import against
from tests.console.test_door import signed_in
from tests.web.conftest import NOON, Make
from workflows import keep_window, waiting_list
from workflows.outcome import Request
from workflows.planning import Candidate
from workflows.policies import BackupWindow, Limits
from workflows.windows import Window

HOUR = timedelta(hours=1)
BERLIN = "Europe/Berlin"
TABLES = """
[windows.dark]
schedule = "0 11 * * *"
duration = "4h"

[maintenance.patches]
schedule = "0 12 * * 0"
duration = "30m"
"""


def day_of(made: calendar.Calendar, day: date) -> calendar.Day:
    return next(one for week in made.weeks for one in week if one.date == day)


def test_four_weeks_of_openings_stand_in_their_days() -> None:
    """By the clock that most windows have, in whole weeks; a night goes on in the next day; what stays closed and what overlaps is seen."""
    night = BackupWindow("dark", Window("0 22 * * *", 8 * HOUR, BERLIN, frozenset({date(2026, 12, 24)})))
    noon = BackupWindow("noon", Window("0 5 * * 2", 2 * HOUR, "UTC"))
    made = calendar.made([night, noon], {"patches": Window("0 2 * * 3", HOUR, BERLIN)}, datetime(2026, 12, 1, 12, tzinfo=UTC))
    assert made is not None
    assert (made.timezone, len(made.weeks), {len(week) for week in made.weeks}) == (BERLIN, 5, {7})
    assert sum(day.is_shown for week in made.weeks for day in week) == 28
    tuesday = day_of(made, date(2026, 12, 1))
    assert [(span.window, span.clock, span.lasts, span.own) for span in tuesday.spans] == [
        ("noon", "06:00-08:00", "2h", "05:00 UTC"),
        ("dark", "22:00-06:00", "8h", ""),
    ]
    assert tuesday.is_today
    assert [(bar.x, bar.width) for bar in tuesday.bars] == [(0, 360), (360, 120), (1320, 120)]
    wednesday = day_of(made, date(2026, 12, 2))
    assert [(bar.kind, bar.x, bar.y) for bar in wednesday.bars] == [("backup", 0, 0), ("maintenance", 120, 6), ("backup", 1320, 0)]
    assert [(span.window, span.overlaps) for span in wednesday.spans] == [("patches", ("dark",)), ("dark", ())]
    eve = day_of(made, date(2026, 12, 24))
    assert (eve.blackouts, eve.spans) == (["dark"], [])
    assert calendar.made([], {}, NOON) is None


def test_a_window_that_opens_all_the_time_is_shown_as_far_as_it_goes() -> None:
    """A few of each day, the others counted, and until when there are any is said."""
    made = calendar.made([BackupWindow("always", Window("*/5 * * * *", timedelta(minutes=5)))], {}, NOON)
    assert made is not None
    today = day_of(made, NOON.date())
    assert (len(today.spans), today.more, len(made.cut)) == (5, 24 * 12 - 5, 1)
    assert made.cut["always"] < NOON + timedelta(days=2)


def a_candidate(name: str) -> Candidate:
    return Candidate(name, name, "gold", 0, None, HOUR)


def a_line(name: str, status: str, opens: datetime) -> Backup:
    return Backup(id=uuid4(), pool="lab", vm=name, vm_name=name, policy="gold", product="nas", window="dark", opened_at=opens,
                  status=status, began_at=opens, ended_at=opens + HOUR / 2, reason="" if status == "saved" else "disk <full>")  # fmt: skip


def opened(session: Session, opens: datetime) -> UUID:
    """The run of a window since then: one VM was saved, one failed, one is half done, two wait; by the limits one after the other."""
    opening = WindowOpening(uuid4(), "dark", "lab", opens, opens + 4 * HOUR)
    run, _ = runs.create(session, keep_window.request(opening, ["gold"], limits=Limits(pool=1)), now=opens)
    child, _ = runs.create(session, Request("back-up-vm", "lab", "vm:c", "VM c", {}), now=NOON)
    assert jobs.claim(session, f"nas:{child.id}", child.id, "nas", holder="here", now=NOON, lease=HOUR)
    for name, status in (("a", "saved"), ("b", "failed"), ("c", "failed")):  # c is tried again
        backups.put(session, a_line(name, status, opens))
    backups.put(session, a_line("a", "failed", opens - timedelta(days=1)))
    waits = waiting_list.written([a_candidate(name) for name in "cde"])
    entry = waiting_list.read(waits)[0]
    working = {"entry": waiting_list.noted(entry, waits), "began": (NOON - HOUR / 2).isoformat()}
    data: dict[str, Any] = {**run.data, "list": waiting_list.without(waits, [entry]), "at_work": {str(child.id): working},
                            "saved": 1, "failed": 1}  # fmt: skip
    taken = claims.claim(session, run.id, now=NOON, lease=HOUR)
    assert taken is not None
    assert claims.record(session, taken, Change(Status.WAITING, Phase.FORWARD, "save_vms", NOON, NOON + HOUR, data), None, now=NOON)
    session.connection().execute(jobs.JOB.update().values(fraction=0.5))
    return run.id


def test_a_window_that_is_open_is_drawn_as_it_stands(make_web: Make) -> None:
    """Who was saved or failed, who is at work and how far, who waits until when: over the hours, with the moment that is now."""
    web, opens = make_web(more=TABLES), NOON - HOUR
    signed_in(web)
    assert web.client.get("/backup/windows/dark/kept").text.strip() == ""
    with web.store.write() as session:
        opened(session, opens)
    text = web.client.get("/backup/windows/dark").text
    for said in ("1 saved", "1 at work", "2 waiting", "1 failed", "50% done", "disk &lt;full&gt;", 'class="now" x="25.0"'):
        assert said in text, said
    assert "How it would go" not in text
    assert "1 at work" in web.client.get("/backup/windows/dark/kept").text
    assert web.client.get("/backup/windows/none/kept").status_code == 404


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)], ids=["desktop light", "phone dark"])
def test_a_window_that_is_open_is_for_everybody(make_web: Make, chromium: Browser, width: int, dark: bool) -> None:
    """Its timeline has no serious fault by axe, in either scheme, and is no wider than the screen."""
    web = make_web(more=listening() + TABLES)
    web.user("operate", "operate")
    with web.store.write() as session:
        opened(session, NOON - HOUR)
    with people_at(web, chromium) as people:
        page = people.somebody("operate", width, dark=dark).opens("/backup/windows/dark")
        expect(page.get_by_text("50% done").first).to_be_visible()
        assert against(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_who_waits_is_drawn_where_their_turn_would_come(make_web: Make) -> None:
    """After those who are at work by the limits; for whom there is no time before the end is said; what was before the retry is not."""
    web = make_web(more=TABLES)
    with web.store.write() as session:
        opened(session, NOON - HOUR)
    (found,) = action.kept(web.office.desk(Principal("ann", Scope.READ, "console")), "dark")
    assert [(turn["name"], turn["status"]) for turn in found["turns"]] == [
        ("a", "saved"), ("b", "failed"), ("c", "at work"), ("d", "waits"), ("e", "waits"),
    ]  # fmt: skip
    night = kept.night(found, "UTC")
    assert [[(piece.kind, piece.x, piece.width) for piece in turn.pieces] for turn in night.turns[2:]] == [
        [("work", 12.5, 12.5), ("rest", 25.0, 12.5)], [("wait", 37.5, 25.0)], [("wait", 62.5, 25.0)],
    ]  # fmt: skip
    late = kept.night(found | {"now": NOON + 4 * HOUR, "closes": NOON + 3 * HOUR}, "UTC")
    assert (late.is_late, late.end, late.now) == (True, 80.0, 100.0)


def test_the_calendar_is_on_the_page_of_backups(make_web: Make) -> None:
    """As a table with days for heads; windows for maintenance are named as such; without windows there is none."""
    web = make_web(more=TABLES)
    signed_in(web)
    text = web.client.get("/backup").text
    assert '<th scope="col">Mon</th>' in text
    assert "overlaps patches" in text
    assert 'aria-current="date"' in text
    assert "style=" not in text
