"""From SQLite to PostgreSQL in the middle of the work: a daemon is killed, its rows are moved, and the runs end on the other side."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.load import load
from state.run import ACTIVE
from state.store import Store
from tests.journey import kills
from tests.journey.lab import Lab, wait_until
from tests.services import typist
from workflows import prepare

POOL = ("--hosts", "2", "--vfs", "16", "--vms", "24", "--speed", "0.05")
VMS = 6
DELETED = 3


def vfo(lab: Lab, *words: str, code: int = 0) -> str:
    """What a command says; it ends with that code."""
    done = typist.run(words, lab.folder, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def in_flight(lab: Lab) -> int:
    return sum(run.status in ACTIVE for run in lab.runs())


@pytest.mark.timeout(600)
def test_runs_in_flight_end_on_the_other_kind_of_database(lab: Callable[..., Any], tmp_path: Path, postgres_url: str) -> None:
    """VMs that are made ready for backup offline and VMs that are deleted, killed in the middle, moved and served again.

    Every VM is back with its VF, each deletion is proven once, and nothing of ours is left in the pool, nor is a secret in the file.
    """
    made: Lab = lab(*POOL)
    before = kills.look(made)
    held = [vm for vm in kills.vms(made) if vm.held]
    saved = held[:VMS]
    others = [(ref, name) for ref, name in made.client.running_with_a_vf().items() if name not in {vm.name for vm in saved}]
    gone = dict(others[:DELETED])
    assert (len(saved), len(gone)) == (VMS, DELETED)
    daemon = made.serve()
    wait_until(lambda: made.known() >= len(held), 60, "the daemon knows the pool")
    kills.submit(made, (prepare.request("lab", vm, mode="offline", hold=timedelta(seconds=1), retention=timedelta()) for vm in saved))
    made.delete(gone)
    wait_until(lambda: len(made.runs()) >= VMS + DELETED and len(made.said()) >= 3 * VMS, 60, "the work has begun")
    daemon.kill()
    assert in_flight(made) > 0
    states = {run.id: run.workflow for run in made.runs()}
    assert "serves on this database: stop it first" in vfo(made, "db", "export", "all.gz", code=1)
    wait_until(lambda: _exported(made), 60, "the killed one counts no more")
    move(made, postgres_url)
    assert {run.id: run.workflow for run in made.runs()} == states
    vfo(made, "db", "check")
    daemon = made.serve()
    try:
        wait_until(lambda: in_flight(made) == 0, 180, "all runs have ended")
    finally:
        daemon.stop()
    assert kills.ended_otherwise(made) == []
    proven = [run for run in made.runs() if run.workflow == "reclaim-vfs"]
    assert [made.proofs(run) for run in proven] == [1] * DELETED
    wanted = [*(f"VM {name} " for name in gone.values()), *(f"of VM {name} " for name in gone.values())]
    wrong = [
        line for line in kills.wrong(made, before) if not (line.endswith(" is gone") and (line.startswith("disk ") or _names(line, wanted)))
    ]
    assert wrong == []
    vfo(made, "db", "check")
    assert made.pool.said["password"] not in vfo(made, "db", "export", "plain") + (made.folder / "plain").read_text()


def _names(line: str, wanted: list[str]) -> bool:
    return any(name in line for name in wanted)


def _exported(lab: Lab) -> bool:
    command = [sys.executable, "-m", "orchestrator", "db", "export", "all.gz"]
    return subprocess.run(command, cwd=lab.folder, capture_output=True, check=False, timeout=120).returncode == 0


def move(lab: Lab, url: str) -> None:
    """The same configuration with another database, into which the file goes."""
    with lab.config.open("a") as file:
        file.write(f'\n[database]\nurl = "{url}"\n')
    vfo(lab, "db", "import", "all.gz")
    lab.store.close()
    lab.store = Store(load(lab.config).database_url)
