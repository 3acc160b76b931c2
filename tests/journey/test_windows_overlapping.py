"""Two windows that are open at the same time, kept by the threads of a real daemon: the pool has one limit."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.journey import kills
from tests.journey.lab import Lab, wait_until
from tests.journey.test_windows import lines, runs_of
from workflows import keep_window

VMS = 4
PRODUCT = '[products.nas]\nplugin = "command"\njob = ["/bin/true"]\n'
TABLES = """
[windows.{name}]
schedule = "{minute} {hour} * * *"
duration = "2h"
limits = {{ pool = 1, host = "none", sr = "none", port = "none" }}

[policies.{name}]
vms = {{ names = ["*"] }}
product = "nas"
window = "{name}"
mode = "online"
"""


@pytest.mark.timeout(200)
def test_two_windows_over_the_same_vms_have_one_backup_at_work(lab: Callable[..., Lab]) -> None:
    """Everybody is saved by both policies, by turns, and no two at the same moment."""
    here = lab("--hosts", "1", "--vms", str(VMS), "--vfs", "8", "--speed", "0.02")
    at = datetime.now(UTC) - timedelta(minutes=1)
    with here.config.open("a") as file:
        file.write(PRODUCT + "".join(TABLES.format(name=name, minute=at.minute, hour=at.hour) for name in ("gold", "silver")))
    before = kills.look(here)
    daemon = here.serve()
    try:
        wait_until(lambda: len([run for run in runs_of(here, keep_window.NAME) if run.finished_at]) == 2, 150, "both windows are over")
        wait_until(lambda: all(run.finished_at for run in here.runs()), 30, "all runs have ended")
    finally:
        daemon.stop()
    assert {run.reason for run in runs_of(here, keep_window.NAME)} == {f"{VMS} saved, 0 failed, 0 missed"}
    done = sorted(lines(here), key=lambda line: line.began_at)
    assert [line.policy for line in done[: 2 * VMS : 2]] != [line.policy for line in done[1 : 2 * VMS : 2]]
    ends = [line.ended_at for line in done if line.ended_at is not None]
    assert len(ends) == 2 * VMS
    assert all(ended <= later.began_at for ended, later in zip(ends, done[1:], strict=False))
    assert kills.wrong(here, before) == []
