"""The simulator against transcripts of a running xapi."""

import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CONFORMANCE = ROOT.parent / "shared" / "conformance"
# Golden: scenarios file, options of the simulator, how many observations.
GOLDENS: dict[str, tuple[str, list[str], int]] = {
    "default": ("scenarios.py", ["--hosts", "1"], 217),
    "sysfs": ("scenarios_modes.py", ["--hosts", "1"], 21),
    "modprobe": ("scenarios_modes.py", ["--hosts", "1", "--driver", "modprobe"], 21),
    "manual": ("scenarios_modes.py", ["--hosts", "1", "--driver", "manual"], 21),
    "enable-fails": ("scenarios_modes.py", ["--hosts", "1", "--driver", "enable-fails"], 22),
    "hosts": ("scenarios_hosts.py", ["--hosts", "2"], 100),
    "storage": ("scenarios_storage.py", ["--hosts", "1"], 383),
}


@pytest.fixture
def simulate() -> Iterator[Callable[..., dict[str, Any]]]:
    """Start `python -m orchestrator.simulator` with options; gives its first line. Skipped without the transcripts, which CI must have."""
    if not CONFORMANCE.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CONFORMANCE} is missing")
        pytest.skip(f"needs the transcripts in {CONFORMANCE}")
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "orchestrator.simulator", "--sriov", "off", "--vms", "0", *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return dict(json.loads(process.stdout.readline()))

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=10)


def conform(server: dict[str, Any], golden: str, scenarios: str) -> tuple[int, int, str]:
    """How many observations passed, how many failed, and all that was said."""
    command = [sys.executable, str(CONFORMANCE / "conform.py"), server["url"], server["user"], server["password"]]
    command += ["--check", str(CONFORMANCE / "golden" / f"{golden}.json"), "--scenarios", str(CONFORMANCE / scenarios)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    counts = re.search(r"(\d+) passed, (\d+) failed", done.stdout)
    assert counts is not None, done.stdout + done.stderr
    return int(counts[1]), int(counts[2]), done.stdout


@pytest.mark.parametrize("golden", GOLDENS)
def test_it_answers_as_xapi_did(golden: str, simulate: Callable[..., dict[str, Any]]) -> None:
    """Every observation of the transcript comes out the same."""
    scenarios, options, count = GOLDENS[golden]
    passed, failed, said = conform(simulate(*options), golden, scenarios)
    assert (passed, failed) == (count, 0), said
