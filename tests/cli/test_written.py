import tomllib
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import written
from orchestrator.cli.failures import WrongInput
from tests.cli.conftest import Vfo

TABLES = """
[products.nas]
plugin = "xva"
directory = "{folder}/nas"

[policies.web]
vms = {{ names = ["web-*"] }}
product = "nas"
retention = {{ last = 3 }}
"""
DAY = 'schedule = "0 13 * * *"\nduration = "2h"\nblackouts = [2026-12-24]\n'
ALL = '[policies.all]\nvms = { names = ["*"], exclude = { tags = ["no \\"way\\""] } }\nproduct = "nas"\nwindow = "day"\nmode = "online"\n'


@pytest.fixture
def folder(configured: dict[str, Any], tmp_path: Path) -> Path:
    """A configuration with a product and a policy; and what is to be written."""
    with (tmp_path / "vfo.toml").open("a") as file:
        file.write(TABLES.format(folder=tmp_path))
    (tmp_path / "day.toml").write_text(DAY)
    (tmp_path / "all.toml").write_text(ALL)
    return tmp_path


def test_a_policy_is_tried_written_listed_shown_and_removed(vfo: Vfo, folder: Path) -> None:
    """Where each comes from is said; as TOML it can be kept in the file, where it means the same."""
    assert vfo("window", "write", "day", "--file", "day.toml").out.startswith("window day is written")
    tried = vfo("policy", "write", "all", "--file", "all.toml", "--dry-run").out
    assert all(word in tried for word in ("save web-01 by nas, mode online", "its window opens next", "Nothing was written."))
    assert vfo("policy", "write", "all", "--file", "all.toml", "--json").json["created"]
    listed = vfo("policy", "list").out
    assert "vfo.toml" in listed
    assert "written by " in listed
    (folder / "all.toml").write_text(ALL + "priority = 3\n")
    assert vfo("policy", "write", "all", "--file", "all.toml").out.strip() == "policy all is changed: priority"
    shown = vfo("policy", "show", "all", "--toml").out
    assert tomllib.loads(shown) == tomllib.loads(ALL + "priority = 3\n")
    (folder / "vfo.toml").write_text((folder / "vfo.toml").read_text() + vfo("window", "show", "day", "--toml").out + shown)
    both = vfo("policy", "list")
    assert "policy all, written by" in both.err
    assert "has a table [policies.all], which holds" in both.err
    assert "policy all is removed" in vfo("policy", "remove", "all").out


def test_what_cannot_be_written_is_a_clear_line(vfo: Vfo, folder: Path) -> None:
    """It names the key, its value and what to do."""
    answer = vfo("policy", "write", "all", "-f", "all.toml")
    assert (answer.code, "Traceback" in answer.err) == (2, False)
    assert "policies.all.window = 'day': there is no table [windows.day] (there are: none)" in answer.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            ALL + DAY.replace("schedule", "[windows.day]\nschedule"),
            r"write the keys of the table, or the table \[policies.web\] and no other",
        ),
        (ALL, r"or the table \[policies.web\] and no other"),
        ("policies = 3", "and no other"),
        ("a = ", "it is not TOML"),
        (None, "it cannot be read"),
    ],
)
def test_a_file_is_one_table(tmp_path: Path, text: str | None, says: str) -> None:
    """Its keys alone, or with its head."""
    file = tmp_path / "table.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(WrongInput, match=says):
        written.table(str(file), "policies", "web")
    file.write_text(ALL)
    assert written.table(str(file), "policies", "all") == tomllib.loads(ALL)["policies"]["all"]
