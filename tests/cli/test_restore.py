"""What is typed to get things back, and what is said to what cannot be meant."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import look_into
from orchestrator.cli.failures import NotSo
from orchestrator.config.load import load
from orchestrator.views import points
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from plugins.values import Disk, RestorePoint
from state import runs
from state.run import Run, Status
from state.store import Store
from tests.cli.conftest import Answer, Vfo
from tests.plugins import shelves
from workflows import restore
from workflows.restore_examining import Asked

LAN = "Pool-wide network associated with eth0"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def shelf(folder: Path, sha: str = shelves.ABC) -> None:
    """The product as if it were installed, and its table."""
    shelves.install(folder, sha)
    with (folder / "vfo.toml").open("a") as file:
        file.write('\n[products.shelf]\nplugin = "shelf"\n')


@pytest.fixture
def backup(tmp_path: Path, configured: dict[str, Any], vfo: Vfo) -> Vfo:
    """Types `vfo backup ...` where the product is there."""
    shelf(tmp_path)
    return lambda *words: typed(vfo, tmp_path, *words)


def typed(vfo: Vfo, folder: Path, *words: str) -> Answer:
    return vfo("backup", *words, PYTHONPATH=f"{Path(__file__).parents[2]}:{folder}")


def test_what_products_have_is_listed_though_the_database_is_empty(backup: Vfo) -> None:
    """Of one VM where that is asked for; as JSON with all that is known."""
    listed = backup("list", "--json").json
    assert [(one["id"], one["vm_name"], one["product"]) for one in listed] == [("abc-1", "web-01", "shelf"), ("abd-2", "web-02", "shelf")]
    assert [one["id"] for one in backup("list", "--vm", "web-02", "--json").json] == ["abd-2"]
    assert "abc-1" in backup("list").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("restore", "nope"), "ID 'nope': there is no such restore point; the latest are abc-1 (web-01), abd-2 (web-02)"),
        (("restore", "ab"), "ID 'ab': 2 restore points fit: shelf/abc-1"),
        (("restore", "abc", "--sr", "nowhere"), "--sr 'nowhere': no SRs for disks"),
        (("restore", "abc", "--network-map", "x"), "--network-map 'x': write OLD=NEW"),
        (("restore", "abc", "--network-map", "x=y"), "no VIF of the backup was on 'x'; they were on SR-IOV (n-1)"),
        (("restore", "abc", "--network-map", "SR-IOV=y"), "network 'y': there is none"),
        (("restore", "abc", "--as", " "), "--as ' ': it is empty"),
        (("restore", "abc", "--as", ""), "--as '': it is empty"),
        (("restore", "abc", "--as", "a\tb"), "--as 'a\\tb': a name has letters"),
        (("restore", "abc", "--sr", ""), "--sr '': it is empty"),
        (("restore", "abc"), "is in the pool, and nothing is ever restored over a VM: choose another name with --as"),
        (("restore", "abc", "--network-map", f"SR-IOV={LAN}", "--network-map", "n-1=SR-IOV"), "'n-1' is mapped to another network already"),
        (("verify", "abc", "--sr", "Shared SR"), "--sr 'Shared SR': it is for --boot"),
        (("verify", "abc", "--boot", "--sr", "nowhere"), "--sr 'nowhere': no SRs for disks of pool lab have that name: Shared SR"),
        (("restore", "abc", "--pool", "p"), "--pool 'p'"),
        (("list", "--product", "q"), "--product 'q': vfo.toml has no product of that name; it has shelf"),
        (("files", "abc", "7", "ls"), "DISK '7': write a number, or one with a partition, as 0p1; there are 0 (root, 0 MiB)"),
        (("files", "abc", "0", "get", "etc"), "PATH 'etc': write it from the root"),
        (("files", "abc", "0", "get", "/x", "--to", "vfo.toml"), "--to 'vfo.toml': it is there already"),
        (("files", "abc", "0", "ls", "--scratch", "nowhere"), "--scratch 'nowhere': there is no such folder"),
        (("files", "abc", "0", "ls", "/"), "0 holds nothing that is known"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said_with_what_there_is(backup: Vfo, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, and the thing, the value and what to do."""
    answer = backup(*words)
    assert (answer.code, said in answer.err) == (2, True), answer.err


