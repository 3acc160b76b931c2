"""A window as a backup administrator meets it: written, gone home, killed again and again, and everybody saved in the morning."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from state import backups, openings
from state.backups import Backup
from state.openings import Opening
from tests.journey import kills
from tests.journey.lab import Lab, wait_until
from tests.journey.test_backups import typed
from workflows import back_up, keep_window

VMS = 10
KILLS = 3
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = """
[products.nas]
plugin = "command"
job = ["/bin/true"]

[windows.soon]
schedule = "{minute} {hour} * * *"
duration = "2h"
limits = {{ pool = 4, host = "none", sr = "none", port = "none" }}

[policies.all]
vms = {{ names = ["*"] }}
product = "nas"
window = "soon"
mode = "offline"
"""


def lines(lab: Lab) -> list[Backup]:
    with lab.store.read() as session:
        return backups.since(session, LONG_AGO)


def opened(lab: Lab) -> list[Opening]:
    with lab.store.read() as session:
        return openings.since(session, LONG_AGO)


def runs_of(lab: Lab, workflow: str) -> list[Any]:
    return [run for run in lab.runs() if run.workflow == workflow]


def over(lab: Lab) -> bool:
    return any(run.finished_at for run in runs_of(lab, keep_window.NAME))


def some_are_saved(lab: Lab, number: int) -> bool:
    """Whether more backups than that have come to their end, or the window has; for 0, whether one has begun."""
    return len(lines(lab)) > number or over(lab) if number else bool(runs_of(lab, back_up.NAME))


@pytest.mark.timeout(300)
def test_a_window_that_is_killed_three_times_saves_everybody_once(lab: Callable[..., Lab]) -> None:
    """It opened while nobody was there; each life saves some; the report has everybody, and the pool is as it was."""
    here = lab("--hosts", "2", "--vms", str(VMS), "--vfs", "8", "--speed", "0.05")
    at = datetime.now(UTC) - timedelta(minutes=1)
    with here.config.open("a") as file:
        file.write(TABLES.format(minute=at.minute, hour=at.hour))
    before = kills.look(here)
    hits = 0
    for life in range(KILLS):
        daemon = here.serve()
        wait_until(partial(some_are_saved, here, 3 * life), 90, "some are at work")
        daemon.kill()
        hits += not over(here)
    daemon = here.serve()
    try:
        wait_until(lambda: over(here), 200, "the window is over")
        wait_until(lambda: all(run.finished_at for run in here.runs()), 60, "all runs have ended")
    finally:
        daemon.stop()
    assert hits == KILLS
    assert [one.status for one in opened(here)] == ["run"]
    assert [line.reason for line in lines(here) if line.status != "saved"] == []
    assert [(run.status, run.reason) for run in runs_of(here, keep_window.NAME)] == [("done", f"{VMS} saved, 0 failed, 0 missed")]
    assert Counter(line.vm for line in lines(here) if line.status == "saved") == {vm.uuid: 1 for vm in kills.vms(here)}
    code, said = typed(here, "report", "--json")
    assert (code, json.loads(said)["sums"]["saved"]) == (0, VMS)
    assert kills.wrong(here, before) == []
