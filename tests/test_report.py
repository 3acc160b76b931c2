"""The report of backups: from lines of the catalogue, and from whom the policies name."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.views import report, report_gaps, report_page
from orchestrator.views.report_asked import Asked, Named
from state import openings
from state.backups import Backup
from state.openings import Opening
from workflows.policies import BackupPlan, BackupWindow
from workflows.windows import Window

HOUR = timedelta(hours=1)
MORNING = datetime(2026, 11, 24, 8, tzinfo=UTC)
OPENED = datetime(2026, 11, 23, 22, tzinfo=UTC)
PLANS = {"nightly": BackupPlan("nightly", "nas", window="night"), "by-hand": BackupPlan("by-hand", "nas")}
SCHEDULE, LONG_AGO, RUN = "0 22 * * * UTC", OPENED - timedelta(days=9), uuid4()
WINDOWS = {"night": BackupWindow("night", Window("0 22 * * *", timedelta(hours=8)))}


def line(vm: str = "vm-1", status: str = "saved", **fields: Any) -> Backup:
    plain: dict[str, Any] = {
        "id": uuid4(), "pool": "lab", "vm": vm, "vm_name": f"name of {vm}", "policy": "nightly", "product": "nas", "window": "night",
        "opened_at": OPENED, "status": status, "began_at": OPENED, "ended_at": OPENED + timedelta(minutes=10), "downtime": 60.0,
        "size": 1000, "read": 100, "stored": 10,
    }  # fmt: skip
    return Backup(**(plain | fields))


def asked(*names: str, until: datetime = MORNING, **fields: Any) -> Asked:
    wanted = {"nightly": [Named("lab", name, f"name of {name}") for name in names]}
    plain: dict[str, Any] = {"plans": PLANS, "windows": WINDOWS, "wanted": wanted, "watches": {("night", "lab"): (SCHEDULE, LONG_AGO)}}
    return Asked(MORNING - timedelta(hours=24), until, **(plain | fields))


def dealt(status: str, at: datetime = OPENED) -> dict[str, Any]:
    """One opening that was dealt with so."""
    row = Opening(window="night", pool="lab", opens_at=at, closes_at=at, status=status, run_id=RUN, noted_at=at)
    return {"opened": (row,)}


def statuses(made: dict[str, Any]) -> dict[str, str]:
    return {row["vm"]: row["status"] for row in made["backups"]}


def test_all_is_well_when_everybody_is_saved_or_skipped() -> None:
    """The sums are of all, and by policy."""
    made = report.report([line(), line("vm-2", "skipped", read=0)], asked("vm-1", "vm-2"))
    assert made["well"]
    assert (made["sums"]["saved"], made["sums"]["skipped"], made["sums"]["read"], made["sums"]["downtime"]) == (1, 1, 100, 120.0)
    assert [(one["policy"], one["vms"]) for one in made["policies"]] == [("by-hand", 0), ("nightly", 2)]


@pytest.mark.parametrize("status", ["failed", "refused", "cancelled", "missed", "late"])
def test_whatever_was_not_saved_is_not_well_and_comes_first(status: str) -> None:
    """With why."""
    made = report.report([line("vm-1"), line("vm-2", status, reason="the repository is full")], asked("vm-1", "vm-2"))
    assert not made["well"]
    assert (made["backups"][0]["vm"], made["backups"][0]["why"]) == ("vm-2", "the repository is full")


def test_a_vm_that_was_saved_when_it_was_tried_again_is_saved() -> None:
    """One row, which says how often it was tried and how long the guest was down in all."""
    tries = [line(status="failed"), line(began_at=OPENED + timedelta(hours=1))]
    row, = report.report(tries, asked("vm-1"))["backups"]  # fmt: skip
    assert (row["status"], row["tries"], row["downtime"]) == ("saved", 2, 120.0)


def test_two_nights_are_two_rows() -> None:
    """What was saved yesterday does not excuse today."""
    made = report.report([line(), line(status="failed", opened_at=OPENED + timedelta(days=1))], asked("vm-1"))
    assert len(made["backups"]) == 2
    assert not made["well"]


def test_a_vm_that_a_policy_names_and_nobody_saved_is_said() -> None:
    """Its window opened, and there is no line of it."""
    made = report.report([line("vm-1")], asked("vm-1", "vm-2"))
    assert statuses(made) == {"vm-2": "forgotten", "vm-1": "saved"}
    assert not made["well"]


def test_a_vm_whose_window_is_open_waits() -> None:
    """That is no fault yet."""
    made = report.report([], asked("vm-1", until=OPENED + timedelta(hours=1)))
    assert statuses(made) == {"vm-1": "waiting"}
    assert made["well"]


@pytest.mark.parametrize(
    "fields",
    [
        {"windows": {"night": BackupWindow("night", Window("0 22 1 1 *", timedelta(hours=8)))}},
        {"wanted": {"by-hand": [Named("lab", "vm-1", "web")]}},
    ],
    ids=["its window did not open", "it has no window"],
)
def test_who_was_not_to_be_saved_is_not_missed(fields: dict[str, Any]) -> None:
    """Nothing is amiss."""
    made = report.report([], asked("vm-1", **fields))
    assert (made["backups"], made["well"]) == ([], True)


def test_what_opened_before_anybody_looked_is_forgotten_by_nobody() -> None:
    """A fresh configuration or database: its schedule would have opened last night, and there was nobody to know of it."""
    for watches in ({}, {("night", "lab"): (SCHEDULE, OPENED + HOUR)}, {("night", "other"): (SCHEDULE, LONG_AGO)}):
        made = report.report([], asked("vm-1", watches=watches))
        assert (made["backups"], made["well"]) == ([], True)
    first_look = {("night", "lab"): (SCHEDULE, OPENED - timedelta(microseconds=1))}
    assert statuses(report.report([], asked("vm-1", watches=first_look))) == {"vm-1": "forgotten"}


def test_one_that_was_forgotten_says_how_its_opening_was_dealt_with() -> None:
    """Also while its window is open: it was left out, and nobody comes any more."""
    for until in (MORNING, OPENED + HOUR):
        row, = report.report([], asked("vm-1", until=until, **dealt("skipped: nobody was there when it opened")))["backups"]  # fmt: skip
        assert (row["status"], row["why"].partition(": ")[2]) == ("forgotten", "nobody was there when it opened")
    row, = report.report([], asked("vm-1", until=OPENED + HOUR, **dealt(openings.WAITS)))["backups"]  # fmt: skip
    assert (row["status"], row["why"]) == ("waiting", f"its window is open, and run {RUN} of an earlier opening is at work")


def test_a_window_that_was_moved_to_a_moment_ago_did_not_open() -> None:
    """By the schedule it is open, and nothing comes of it before the next time."""
    moved = {("night", "lab"): (SCHEDULE, OPENED + timedelta(minutes=1))}
    row, = report.report([], asked("vm-1", until=OPENED + HOUR, watches=moved))["backups"]  # fmt: skip
    why = (
        "its schedule was changed at 2026-11-23 22:01 UTC, after the moment at which it opens by it: it opens next at 2026-11-24 22:00 UTC"
    )
    assert (row["status"], row["why"]) == ("waiting", why)
    not_started = {("night", "lab"): ("0 20 * * * UTC", LONG_AGO)}
    row, = report.report([], asked("vm-1", until=OPENED + HOUR, watches=not_started))["backups"]  # fmt: skip
    assert (row["status"], row["why"]) == ("waiting", report_gaps.NOT_TAKEN_UP)
    assert report.report([], asked("vm-1", until=MORNING, watches=moved))["backups"] == []


def test_what_an_earlier_schedule_opened_counts_after_a_change() -> None:
    """It was dealt with in this time, whatever the schedule says now."""
    moved = {("night", "lab"): (SCHEDULE, MORNING - HOUR)}
    row, = report.report([], asked("vm-1", watches=moved, **dealt(openings.RUN, OPENED - 3 * HOUR)))["backups"]  # fmt: skip
    assert (row["opened_at"], row["status"]) == (OPENED - 3 * HOUR, "forgotten")


def test_a_vm_of_a_paused_policy_is_skipped_once_its_window_opened() -> None:
    """By whom it is paused and since when; one whose window opened before the pause is judged as any other."""
    paused: dict[str, Any] = {"paused": {"nightly": "paused by ann since 2026-11-23 09:00 UTC"}}
    made = report.report([line("vm-2")], asked("vm-1", "vm-2", **paused, paused_at={"nightly": OPENED - HOUR}))
    assert statuses(made) == {"vm-1": "skipped", "vm-2": "saved"}
    assert [row["why"] for row in made["backups"] if row["vm"] == "vm-1"] == ["the policy is paused by ann since 2026-11-23 09:00 UTC"]
    assert made["well"]
    after = {"paused_at": {"nightly": OPENED + HOUR}, **paused}
    assert statuses(report.report([], asked("vm-1", **after))) == {"vm-1": "forgotten"}
    assert statuses(report.report([], asked("vm-1", until=OPENED + 2 * HOUR, **after))) == {"vm-1": "skipped"}


def test_a_window_that_opened_before_the_time_of_the_report_is_not_in_it() -> None:
    """Also when it is open yet."""
    wanted, watches = {"nightly": [Named("lab", "vm-1", "web")]}, {("night", "lab"): (SCHEDULE, LONG_AGO)}
    spans = [(OPENED - HOUR, OPENED + HOUR), (OPENED + HOUR, OPENED + 2 * HOUR)]
    rows = [report.report([], Asked(*span, PLANS, WINDOWS, wanted, watches=watches))["backups"] for span in spans]
    assert [len(one) for one in rows] == [1, 0]


def test_a_pool_that_does_not_answer_is_not_well() -> None:
    """Nobody knows whom the policies name there."""
    made = report.report([line()], asked("vm-1", unseen={"far": "HOST_OFFLINE"}))
    assert made["unseen"] == [{"pool": "far", "reason": "HOST_OFFLINE"}]
    assert not made["well"]


def test_the_page_needs_nothing_else_and_escapes_what_it_shows() -> None:
    """Names come from a pool, where anybody may write."""
    evil = "<script>alert(1)</script>"
    lines = [line(vm_name=evil, reason=f'"{evil}"', status="failed", policy=evil)]
    text = report_page.page(report.report(lines, asked(unseen={evil: evil}, paused={"nightly": evil})))
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 5
    assert not any(word in text for word in ("http:", "https:", "src=", "@import", "url("))
    assert text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("number", "written"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (200 << 30, "200 GiB"), (5000 << 40, "5000 TiB")]
)
def test_sizes_are_written_as_people_read_them(number: int, written: str) -> None:
    """In powers of two."""
    assert report.in_bytes(number) == written


@pytest.mark.parametrize(("seconds", "written"), [(0, "-"), (0.2, "< 1 s"), (42, "42 s"), (3723, "1:02:03")])
def test_spans_are_written_as_people_read_them(seconds: float, written: str) -> None:
    """Seconds, or hours, minutes and seconds."""
    assert report.in_time(seconds) == written


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ({"way": "changed blocks", "changed": 3 << 20, "why": ""}, "read: changed blocks, 3.0 MiB changed"),
        ({"way": "whole", "changed": None, "why": "disk 0: the pool does not know"}, "read: whole (disk 0: the pool does not know)"),
        ({"not_tracked": ["disk d: no"]}, "disk d: no"),
        ({"archive": "a"}, ""),
    ],
)
def test_how_the_disks_were_read_is_said(details: dict[str, Any], why: str) -> None:
    """Where the product asked what changed."""
    row, = report.report([line(details=details)], asked("vm-1"))["backups"]  # fmt: skip
    assert row["why"] == why
