from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Vfo

TABLES = """
[products.nas]
plugin = "xva"
directory = "{folder}/nas"

[windows.night]
schedule = "0 22 * * *"
duration = "8h"
blackouts = ["2026-12-24..2026-12-26"]

[windows.never-used]
schedule = "0 3 * * 6"
duration = "2h"

[policies.web]
vms = {{ names = ["web-*"] }}
product = "nas"
window = "night"
mode = "online"

[policies.auto]
vms = {{ power_state = "Running" }}
product = "nas"

[policies.none]
vms = {{ names = ["nobody"] }}
product = "nas"
"""


@pytest.fixture
def written(configured: dict[str, Any], tmp_path: Path) -> Path:
    """A configuration with windows and policies."""
    with (tmp_path / "vfo.toml").open("a") as file:
        file.write(TABLES.format(folder=tmp_path))
    return tmp_path


def test_windows_are_listed_and_shown_with_their_openings(vfo: Vfo, written: Path) -> None:
    """For people and for programs."""
    rows = vfo("window", "list", "--json").json
    assert [(row["name"], row["policies"]) for row in rows] == [("night", ["web"]), ("never-used", [])]
    coming = vfo("window", "next", "--count", "3", "--json").json
    assert [row["opens"] for row in coming] == sorted(row["opens"] for row in coming)
    shown = vfo("window", "show", "night", "--json").json
    assert (len(shown["next"]), shown["last"], shown["blackouts"]) == (5, [], ["2026-12-24..2026-12-26"])
    assert "not on 2026-12-24..2026-12-26" in vfo("window", "show", "night").out
    assert vfo("window", "show", "night", "--ical").out.count("BEGIN:VEVENT") == 100


def test_the_times_of_a_window_are_those_of_its_own_zone(vfo: Vfo, written: Path) -> None:
    """Whatever the zone of the machine: named with each; what is typed is of that zone too, unless it names another."""
    with (written / "vfo.toml").open("a") as file:
        file.write('[windows.east]\nschedule = "30 3 * * *"\nduration = "1h"\ntimezone = "Asia/Kolkata"\n')
    for words in (("list",), ("next", "--count", "9"), ("show", "east")):
        said = vfo("window", *words, TZ="America/New_York").out
        assert " 03:30 IST" in said
        assert "Asia/Kolkata" in said
        assert "EST" not in said
    for at in ("2027-03-01T23:00", "2027-03-01T18:00-05:00"):
        (plan,) = vfo("window", "plan", "night", "--at", at, "--json", TZ="America/New_York").json
        assert plan["begins"] == "2027-03-01T23:00:00Z"
    assert "paused (EST/EDT)" in vfo("policy", "list", TZ="America/New_York").out


def test_the_plan_of_a_night_is_drawn_and_written(vfo: Vfo, written: Path) -> None:
    """Of the opening that was asked for, with everybody whom its policies mean."""
    (plan,) = vfo("window", "plan", "night", "--at", "2027-03-01T12:00+00:00", "--json").json
    assert plan["begins"] == "2027-03-01T22:00:00Z"
    names = {slot["name"] for slot in plan["slots"]}
    assert names
    assert all(name.startswith("web-") for name in names)
    drawn = vfo("window", "plan", "night", "--svg", "night.svg").out
    assert all(name in drawn for name in names)
    assert (written / "night.svg").read_text().startswith("<svg ")


def test_a_policy_is_paused_and_goes_on(vfo: Vfo, written: Path) -> None:
    """It is listed with the name of who paused it, and is not run meanwhile."""
    assert vfo("policy", "pause", "web", "--json").json["paused"] is True
    (web, _, none) = vfo("policy", "list", "--json").json
    assert web["paused_by"]
    assert none["paused_by"] is None
    answer = vfo("policy", "run", "web")
    assert (answer.code, "`vfo policy resume web` first" in answer.err) == (1, True)
    assert vfo("policy", "show", "web", "--json").json["meant"]
    assert vfo("policy", "resume", "web", "--json").json == {"policy": "web", "paused": False, "by": None, "at": None}


def test_a_policy_is_run_by_hand(vfo: Vfo, written: Path) -> None:
    """Said first with the mode and the time of each VM; one run for each pool, which may be narrowed to some VMs."""
    (plan,) = vfo("policy", "run", "web", "--dry-run", "--json").json
    assert all("mode online" in said and "about" in said and "never saved" in said for said in plan["sentences"])
    (plan,) = vfo("policy", "run", "auto", "--dry-run", "--json").json
    assert any("mode online: the product does not mind VFs" in said for said in plan["sentences"])
    one = vfo("policy", "show", "web", "--json").json["meant"][0]
    (run,) = vfo("policy", "run", "web", "--vm", one["name"], "--json").json
    assert (run["workflow"], run["subject"], run["created"]) == ("keep-window", "policy:web", True)
    assert vfo("runs", "--json").json[0]["title"] == "policy web"
    assert [row["created"] for row in vfo("policy", "run", "web", "--json").json] == [False]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("window", "show", "day"), 2, "window 'day': there is none of that name, in vfo.toml or written; there are night, never-used"),
        (("window", "show", "night", "--ical", "--json"), 2, "--ical and --json do not go together"),
        (("window", "plan", "night", "--at", "soon"), 2, "--at 'soon': write a day or a moment, such as 2026-12-01T22:00"),
        (("window", "plan", "night", "--svg", "/no/such/file.svg"), 1, "--svg /no/such/file.svg: it cannot be written: No such file"),
        (("window", "plan", "night", "--svg", ""), 2, "--svg '': it is empty: write the name of a file, such as night.svg"),
        (("window", "plan", "night", "--svg", "."), 2, "--svg '.': it is a folder: write the name of a file, such as night.svg"),
        (("policy", "show", "db"), 2, "policy 'db': there is none of that name, in vfo.toml or written; there are web, auto, none"),
        (("policy", "resume", "db"), 2, "policy 'db': there is none of that name, in vfo.toml or written; there are web, auto, none"),
        (("policy", "run", "web", "--vm", "db-01"), 2, "--vm 'db-01': policy 'web' does not mean it"),
        (("policy", "run", "none"), 1, "policy 'none' means no VM of lab"),
    ],
)
def test_wrong_input_is_one_clear_line(vfo: Vfo, written: Path, words: tuple[str, ...], code: int, says: str) -> None:
    """The line names the thing, its value and what to do."""
    answer = vfo(*words)
    assert (answer.code, "Traceback" in answer.err) == (code, False)
    assert says in answer.err
    assert not answer.out