def runs_of(folder: Path) -> list[Run]:
    with closing(Store(f"sqlite:///{folder / 'vfo.sqlite3'}")) as store, store.read() as session:
        return runs.listed(session, statuses=frozenset(Status))


def rewritten(folder: Path, old: str, new: str) -> None:
    """The product says something else of its points."""
    text = (folder / "shelf.py").read_text()
    assert old in text
    (folder / "shelf.py").write_text(text.replace(old, new))


def test_what_stands_against_a_restore_is_said_before_there_is_a_run(backup: Vfo, tmp_path: Path, configured: dict[str, Any]) -> None:
    """All of it at once, each with what to do: a MAC in use, no room, no network; nothing is left to be cleaned up."""
    with closing(Client(load(tmp_path / "vfo.toml").pools["lab"])) as client:
        mac = next(vif.MAC for vm in PoolPort(client).vms() for vif in vm.vifs)
    rewritten(tmp_path, "02:00:00:00:00:01", mac)
    rewritten(tmp_path, '"used": 3', '"used": 1 << 60')
    rewritten(tmp_path, '"root", 3)', '"root", 1 << 60)')
    answer = backup("restore", "abc", "--as", "web-new")
    assert answer.code == 2, answer.err
    assert f"vfo: MAC {mac.lower()} is in use by VM " in answer.err
    assert "choose --new-macs" in answer.err
    assert "MiB free, and the disks want" in answer.err
    rewritten(tmp_path, '"network_name": "SR-IOV"', '"network_name": "far away"')
    answer = backup("restore", "abc", "--as", "web-new")
    assert (answer.code, "say which to take with --network-map n-1=NETWORK" in answer.err) == (2, True), answer.err
    assert runs_of(tmp_path) == []


def test_what_cannot_be_booted_here_is_not_called_unsound(backup: Vfo, tmp_path: Path) -> None:
    """It is said before the repository is read, and no run is made."""
    rewritten(tmp_path, '"memory_static_max": 1024', '"memory_static_max": 1 << 60')
    answer = backup("verify", "abc", "--boot")
    assert (answer.code, "not sound" in answer.err) == (2, False)
    assert "of memory, and the largest host of the pool has" in answer.err
    assert runs_of(tmp_path) == []


def test_what_a_look_whether_it_boots_would_do_is_said_first(backup: Vfo, tmp_path: Path) -> None:
    """Made beside, started, removed; nothing is read and no run is made. Without --boot there is nothing to plan."""
    (plan,) = backup("verify", "abc", "--boot", "--dry-run", "--json").json
    assert plan["refusals"] == []
    assert [call for call in plan["calls"] if call.startswith("VM.")] == [
        "VM.create", "VM.remove_from_blocked_operations", "VM.update_allowed_operations", "VM.start", "VM.hard_shutdown", "VM.destroy",
    ]  # fmt: skip
    assert (plan["calls"].count("VDI.create"), plan["calls"].count("VDI.destroy"), plan["calls"].count("VIF.create")) == (1, 1, 1)
    assert runs_of(tmp_path) == []
    answer = backup("verify", "abc", "--dry-run")
    assert (answer.code, "--dry-run: it is for --boot" in answer.err) == (2, True)


def test_a_restore_that_is_at_work_is_not_told_that_its_own_vm_is_in_the_way(backup: Vfo, tmp_path: Path) -> None:
    """Typed again, the command names the run, whatever that has made by now."""
    point = RestorePoint("abc-1", "r", "elsewhere", "web-01", "web-01", "nightly", NOON, ())
    assert backup("list").code == 0  # it makes the tables
    with closing(Store(f"sqlite:///{tmp_path / 'vfo.sqlite3'}")) as store, store.write() as session:
        first, _ = runs.create(session, restore.request("lab", "shelf", point, Asked("web-01")), now=NOON)
    (row,) = backup("restore", "abc", "--json").json
    assert (row["run"], row["created"]) == (str(first.id), False)


