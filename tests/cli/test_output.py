"""What commands print for people."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.cli import output, report, runs
from orchestrator.views import report as report_view
from orchestrator.views import report_asked

TEN = datetime(2026, 7, 22, 22, 0, tzinfo=UTC)


@pytest.fixture
def view_from() -> Iterator[Callable[[str], None]]:
    """Sets the viewer's zone, for a while."""
    with pytest.MonkeyPatch.context() as patched:

        def set_zone(name: str) -> None:
            patched.setenv("TZ", name)
            time.tzset()

        yield set_zone
    time.tzset()


def test_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A MAC address with the name of a picture in it, what looks like markup, and a line that is longer than a terminal."""
    odd = f"[red]4e:3c:20:cd:2e:7a[/red] {'long ' * 100}end"
    output.console().print(odd, markup=False)
    output.table(["MAC"], [[odd]])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == odd
    assert odd in [line.strip() for line in printed[1:]]


def test_the_viewers_zone_is_named_once_in_the_heading(view_from: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    """Of runs and of the report: its clock has one name in winter and another in summer."""
    view_from("Europe/Berlin")
    run = {"id": "1", "pool": "lab", "workflow": "w", "title": "t", "status": "ready", "step": "", "updated_at": TEN, "reason": ""}
    output.console().print(runs._drawn([run]))
    printed = capsys.readouterr().out
    assert "since (CET/CEST)" in printed
    assert "2026-07-23 00:00:00" in printed
    report._print(_reported(), report_view)
    assert "began (CET/CEST)" in capsys.readouterr().out


def test_a_zone_without_summer_has_one_name(view_from: Callable[[str], None]) -> None:
    """It is not said twice."""
    view_from("UTC")
    assert output.zone() == "UTC"


def _reported() -> dict[str, Any]:
    row = {"pool": "lab", "policy": "web", "vm_name": "web-01", "status": "saved", "why": "", "mode": "online", "began_at": TEN}
    rest = {"ended_at": TEN, "downtime": 0.0, "size": 1, "read": 1, "stored": 1}
    report_of = report_view.report([], report_asked.Asked(TEN, TEN))
    return {**report_of, "backups": [{**row, **rest}]}
