from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from state import runs
from state.store import Store
from tests.cli.conftest import Vfo
from workflows.outcome import Request


@pytest.fixture
def names(vfo: Vfo, configured: dict[str, Any]) -> list[str]:
    """VMs that run with a VF."""
    return sorted(user["name"] for row in vfo("vfs", "--json").json for user in row["users"])


def test_a_plan_is_printed_and_nothing_started(vfo: Vfo, names: list[str]) -> None:
    """With the mode and why, the sentences and the calls; for people and for programs."""
    words = ("backup", "prepare", names[0], "--dry-run")
    (plan,) = vfo(*words, "--json").json
    assert plan["title"] == f"prepare-backup of VM {names[0]}"
    assert plan["sentences"][0] == "mode offline: the product wants no VF while the snapshot is taken ([backup] needs)"
    assert plan["calls"][3:7] == ["VM.clean_shutdown", "VIF.move", "VM.snapshot", "VIF.move"]
    said = vfo(*words)
    assert (said.code, "Nothing was changed." in said.out, "start it where it ran" in said.out) == (0, True, True)
    assert vfo("runs", "--all", "--json").json == []


def test_a_plan_that_would_be_refused_is_exit_code_1(vfo: Vfo, names: list[str]) -> None:
    """With the reason that the run itself would give."""
    said = vfo("backup", "prepare", names[0], "--mode", "failover", "--dry-run")
    assert (said.code, "refused: mode failover needs an ordinary network" in said.out) == (1, True)


def test_several_vms_are_given_a_run_each(vfo: Vfo, names: list[str]) -> None:
    """The ids are printed; asked again, the same runs are at work."""
    words = ("backup", "prepare", *names[:2], "--mode", "online", "--hold", "2h", "--json")
    rows = vfo(*words).json
    assert [(row["title"], row["created"]) for row in rows] == [(f"VM {name}", True) for name in names[:2]]
    assert [row["created"] for row in vfo(*words).json] == [False, False]


def test_what_is_not_held_cannot_be_released(vfo: Vfo, names: list[str]) -> None:
    """Exit code 1, and what there is instead."""
    said = vfo("backup", "release", names[0])
    assert (said.code, "nothing of it is held for a backup" in said.err) == (1, True)
    vfo("backup", "prepare", names[0])
    said = vfo("backup", "release", names[0])
    assert (said.code, "is being prepared: `vfo run " in said.err) == (1, True)


def test_a_release_is_planned_and_then_named(vfo: Vfo, names: list[str], tmp_path: Path) -> None:
    """Its run is there already: `--dry-run` leaves it, without that its id is printed and it is approved."""
    uuid = vfo("backup", "prepare", names[0], "--json").json[0]["subject"].removeprefix("vm:")
    data = {"vm": uuid, "vm_name": names[0], "snapshot": "s", "vifs": [], "failed_over": False, "retention": 3600.0}
    store = Store(f"sqlite:///{tmp_path}/vfo.sqlite3")
    with store.write() as session:
        held, _ = runs.create(session, Request("release-backup", "lab", "snapshot:s", f"VM {names[0]}", data), now=datetime.now(UTC))
    store.close()
    (plan,) = vfo("backup", "release", names[0], "--dry-run", "--json").json
    assert plan["sentences"] == [
        "end the hold: the product is done",
        "keep the snapshot for 1:00:00",
        "destroy the snapshot with its disks",
    ]
    assert vfo("run", str(held.id), "--json").json["approved_by"] is None
    said = vfo("backup", "release", names[0])
    assert (said.code, f"run {held.id}: release-backup of VM {names[0]}" in said.out) == (0, True), said
    assert vfo("run", str(held.id), "--json").json["approved_by"]


def test_nothing_is_recovered_where_nothing_of_ours_is(vfo: Vfo, names: list[str]) -> None:
    """Said in a sentence, and as an empty list."""
    said = vfo("recover")
    assert (said.code, "there is nothing to put right" in said.out) == (0, True)
    assert vfo("recover", "--dry-run", "--json").json == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("backup", "prepare", "nobody"), "VM 'nobody': there is none of that name or uuid"),
        (("backup", "release", "nobody"), "VM 'nobody': there is none of that name or uuid"),
        (("backup", "prepare", "VM", "--hold", "long"), "--hold 'long': write a duration such as \"30s\""),
        (("backup", "prepare", "VM", "--keep", "-1d"), "--keep '-1d': write a duration"),
        (("backup", "prepare", "VM", "--mode", "fast"), "--mode"),
        (("recover", "--pool", "other"), "has no pool of that name"),
    ],
)
def test_wrong_input_is_exit_code_2(vfo: Vfo, names: list[str], words: tuple[str, ...], says: str) -> None:
    """One line that says what to write."""
    said = vfo(*(names[0] if word == "VM" else word for word in words))
    assert (said.code, says in said.err) == (2, True), said.err


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ('needs = "job"', "needs fallback_network"),
        ("memory = true", "memory = true: it means mode failover, which needs fallback_network"),
        ('no_vf = ["hope"]', "no_vf"),
        ('shutdown = "soft"', "shutdown"),
        ("retention = 1.5x", "vfo.toml"),
        ("max_snapshot = 3", "max_snapshot"),
    ],
)
def test_a_wrong_setting_is_exit_code_2(vfo: Vfo, configured: dict[str, Any], tmp_path: Path, written: str, says: str) -> None:
    """One line that names it."""
    with (tmp_path / "vfo.toml").open("a") as file:
        file.write(f"[backup]\n{written}\n")
    said = vfo("runs")
    assert (said.code, says in said.err) == (2, True), said.err
