"""`vfo report`: its forms, its exit codes, and what is wrong input."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from state import backups, openings
from state.backups import Backup
from state.openings import Opening
from state.store import Store
from tests.cli.conftest import Vfo

POLICY = """
[products.nas]
plugin = "xva"
folder = "saved"

[windows.yearly]
schedule = "0 0 29 2 *"
duration = "1h"

[policies.nightly]
vms = { names = ["*"] }
product = "nas"
window = "yearly"
"""


EARLIER = datetime.now(UTC) - timedelta(hours=2)
DAILY = POLICY.replace("0 0 29 2 *", f"{EARLIER.minute} {EARLIER.hour} * * *")


@pytest.fixture
def saved(tmp_path: Path, configured: dict[str, Any]) -> Path:
    """A configuration with a policy, and a catalogue with one VM that is saved and one that failed three days ago."""
    with (tmp_path / "vfo.toml").open("a") as file:
        file.write(POLICY)
    now = datetime.now(UTC)
    store = Store(f"sqlite:///{tmp_path / 'vfo.sqlite3'}")
    with store.write() as session:
        for name, status, began in (("web-1", "saved", now - timedelta(hours=1)), ("web-2", "failed", now - timedelta(days=3))):
            backups.put(session, Backup(
                id=uuid4(), pool="lab", vm=name, vm_name=name, policy="nightly", product="nas", window="yearly", opened_at=began,
                status=status, reason="" if status == "saved" else "the disk is full", began_at=began, ended_at=began, size=1 << 30,
            ))  # fmt: skip
    store.close()
    return tmp_path


def test_all_saved_is_0(vfo: Vfo, saved: Path) -> None:
    """By default of the last 24 hours."""
    answer = vfo("report")
    assert (answer.code, answer.err) == (0, "")
    assert "web-1" in answer.out
    assert "web-2" not in answer.out
    assert "1 saved" in answer.out


@pytest.mark.parametrize("since", ["7d", (datetime.now(UTC) - timedelta(days=5)).date().isoformat()])
def test_something_that_was_not_saved_is_1(vfo: Vfo, saved: Path, since: str) -> None:
    """A duration or a day; why is said."""
    answer = vfo("report", "--since", since)
    assert answer.code == 1
    assert "the disk is full" in answer.out


def test_for_programs_and_as_a_page(vfo: Vfo, saved: Path) -> None:
    """The same as JSON, and as HTML."""
    made = vfo("report", "--since", "7d", "--json").json
    assert [(row["vm_name"], row["status"]) for row in made["backups"]] == [("web-2", "failed"), ("web-1", "saved")]
    assert (made["well"], made["sums"]["failed"], made["sums"]["size"]) == (False, 1, 2 << 30)
    page = vfo("report", "--since", "7d", "--html")
    assert page.code == 1
    assert page.out.startswith("<!DOCTYPE html>")
    assert "the disk is full" in page.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "yesterday"), "--since 'yesterday': write a duration"),
        (("--policy", "weekly"), "--policy 'weekly': there is no policy 'weekly', and nothing was saved by one"),
        (("--pool", "far"), "--pool 'far'"),
        (("--html", "--json"), "--html and --json do not go together"),
    ],
)
def test_wrong_input_is_2(vfo: Vfo, saved: Path, words: tuple[str, ...], says: str) -> None:
    """In one line, with what to write instead."""
    answer = vfo("report", *words)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err


def test_a_fresh_installation_has_forgotten_nobody(vfo: Vfo, tmp_path: Path, configured: dict[str, Any]) -> None:
    """Its window would have opened two hours ago, before anybody looked; from then on it counts, and a pause is said."""
    with (tmp_path / "vfo.toml").open("a") as file:
        file.write(DAILY)
    answer = vfo("report")
    assert (answer.code, answer.out.strip().partition(";")[0]) == (0, "no backup, and no policy whose window opened")
    store, at = Store(f"sqlite:///{tmp_path / 'vfo.sqlite3'}"), EARLIER - timedelta(days=3)
    schedule = DAILY.partition('schedule = "')[2].partition('"')[0]
    with store.write() as session:
        watched = f"{openings.WATCHED}{schedule} UTC"
        openings.note(session, Opening(window="yearly", pool="lab", opens_at=at, closes_at=at, status=watched, noted_at=at))
    answer = vfo("report")
    assert (answer.code, "forgotten" in answer.out) == (1, True)
    with store.write() as session:
        backups.pause(session, "nightly", by="ann", now=at)
    store.close()
    rows = json.loads(vfo("report", "--json").out)["backups"]
    assert rows
    assert {(row["status"], row["why"]) for row in rows} == {("skipped", f"the policy is paused by ann since {at:%Y-%m-%d %H:%M} UTC")}
