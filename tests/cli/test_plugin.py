"""`vfo plugin`: what there is, a new one, and whether it keeps the contract."""

import json
import re
import subprocess
import sys
from pathlib import Path

from plugins import kinds
from tests.cli.conftest import Vfo

WRONG = (
    ('plugin = "bork"', "1: products.nas: there is no plugin 'bork'"),
    ('plugin = "log"', "1: products.nas: plugin 'log' is no product"),
    ('plugin = "xva"\ndirectory = "."\ncolour = 1', "4: products.nas.colour = 1: there is no such setting; there are directory"),
    ('plugin = "borg"\nrepository = "r"\npassphrase_file = "gone"', "4: products.nas.passphrase_file = 'gone': there is no such file"),
    ('plugin = "borg"\nrepository = "r"\npassphrase_env = "X"\npassphrase = "y"', "5: products.nas.passphrase: give at most one of"),
)
METADATA = "Metadata-Version: 2.1\nName: vfo-{name}\nVersion: 0.3\n"


def install(folder: Path, name: str, target: str = "") -> str:
    """Install what `vfo plugin new` wrote, as pip would; what PYTHONPATH must be."""
    info = folder / f"vfo-{name}" / f"vfo_{name}-0.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA.format(name=name))
    (info / "entry_points.txt").write_text(f"[vf_orchestrator]\n{name} = {target or f'vfo_{name}:{name.capitalize()}'}\n")
    return f"{info.parent}:{Path(__file__).parents[2]}"


def test_the_list_says_what_there_is_and_how_it_stands(vfo: Vfo) -> None:
    """Every shipped plugin; the log is an observer."""
    found = {row["name"]: row for row in vfo("plugin", "list", "--json").json}
    assert found.keys() >= kinds.SHIPPED.keys()
    assert (found["log"]["kind"], found["log"]["state"]) == ("observing", "ok")
    assert {"run_ended", "host_changed"} <= set(found["log"]["hooks"])


def test_the_list_says_which_table_fails_on_which_line_and_why(vfo: Vfo, tmp_path: Path) -> None:
    """What stands in the configuration is exit code 2, and the others are listed all the same."""
    for table, says in WRONG:
        (tmp_path / "vfo.toml").write_text(f"[products.nas]\n{table}\n")
        said = vfo("plugin", "list", "--json")
        row = next(row for row in json.loads(said.out) if row["table"] == "products.nas")
        assert (said.code, row["state"]) == (2, "failed")
        assert said.err.startswith(f"vfo: vfo.toml:{says}"), said.err
        assert said.err.count("\n") == 1


def test_a_plugin_that_raises_or_prints_at_import_is_a_line_of_the_list(vfo: Vfo, tmp_path: Path) -> None:
    """What it prints is not in the way of who reads the JSON."""
    path = install(tmp_path, "loud", "loud_module")
    (tmp_path / "vfo-loud" / "loud_module.py").write_text("print('hello')\nraise RuntimeError('no licence')\n")
    said = vfo("plugin", "list", "--json", PYTHONPATH=path)
    row = next(row for row in said.json if row["name"] == "loud")
    assert (row["origin"], row["version"], row["state"]) == ("vfo-loud", "0.3", "failed")
    assert "RuntimeError: no licence" in row["why"]
    assert (said.code, "vfo: loud: importing loud_module" in said.err) == (1, True)
    (tmp_path / "vfo.toml").write_text('[products.nas]\nplugin = "loud"\n')
    said = vfo("plugin", "list", PYTHONPATH=path)
    assert (said.code, "vfo.toml:1: products.nas: importing loud_module" in said.err) == (1, True)


def test_a_new_plugin_passes_its_own_tests_and_the_check(vfo: Vfo, tmp_path: Path) -> None:
    """As it was written: the package is listed, its tests pass, and it keeps the contract on a simulated pool."""
    made = vfo("plugin", "new", "shelf", "--json").json
    assert (made["name"], made["folder"]) == ("shelf", "vfo-shelf")
    assert all((tmp_path / written).is_file() for written in made["written"])
    path = install(tmp_path, "shelf")
    row = next(row for row in vfo("plugin", "list", "--json", PYTHONPATH=path).json if row["name"] == "shelf")
    assert (row["kind"], row["state"], row["origin"]) == ("product", "ok", "vfo-shelf")
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not contract"],
        cwd=tmp_path / "vfo-shelf", env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=100,
        check=False,
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout
    checked = vfo("plugin", "check", "shelf", "--set", "folder=saved", "--json", PYTHONPATH=path)
    assert checked.code == 0, checked.out
    assert all(one["ok"] for one in checked.json)
    assert list((tmp_path / "saved").iterdir()) == []


def test_a_broken_plugin_fails_its_check(vfo: Vfo, tmp_path: Path) -> None:
    """Exit code 1; the check that failed is named with what was seen."""
    vfo("plugin", "new", "shelf")
    plugin = tmp_path / "vfo-shelf" / "vfo_shelf.py"
    plugin.write_text(plugin.read_text().replace("found.update(piece)", "piece = piece[1:]"))
    said = vfo("plugin", "check", "shelf", "--set", "folder=saved", PYTHONPATH=install(tmp_path, "shelf"))
    assert said.code == 1
    assert re.search(r"fail  It lists what it saved .* came back", said.out)


def test_wrong_words_are_told_in_a_line(vfo: Vfo, tmp_path: Path) -> None:
    """Exit code 2, with the word and what to write."""
    (tmp_path / "vfo-there").mkdir()
    (tmp_path / "vfo-there" / "README.md").write_text("mine")
    for words, says in (
        (("new", "Borg!"), "NAME 'Borg!': write small letters"),
        (("new", "borg"), "NAME 'borg': a shipped plugin has that name"),
        (("new", "there"), "is there already: nothing was written"),
        (("check", "bork"), "NAME 'bork': there is no table and no plugin of that name"),
        (("check", "log", "--set", "x"), "--set 'x': write KEY=VALUE"),
    ):
        said = vfo("plugin", *words)
        assert said.code == 2
        assert says in said.err
    assert (tmp_path / "vfo-there" / "README.md").read_text() == "mine"
