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
GOLDENS = {
    "default": ("scenarios.py", ["--hosts", "1"]),
    "sysfs": ("scenarios_modes.py", ["--hosts", "1"]),
    "modprobe": ("scenarios_modes.py", ["--hosts", "1", "--driver", "modprobe"]),
    "manual": ("scenarios_modes.py", ["--hosts", "1", "--driver", "manual"]),
    "enable-fails": ("scenarios_modes.py", ["--hosts", "1", "--driver", "enable-fails"]),
}
# Scenarios of the goldens that wait for disk transfers and changed blocks: what passes of them today must go on passing.
PARTLY = {
    ("hosts", "scenarios_hosts.py", "2", "hosts"): 33,
    ("hosts", "scenarios_hosts.py", "2", "sriov_hosts"): 43,
    ("hosts", "scenarios_hosts.py", "2", "pbds"): 23,
    ("storage", "scenarios_storage.py", "1", "sr"): 40,
    ("storage", "scenarios_storage.py", "1", "running_disks"): 79,
    ("storage", "scenarios_storage.py", "1", "snapshots"): 57,
    ("storage", "scenarios_storage.py", "1", "vdis"): 74,
    ("storage", "scenarios_storage.py", "1", "cbt"): 47,
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


def conform(server: dict[str, Any], golden: str, scenarios: str, only: str | None = None) -> tuple[int, int, str]:
    """How many observations passed, how many failed, and all that was said."""
    command = [sys.executable, str(CONFORMANCE / "conform.py"), server["url"], server["user"], server["password"]]
    command += ["--check", str(CONFORMANCE / "golden" / f"{golden}.json"), "--scenarios", str(CONFORMANCE / scenarios)]
    done = subprocess.run(command + (["--only", only] if only else []), capture_output=True, text=True, check=False, timeout=100)
    counts = re.search(r"(\d+) passed, (\d+) failed", done.stdout)
    assert counts is not None, done.stdout + done.stderr
    return int(counts[1]), int(counts[2]), done.stdout


@pytest.mark.parametrize("golden", GOLDENS)
def test_it_answers_as_xapi_did(golden: str, simulate: Callable[..., dict[str, Any]]) -> None:
    """Every observation of the transcript comes out the same."""
    scenarios, options = GOLDENS[golden]
    _, failed, said = conform(simulate(*options), golden, scenarios)
    assert failed == 0, said


@pytest.mark.parametrize(("golden", "scenarios", "hosts", "scenario"), PARTLY)
def test_what_passes_of_the_larger_transcripts_goes_on_passing(
    golden: str, scenarios: str, hosts: str, scenario: str, simulate: Callable[..., dict[str, Any]]
) -> None:
    """At least as many observations of the scenario come out the same as did before."""
    passed, _, said = conform(simulate("--hosts", hosts), golden, scenarios, only=scenario)
    assert passed >= PARTLY[golden, scenarios, hosts, scenario], said
