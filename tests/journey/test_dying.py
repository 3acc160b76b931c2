"""A process of which a part has died does not go on without it."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from state.run import Status
from tests.journey.lab import Lab, wait_until

PROGRAM = """
import sys
from pathlib import Path
from orchestrator import logs, serve
from orchestrator.config.load import load
from {module} import {part}

def mistaken(self, stop):
    while not Path("now").exists():
        stop.wait(0.05)
    raise ValueError("a mistake of ours")

{part}.run = mistaken
logs.set_up("info", "text")
sys.exit(serve.serve(load(Path("vfo.toml"))))
"""


@pytest.mark.parametrize(
    ("module", "part", "named"),
    [("orchestrator.scheduler", "Scheduler", "scheduler"), ("orchestrator.engine.sweeper", "Sweeper", "engine")],
)
def test_a_part_that_dies_ends_the_process_in_order(lab: Callable[..., Lab], module: str, part: str, named: str) -> None:
    """With exit code 1 and its name in the log; what was at work is handed back, leases too, and the next process finishes it."""
    here = lab("--hosts", "1", "--vms", "4", "--speed", "0.02")
    program = PROGRAM.format(module=module, part=part)
    with (here.folder / "serve.log").open("wb") as log:
        daemon = subprocess.Popen([sys.executable, "-c", program], cwd=here.folder, stdout=subprocess.PIPE, stderr=log)
    try:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"vfo serves lab\n", here.log()
        vms = here.client.running_with_a_vf()
        wait_until(lambda: here.known() >= len(vms), 60, "the daemon knows the pool")
        here.delete(vms)
        (here.folder / "now").touch()
        assert daemon.wait(60) == 1, here.log()
    finally:
        daemon.kill()
        daemon.communicate()
    assert f"{named} has died: the process stops with exit code 1, to be started anew" in here.log()
    assert here.statuses()[Status.RUNNING.value] == 0
    again = here.serve()
    wait_until(lambda: here.statuses()["done"] >= len(vms), 60, "the next process finishes what was begun")
    again.stop()
