from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Vfo

WANTED = '\n[sriov.fast]\nnetwork = "fast"\nports = { device = "eth2" }\n'


@pytest.fixture
def wanted(tmp_path: Path, configured: dict[str, Any]) -> Path:
    """A configuration that wants SR-IOV on eth2."""
    path = tmp_path / "vfo.toml"
    path.write_text(path.read_text() + WANTED)
    return path


def test_a_plan_says_what_would_be_done_and_does_nothing(vfo: Vfo, wanted: Path) -> None:
    """`plan` and `enable --dry-run` are one: sentences, calls, refusals; no run is started."""
    (plan,) = vfo("sriov", "plan", "--json").json
    assert plan["title"] == "enable-sriov of [sriov.fast], pool lab"
    assert plan["calls"] == ["network.create", "network_sriov.create"]
    assert vfo("sriov", "enable", "fast", "--dry-run", "--json").json == [plan]
    said = vfo("sriov", "plan", "fast")
    assert (said.code, "Nothing was changed." in said.out) == (0, True)
    assert vfo("runs", "--all", "--json").json == []


def test_what_cannot_be_is_exit_code_1(vfo: Vfo, wanted: Path) -> None:
    """The plan gives the reason that the run would give."""
    wanted.write_text(wanted.read_text().replace("eth2", "eth9"))
    said = vfo("sriov", "plan")
    assert (said.code, "refused: no port fits device 'eth9'" in said.out) == (1, True)


def test_the_status_shows_every_port_and_whether_anybody_sees_to_it(vfo: Vfo, wanted: Path) -> None:
    """Before anybody enabled it; and while a run is at work."""
    (row,) = vfo("sriov", "status", "--json").json
    assert (row["is_so"], row["kept"], row["why"]) == (False, False, "nobody has said `vfo sriov enable fast` yet")
    assert [(port["host"], port["state"]) for port in row["ports"]] == [(f"host{n}", "not enabled") for n in (1, 2, 3)]
    (started,) = vfo("sriov", "enable", "--json").json
    assert (started["workflow"], started["subject"], started["created"]) == ("enable-sriov", "sriov:fast", True)
    (row,) = vfo("sriov", "status", "fast", "--json").json
    assert (row["run"], row["why"]) == (started["run"], f"run {started['run'][:8]} (enable-sriov) is at work")
    assert "is not as it is wanted" in vfo("sriov", "status").out


def test_to_disable_is_planned_and_started(vfo: Vfo, wanted: Path) -> None:
    """Where there is nothing, the plan says so."""
    (plan,) = vfo("sriov", "disable", "fast", "--dry-run", "--json").json
    assert plan["sentences"] == ["no port has SR-IOV on network 'fast': nothing is to be done"]
    (started,) = vfo("sriov", "disable", "fast", "--json").json
    assert started["workflow"] == "disable-sriov"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sriov", "enable", "slow"), "sriov 'slow': vfo.toml has no table [sriov.slow]; it has fast"),
        (("sriov", "disable"), "Missing argument"),
        (("sriov", "status", "--pool", "other"), "--pool 'other'"),
    ],
)
def test_what_was_typed_wrongly_is_told(vfo: Vfo, wanted: Path, words: tuple[str, ...], says: str) -> None:
    """One line, and exit code 2."""
    said = vfo(*words)
    assert (said.code, says in said.err) == (2, True), said


def test_without_a_table_there_is_nothing_to_enable(vfo: Vfo, configured: dict[str, Any]) -> None:
    """The configuration says what is wanted; a command alone does not."""
    said = vfo("sriov", "enable")
    assert (said.code, "has no table [sriov.NAME]" in said.err) == (2, True)