def test_while_a_product_is_away_an_id_is_written_in_full(backup: Vfo, tmp_path: Path) -> None:
    """The beginning of an id might be one of those that nobody sees; the others are listed, with exit code 1."""
    with (tmp_path / "vfo.toml").open("a") as file:
        file.write('\n[products.away]\nplugin = "away"\n')
    listed = backup("list")
    assert (listed.code, "abc-1" in listed.out, "product 'away' cannot be asked" in listed.err) == (1, True, True)
    answer = backup("files", "abc", "0", "ls")
    assert (answer.code, "write shelf/abc-1 for the one that is seen" in answer.err) == (1, True), answer.err
    for written in ("abc-1", "shelf/abc"):
        assert "0 holds nothing that is known" in backup("files", written, "0", "ls").err
    assert "0 holds nothing that is known" in backup("files", "abc", "0", "ls", "--product", "shelf").err
    answer = backup("restore", "nope", "--product", "away")
    assert (answer.code, "nobody answers" in answer.err) == (1, True)


def test_an_empty_list_says_whose_points_there_are(backup: Vfo) -> None:
    """A name that was misspelt is seen at once; for programs it is an empty list."""
    assert "There are no restore points of VM 'web-1'; there are some of web-01, web-02." in backup("list", "--vm", "web-1").out
    assert backup("list", "--vm", "web-1", "--json").json == []


def test_a_name_of_a_guest_writes_nothing_to_the_terminal() -> None:
    """Control characters and ends of lines are written out; letters of all people are not."""
    assert look_into._seen("ö 日本\x1b[31m\n") == "ö 日本\\x1b[31m\\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With why, and what to do: exit code 1."""
    with pytest.raises(NotSo, match=r"cannot be written: .*choose another place with --to"):
        look_into._copy(None, "/x", Path("/proc/x"))  # type: ignore[arg-type]


def test_without_products_the_configuration_is_named(vfo: Vfo, configured: dict[str, Any]) -> None:
    """There is nothing to ask."""
    answer = vfo("backup", "list")
    assert (answer.code, answer.err) == (2, "vfo: vfo.toml has no products: [products.NAME] says where backups are\n")


def test_a_dry_run_says_what_would_be_made(backup: Vfo) -> None:
    """With the calls, and nothing is changed; what stands against it is said, and the exit code is 1."""
    (plan,) = backup("restore", "abc", "--network-map", "SR-IOV=SR-IOV", "--start", "--as", "web-new", "--dry-run", "--json").json
    assert plan["refusals"] == []
    assert plan["calls"][:3] == ["VM.create", "VDI.create", "PUT /import_raw_vdi"]
    assert plan["calls"][-1] == "VM.start"
    assert any("a VF by assign-vf" in sentence for sentence in plan["sentences"])


def test_a_run_is_made_for_the_daemon(backup: Vfo) -> None:
    """By the beginning of the id; `vfo serve` takes it up."""
    (run,) = backup("restore", "abc", "--as", "web-new", "--json").json
    assert (run["workflow"], run["status"], run["subject"]) == ("restore-vm", "ready", "restore:web-new")


def test_a_sound_point_is_verified(backup: Vfo) -> None:
    """Every disk is read and compared, and the product looks."""
    said = backup("verify", "abc", "--json").json
    assert said["sound"]
    assert [(check["check"], check["sound"]) for check in said["checks"]] == [("checksums", True), ("product", True)]


def test_a_point_that_differs_is_told(vfo: Vfo, tmp_path: Path, configured: dict[str, Any]) -> None:
    """Exit code 1, with both checksums."""
    shelf(tmp_path, "0" * 64)
    answer = typed(vfo, tmp_path, "verify", "abc")
    assert answer.code == 1
    assert "has SHA-256" in answer.err


def test_an_id_may_be_shortened_where_it_is_unique_and_name_its_product() -> None:
    """Whole ids go before beginnings."""

    def made(name: str) -> RestorePoint:
        return RestorePoint(name, "r", "lab", "v", "web", "p", NOON, (Disk(0, "0", "d", "", "root", 1),))

    there = [("a", made("one")), ("a", made("one-more")), ("b", made("other")), ("b", made("one"))]
    assert points.chosen(there, "oth") == [there[2]]
    assert points.chosen(there, "one-") == [there[1]]
    assert points.chosen(there, "one") == [there[0], there[3]]
    assert points.chosen(there, "b/one") == [there[3]]
    assert points.chosen(there, "nope") == []
