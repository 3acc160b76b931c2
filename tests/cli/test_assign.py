from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Vfo


@pytest.fixture
def names(vfo: Vfo, configured: dict[str, Any]) -> list[str]:
    """VMs that run with a VF."""
    return sorted(user["name"] for row in vfo("vfs", "--json").json for user in row["users"])


def test_a_plan_is_printed_and_nothing_started(vfo: Vfo, names: list[str]) -> None:
    """For people with sentences and calls, for programs as JSON."""
    words = ("assign", names[0], "--network", "SR-IOV", "--device", "3", "--when", "now", "--dry-run")
    (plan,) = vfo(*words, "--json").json
    assert plan["title"] == f"assign-vf of VM {names[0]}"
    assert plan["calls"][1:3] == ["VM.clean_shutdown", "VIF.create"]
    said = vfo(*words)
    assert (said.code, "Nothing was changed." in said.out, "device 3, MAC" in said.out) == (0, True, True)
    assert vfo("runs", "--all", "--json").json == []


def test_a_plan_that_would_be_refused_is_exit_code_1(vfo: Vfo, names: list[str]) -> None:
    """With the reason that the run itself would give."""
    said = vfo("assign", names[0], "--network", "SR-IOV", "--device", "0", "--mac", "02:00:00:00:00:51", "--dry-run")
    assert (said.code, "refused: device 0" in said.out) == (1, True)


def test_several_vms_are_given_a_run_each(vfo: Vfo, names: list[str]) -> None:
    """The ids are printed; asked again, the same runs are at work."""
    words = ("assign", *names[:2], "--network", "SR-IOV", "--device", "4", "--json")
    rows = vfo(*words).json
    assert [(row["title"], row["created"]) for row in rows] == [(f"VM {name}", True) for name in names[:2]]
    assert [(row["run"], row["created"]) for row in vfo(*words).json] == [(row["run"], False) for row in rows]


def test_a_release_is_planned_and_started(vfo: Vfo, names: list[str]) -> None:
    """All VIFs that take a VF, unless some are named."""
    (plan,) = vfo("release", names[0], "--when", "now", "--dry-run", "--json").json
    assert plan["title"] == f"release-vf of VM {names[0]}"
    assert "VIF.destroy" in plan["calls"]
    refused = vfo("release", names[0], "--vif", "9", "--dry-run")
    assert (refused.code, "has no VIF 9" in refused.out) == (1, True)
    (row,) = vfo("release", names[0], "--vif", "0", "--json").json
    assert row["workflow"] == "release-vf"


@pytest.mark.parametrize("written", ["zz", "7"])
def test_a_vif_that_the_vm_has_not_is_said_before_there_is_a_run(vfo: Vfo, names: list[str], written: str) -> None:
    """A wrong name, with those that are right; for programs too."""
    for more in ((), ("--json",), ("--wait",)):
        said = vfo("release", *names[:2], "--vif", written, *more)
        assert (said.code, said.out) == (2, "")
        assert [f"vfo: --vif: VM {name} has no VIF {written}; it has 0 (" in said.err for name in names[:2]] == [True, True], said.err
    assert vfo("runs", "--all", "--json").json == []


def test_what_stands_against_it_is_said_before_there_is_a_run(vfo: Vfo, names: list[str]) -> None:
    """Understood, but not so: the MAC of another VM, a device that is taken; as `--dry-run` says it, of each VM."""
    mac = vfo("release", names[1], "--vif", "zz").err.partition("it has 0 (")[2][:17]
    said = vfo("assign", names[0], "--network", "SR-IOV", "--mac", mac, "--wait")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"vfo: VM {names[0]}: MAC {mac} is in use: by VM {names[1]} ("), said.err
    taken = vfo("assign", *names[:2], "--network", "SR-IOV", "--device", "0", "--qos-kbps", "5", "--when", "now", "--json")
    assert (taken.code, taken.err) == (0, ""), taken.err  # they have what is asked for: a run says so
    asked = vfo("assign", names[2], "--network", "SR-IOV", "--device", "0", "--mac", "02:00:00:00:00:51")
    assert (asked.code, f"vfo: device 0 of VM {names[2]} is taken" in asked.err) == (1, True), asked.err
    assert {row["title"] for row in vfo("runs", "--all", "--json").json} == {f"VM {name}" for name in names[:2]}


def test_a_window_that_is_not_there_is_answered_with_those_that_are(vfo: Vfo, names: list[str], tmp_path: Path) -> None:
    """Exit code 2; a window by its right name is taken."""
    config = tmp_path / "vfo.toml"
    window = '[maintenance.{}]\nschedule = "0 2 * * *"\nduration = "1h"\n'
    config.write_text(config.read_text() + window.format("nights") + window.format("sundays"))
    said = vfo("release", names[0], "--when", "window:night", "--dry-run")
    assert (said.code, "there is no table [maintenance.night]: there is nights, sundays" in said.err) == (2, True), said.err
    right = vfo("assign", names[0], "--network", "SR-IOV", "--device", "3", "--when", "window:nights", "--qos-kbps", "2048", "--dry-run")
    assert (right.code, "limited to 2048 kbps" in right.out) == (0, True), right.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("assign", "nobody", "--network", "SR-IOV"), "VM 'nobody': there is none of that name or uuid"),
        (("assign", "VM", "--network", "nowhere"), "network 'nowhere': there is none of that name or uuid"),
        (("assign", "VM", "--network", "SR-IOV", "--mac", "02:00"), "--mac: MAC '02:00': write six pairs"),
        (("assign", "VM", "--network", "SR-IOV", "--mac", "03:00:00:00:00:01"), "it is a multicast address"),
        (("assign", "VM", "--network", "SR-IOV", "--device", "eth0"), "--device 'eth0': write a number"),
        (("assign", "a", "b", "--network", "SR-IOV", "--mac", "02:00:00:00:00:01"), "2 VMs cannot have the same MAC"),
        (("assign", "VM", "--network", "SR-IOV", "--when", "window"), "--when window: vfo.toml: there is no table [maintenance.NAME]"),
        (("release", "VM", "--when", "window:nix"), "--when window:nix: vfo.toml: there is no table [maintenance.nix], nor any other"),
        (("release", "VM", "--when", "soon"), "vfo: --when soon: write now, next-halt, window or window:NAME"),
        (("assign", "VM", "--network", "SR-IOV", "--when", "window:"), "vfo: --when window:: write now, next-halt, window or"),
        (("assign", "VM", "--network", "SR-IOV", "--qos-kbps", "-1"), "--qos-kbps"),
        (("assign", "VM"), "--network"),
    ],
)
def test_wrong_input_is_exit_code_2(vfo: Vfo, names: list[str], tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """One line that says what to write."""
    said = vfo(*(names[0] if word == "VM" else word for word in words))
    assert (said.code, says in said.err) == (2, True), said.err
