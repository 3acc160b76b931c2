"""A policy that people write while the daemon serves, as every process takes it up: over the wire, and through a kill."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.journey.lab import Lab, wait_until
from tests.journey.test_backups import typed
from tests.journey.test_windows import lines, over, runs_of
from workflows import back_up, keep_window

PRODUCT = """
[products.nas]
plugin = "command"
job = ["sh", "-c", "touch at-work; until [ -e {folder}/go ]; do sleep 0.1; done"]
"""
WINDOW = 'schedule = "{minute} {hour} * * *"\nduration = "2h"\nlimits = {{ pool = 1 }}\n'
POLICY = 'vms = { names = ["*"] }\nproduct = "nas"\nwindow = "soon"\nmode = "online"\nretries = 0\n'


def write(lab: Lab, kind: str, name: str, text: str) -> None:
    (lab.folder / f"{name}.toml").write_text(text)
    assert typed(lab, kind, "write", name, "--file", f"{name}.toml")[0] == 0


@pytest.mark.timeout(300)
def test_a_policy_written_while_the_daemon_serves_saves_its_vms(lab: Callable[..., Lab]) -> None:
    """Its window is noticed where there was none, a kill costs nothing, and removed in the middle it begins nobody else."""
    here = lab("--hosts", "1", "--vms", "3", "--speed", "0.05")
    with here.config.open("a") as file:
        file.write(PRODUCT.format(folder=here.folder))
    daemon = here.serve()
    at = datetime.now(UTC) - timedelta(minutes=1)
    write(here, "window", "soon", WINDOW.format(minute=at.minute, hour=at.hour))
    write(here, "policy", "all", POLICY)
    wait_until(lambda: list(here.folder.rglob("at-work")), 60, "a backup is at work")
    daemon.kill()
    daemon = here.serve()
    try:
        assert typed(here, "policy", "remove", "all")[0] == 0
        (here.folder / "go").touch()
        wait_until(lambda: over(here), 60, "the window is over")
        wait_until(lambda: all(run.finished_at for run in here.runs()), 60, "all runs have ended")
        assert [(run.status, run.reason) for run in runs_of(here, keep_window.NAME)] == [("done", "1 saved, 0 failed, 2 missed")]
        missed = {line.reason for line in lines(here) if line.status == "missed"}
        assert missed == {"policy all is not there any more"}
        write(here, "policy", "again", POLICY)
        code, said = typed(here, "policy", "run", "again", "--wait", "--json")
        assert (code, json.loads(said)[0]["reason"]) == (0, "3 saved, 0 failed, 0 missed")
        assert len(runs_of(here, back_up.NAME)) == 4
    finally:
        daemon.stop()
