"""Restore points beside products that list none, that are configured wrongly, and that are not the one that an id names."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Vfo
from tests.cli.test_restore import shelf, typed

SILENT = '\n[products.vendor]\nplugin = "command"\njob = ["/bin/true"]\n'
WEBHOOK = '[products.service]\nplugin = "webhook"\nurl = "http://127.0.0.1:9/"\nsecret = "0123456789abcdef"\n'
AWAY = '\n[products.away]\nplugin = "away"\n'
NOT_LISTED = "vfo: what is kept by 'vendor' and 'service' is not listed: such a product is asked by its own means\n"


@pytest.fixture
def backup(tmp_path: Path, configured: dict[str, Any], vfo: Vfo) -> Vfo:
    """Types `vfo backup ...` where a product lists two points, and two products list none."""
    shelf(tmp_path)
    add(tmp_path, SILENT + WEBHOOK)
    return lambda *words: typed(vfo, tmp_path, *words)


def add(folder: Path, text: str) -> None:
    with (folder / "vfo.toml").open("a") as file:
        file.write(text)


def test_a_product_that_cannot_list_is_not_asked(backup: Vfo) -> None:
    """The others are listed, a line says whose points are not, and nothing is amiss."""
    said = backup("list")
    assert (said.code, said.err) == (0, NOT_LISTED)
    assert "taken at (" in said.out
    assert all(point in said.out for point in ("abc-1", "abd-2"))
    assert [one["id"] for one in backup("list", "--json").json] == ["abc-1", "abd-2"]
    alone = backup("list", "--product", "vendor")
    assert (alone.code, alone.out) == (0, "")
    assert "what is kept by 'vendor' is not listed" in alone.err


def test_an_id_may_be_shortened_beside_a_product_that_cannot_list(backup: Vfo) -> None:
    """No point of such a product can be meant."""
    (run,) = backup("restore", "abc", "--as", "web-new", "--json").json
    assert run["subject"] == "restore:web-new"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (
            "nope",
            "ID 'nope': there is no such restore point; the latest are abc-1 (web-01), abd-2 (web-02): `vfo backup list` has all; what is",
        ),
        ("", "ID '': it is empty: write the beginning of one"),
        (" ", "ID ' ': it is empty"),
        ("shelf/", "ID 'shelf/': it is empty"),
        ("shelf/nope", "ID 'shelf/nope': there is no such restore point in product 'shelf'; the latest are abc-1"),
        (
            "vendor/x",
            "ID 'vendor/x': there is no such restore point in product 'vendor'; the latest are none: `vfo backup list` has all; what is",
        ),
    ],
)
@pytest.mark.parametrize("command", [("restore",), ("verify",)])
def test_an_id_that_is_none_is_wrong_input(backup: Vfo, command: tuple[str, ...], written: str, says: str) -> None:
    """Exit code 2, with the value."""
    said = backup(*command, written)
    assert (said.code, said.err.startswith(f"vfo: {says}")) == (2, True), said.err


def test_an_id_that_names_its_product_concerns_that_one_alone(backup: Vfo, tmp_path: Path) -> None:
    """A point that retention removed is gone, whoever else cannot be asked."""
    add(tmp_path, AWAY)
    said = backup("restore", "shelf/ac630de5")
    assert (said.code, "there is no such restore point in product 'shelf'" in said.err, "away" in said.err) == (2, True, False), said.err
    said = backup("restore", "away/ac630de5")
    assert (said.code, "product 'away' cannot be asked for its restore points: nobody answers" in said.err) == (1, True), said.err


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('plugin = "bork"', "products.nas: there is no plugin 'bork'"),
        ('plugin = "restic"\nrepository = "r"\npassphrase_file = "gone"', "products.nas.passphrase_file = 'gone': there is no such file"),
        ('plugin = "borg"\nrepository = "r"\npassphrase_file = "x"\npassphrase = "y"', "products.nas.passphrase: give at most one of"),
        ('plugin = "xva"\ndirectory = "."\ncolour = 1', "products.nas.colour = 1: there is no such setting"),
    ],
)
def test_wrong_settings_of_a_product_are_wrong_input(backup: Vfo, tmp_path: Path, table: str, says: str) -> None:
    """With the line of the file, once; what the others have is listed all the same, and can be had by its product's name."""
    add(tmp_path, f"\n[products.nas]\n{table}\n")
    line = (tmp_path / "vfo.toml").read_text().splitlines().index("[products.nas]") + 1
    said = backup("list", "--json")
    assert (said.code, [one["id"] for one in json.loads(said.out)]) == (2, ["abc-1", "abd-2"])
    (told,) = [one for one in said.err.splitlines() if says in one]
    assert told.startswith("vfo: vfo.toml:")
    assert line <= int(told.split(":")[2]) <= line + 4
    assert backup("verify", "shelf/abc").code == 0
    assert backup("verify", "abd").code == 2
