from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.presence import Presence
from orchestrator.roles import ALL
from state import holds, runs, schema
from state.store import Store
from tests.cli.conftest import Vfo
from workflows.outcome import Request

NOW = datetime.now(UTC)


def opened(folder: Path) -> Store:
    return Store(f"sqlite:///{folder}/vfo.sqlite3")


def a_run(folder: Path, step: str | None = None) -> str:
    """A run of reclaim-vfs that has something for itself, at that step."""
    store = opened(folder)
    with store.write() as session:
        run, _ = runs.create(session, Request("reclaim-vfs", "lab", "vm:1", "VM web-01", {}), now=datetime.now(UTC))
        holds.take(session, run, ["vm:1"], now=NOW)
        if step is not None:
            session.connection().exec_driver_sql("UPDATE run SET step = ?", (step,))
    store.close()
    return str(run.id)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration whose pool nobody asks."""
    (tmp_path / "vfo.toml").write_text('[pools.lab]\nurl = "http://127.0.0.1:9"\npassword = "s3cret"\n')
    return tmp_path


def test_an_upgrade_says_from_what_to_what(vfo: Vfo, folder: Path) -> None:
    """A new database, one that has the schema, and one that is newer: that one is left alone."""
    assert vfo("db", "upgrade", "--json").json == {"from": None, "to": schema.HEAD, "changed": True}
    assert vfo("db", "upgrade", "--json").json == {"from": schema.HEAD, "to": schema.HEAD, "changed": False}
    assert vfo("db", "upgrade").out == f"sqlite:///{folder}/vfo.sqlite3: has schema {schema.HEAD} already\n"
    store = opened(folder)
    with store.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999', oldest = '9999'")
    store.close()
    refused = vfo("db", "upgrade")
    assert refused.code == 2
    assert f"has schema 9999, this version needs {schema.HEAD}" in refused.err


def test_an_older_database_is_upgraded_and_keeps_its_rows(vfo: Vfo, folder: Path) -> None:
    """Only by the command that says so: looking it over leaves it as it is."""
    run = a_run(folder)
    store = opened(folder)
    with store.write() as session:
        schema.move(session.connection(), "0005")
    store.close()
    looked = vfo("db", "check", "--json")
    assert (looked.code, looked.json["schema"], looked.json["rows"]["run"]) == (1, "0005", 1)
    assert looked.json["amiss"] == [
        f"the schema is 0005, this version needs {schema.HEAD}: vfo db upgrade brings it up to date; what is in it was not looked at"
    ]
    assert vfo("db", "upgrade").out == f"sqlite:///{folder}/vfo.sqlite3: from schema 0005 to {schema.HEAD}\n"
    assert vfo("run", run, "--json").json["held"] == ["vm:1"]


def test_a_database_where_all_is_well(vfo: Vfo, folder: Path) -> None:
    """Counted, in words and for programs; the steps are those of the product."""
    a_run(folder)
    seen = vfo("db", "check")
    assert seen.code == 0
    assert "all is well" in seen.out
    said = vfo("db", "check", "--json").json
    assert (said["schema"], said["needs"], said["amiss"], said["rows"]["run"]) == (schema.HEAD, schema.HEAD, [], 1)


def test_what_is_amiss_is_said_with_exit_code_1(vfo: Vfo, folder: Path) -> None:
    """A run at a step that this version does not have."""
    run = a_run(folder, "divine")
    seen = vfo("db", "check")
    said = f"run {run} (reclaim-vfs of VM web-01) is ready at step divine, which its workflow does not have in this version"
    assert (seen.code, seen.err) == (1, "")
    assert f"amiss: {said}\n" in seen.out


def test_a_database_that_is_not_there(vfo: Vfo, folder: Path) -> None:
    """It is not made by looking."""
    seen = vfo("db", "check")
    assert seen.code == 2
    assert f"database.url: there is no database at {folder}/vfo.sqlite3: vfo db upgrade makes one" in seen.err
    assert not (folder / "vfo.sqlite3").exists()


def test_rows_go_out_and_come_in(vfo: Vfo, folder: Path) -> None:
    """Into a database of its own; into the one that they are of they are refused, and so is a name that is taken."""
    run = a_run(folder)
    assert vfo("db", "export", "all.gz").out == "all.gz has 2 rows: 1 hold, 1 run\n"
    taken, full = vfo("db", "export", "all.gz"), vfo("db", "import", "all.gz")
    assert (taken.code, full.code) == (2, 2)
    assert "all.gz is there already" in taken.err
    assert "has rows already (run, hold): import into one that is empty" in full.err
    (folder / "vfo.sqlite3").rename(folder / "old.sqlite3")
    assert vfo("db", "import", "all.gz", "--json").json["rows"]["run"] == 1
    assert vfo("run", run, "--json").json["held"] == ["vm:1"]
    assert vfo("db", "check").code == 0


def test_a_process_that_serves_is_named(vfo: Vfo, folder: Path) -> None:
    """Exit code 1; with --while-running there is a copy, and a warning."""
    a_run(folder)
    store = opened(folder)
    serving = Presence(store, ALL, dict, lambda: datetime.now(UTC))
    serving.beat()
    refused = vfo("db", "export", "all")
    assert refused.code == 1
    assert "serves on this database: stop it first" in refused.err
    assert not (folder / "all").exists()
    copied = vfo("db", "export", "all", "--while-running")
    assert copied.code == 0
    assert "warning: processes serve on this database: stop them all before one begins on the new one" in copied.err
    store.close()


def test_nothing_secret_leaves(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """After commands that wrote what they know of a pool: its password is not in the file."""
    assert vfo("reclaim", "--json").code in (0, 1)
    assert vfo("db", "export", "all").code == 0
    written = (tmp_path / "all").read_text()
    assert '"run",' in written
    assert configured["password"] not in written


def test_what_is_old_is_removed_by_hand(vfo: Vfo, folder: Path) -> None:
    """As the configuration says, or the option; said before it is done; an age that is none is refused."""
    store = opened(folder)
    with store.write() as session:
        for number, day in enumerate((100, 40, 1)):
            at = datetime.now(UTC) - timedelta(days=day)
            run, _ = runs.create(session, Request("reclaim-vfs", "lab", f"vm:{number}", "VM web-01", {}), now=at)
            ended = "UPDATE run SET status = 'DONE', due_at = NULL, finished_at = created_at WHERE id = ?"
            session.connection().exec_driver_sql(ended, (run.id.hex,))
    store.close()
    assert vfo("db", "prune", "--dry-run").out == "1 runs would be removed, 0 of that age are kept\n"
    assert vfo("db", "prune", "--older-than", "30d", "--dry-run", "--json").json == {"removed": 2, "kept": 0, "audit": 0, "dry_run": True}
    assert vfo("db", "prune", "--json").json == {"removed": 1, "kept": 0, "audit": 0, "dry_run": False}
    assert vfo("db", "prune", "--older-than", "30d").out == "1 runs were removed, 0 of that age are kept\n"
    assert vfo("db", "check", "--json").json["rows"]["run"] == 1
    refused = vfo("db", "prune", "--older-than", "soon")
    assert (refused.code, refused.err) == (2, 'vfo: --older-than \'soon\': write a duration such as "30s", "10m", "12h" or "30d"\n')
    with (folder / "vfo.toml").open("a") as file:
        file.write('[history]\nkeep = "forever"\n')
    assert "no run is removed" in vfo("db", "prune").out
