from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from state import capacity, history, runs
from state.run import Run
from state.store import Store
from tests.cli.conftest import Vfo
from workflows.catalogue import WORKFLOWS
from workflows.outcome import Request

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def a_run(folder: Path, subject: str = "vm:1") -> UUID:
    store = Store(f"sqlite:///{folder}/vfo.sqlite3")
    with store.write() as session:
        run, _ = runs.create(session, Request("reclaim-vfs", "lab", subject, "VM web-01", {}), now=NOON)
    store.close()
    return run.id


def test_vfs_shows_every_port_and_who_has_its_vfs(vfo: Vfo, configured: dict[str, Any]) -> None:
    """Total is free plus used, and the users are named."""
    rows = vfo("vfs", "--json").json
    assert [row["name"] for row in rows] == ["host1/eth1", "host2/eth1", "host3/eth1"]
    assert all(row["total"] == row["free"] + len(row["users"]) == 8 for row in rows)
    shown = vfo("vfs").out
    assert all(user["name"] in shown for row in rows for user in row["users"])


def test_vfs_over_time_is_told_from_the_rows(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """No pool is asked. A length of time without --history is an error."""
    store, now = Store(f"sqlite:///{tmp_path}/vfo.sqlite3"), datetime.now(UTC)
    with store.write() as session:
        for hours in (50, 2):
            at = now - timedelta(hours=hours)
            capacity.add(session, "lab", {"n": capacity.Figures("fast", 1, 8, hours)}, now=at, hourly={"n"})
    store.close()
    said = vfo("vfs", "--history", "--since", "1d", "--json").json
    assert [(row["name"], row["used"]) for row in said["items"]] == [("fast", 2)]
    assert said["counted_since"] < said["items"][0]["at"]
    shown = vfo("vfs", "--history").out
    assert "50" in shown
    assert "7 hours" in shown
    assert vfo("vfs", "--since", "1d").code == 2


def test_runs_lists_what_is_active(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """A run that nobody took yet is listed, and found by the first digits of its id."""
    run_id = a_run(tmp_path)
    assert [row["id"] for row in vfo("runs", "--json").json] == [str(run_id)]
    assert vfo("run", str(run_id)[:4], "--json").json["title"] == "VM web-01"
    assert "VM web-01" in vfo("runs").out
    assert str(run_id) in vfo("run", str(run_id)).out


def test_a_run_shows_what_its_steps_called(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """In tables, or as JSON; a run that has called nobody says so."""
    run_id = a_run(tmp_path)
    assert "has called the pool" in vfo("run", str(run_id), "--calls").out
    store = Store(f"sqlite:///{tmp_path}/vfo.sqlite3")
    packed = {"lines": [["VM.start", None, 12.5, "HOST_OFFLINE", 1]], "more": 7}
    store.do(lambda session: history.add(session, run_id, history.Entry("start", "done", calls=packed), now=NOON))
    store.close()
    (step,) = vfo("run", str(run_id), "--calls", "--json").json
    assert (step["step"], step["count"], step["calls"][0]["error"]) == ("start", 8, "HOST_OFFLINE")
    shown = vfo("run", str(run_id), "--calls").out
    assert all(word in shown for word in ("start done (8 calls, 12.5 ms)", "VM.start", "HOST_OFFLINE", "and 7 more"))


def test_a_cancelled_run_is_due_at_once_and_says_by_whom(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """The daemon does the rest; the history names who asked."""
    run_id = str(a_run(tmp_path))
    history = vfo("run", run_id, "cancel", "--json").json["history"]
    assert [entry["outcome"] for entry in history] == ["cancel"]
    assert "cancelled by" in history[0]["message"]


def test_an_approval_is_noted_with_the_name_of_who_gave_it(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """The daemon does the rest; what is shown says by whom."""
    run_id = str(a_run(tmp_path))
    shown = vfo("run", run_id, "approve", "--json").json
    assert shown["approved_by"]
    assert [entry["message"] for entry in shown["history"]] == [f"approved by {shown['approved_by']}"]


def test_the_cluster_without_a_process(vfo: Vfo, configured: dict[str, Any]) -> None:
    """That nobody serves is said in words and as JSON, with exit code 1; there is nothing to send again."""
    answer = vfo("cluster", "status")
    assert answer.code == 1
    assert "amiss: no process serves" in answer.out
    found = vfo("cluster", "status", "--json").json
    assert (found["processes"], found["leases"], found["due"]) == ([], [], 0)
    assert vfo("cluster", "requeue", "--json").json == {"sent": 0}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "beef"), "run 'beef': there is none"),
        (("run", "no"), "run 'no': there is none"),
        (("vfs", "--pool", "attic"), "--pool 'attic': vfo.toml has no pool of that name; it has lab"),
        (("runs", "--watch", "--json"), "--watch and --json do not go together"),
        (("workflow", "show", "magic"), "workflow 'magic': there is none of that name; there are "),
        (("doctor", "--config", "gone.toml"), "gone.toml: there is no such file"),
        (("serve", "--config", "gone.toml"), "gone.toml: there is no such file"),
        (("serve", "--role", "worker"), "database.url: SQLite is for one process"),
        (("serve", "--role", "butler"), "'butler' is not one of 'listener', 'scheduler', 'worker'"),
        (("simulate", "--hosts", "0"), "'--hosts'"),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_code_2(vfo: Vfo, configured: dict[str, Any], words: tuple[str, ...], says: str) -> None:
    """The line names the thing, its value and what to do; nothing was written to standard output."""
    answer = vfo(*words)
    assert answer.code == 2
    assert says in answer.err
    assert not answer.out
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[database]\nurl = "sqlite:////proc/no.sqlite3"', "database.url: the database sqlite:////proc/no.sqlite3 cannot be opened"),
        ('[broker]\nurl = "carrier-pigeon://"', "broker.url: there is no broker of kind 'carrier-pigeon'"),
        ('[metrics]\nport = 1\nhost = "192.0.2.1"', "metrics: 192.0.2.1:1 cannot be served"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_starts(
    vfo: Vfo, configured: dict[str, Any], tmp_path: Path, more: str, says: str
) -> None:
    """The setting is named, and the daemon never says that it serves."""
    with (tmp_path / "vfo.toml").open("a") as file:
        file.write(more)
    answer = vfo("serve")
    assert answer.code == 2
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert not answer.out


def test_doctor_finds_a_healthy_pool_healthy(vfo: Vfo, configured: dict[str, Any]) -> None:
    """Nothing fails; an unverified server is a warning with what to write."""
    answer = vfo("doctor", "--json")
    assert answer.code == 0
    assert {row["level"] for row in answer.json} == {"ok", "warn"}
    assert [row["subject"] for row in answer.json if row["level"] == "warn"] == ["TLS"]


def test_doctor_makes_no_database_and_says_when_one_cannot_be_read(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """It examines; what a database of another version remembers is not known, which is no failure."""
    rows = tmp_path / "vfo.sqlite3"
    rows.unlink()
    assert vfo("doctor", "--json").code == 0
    assert not rows.exists()
    rows.touch()
    answer = vfo("doctor", "--json")
    assert (answer.code, [row["subject"] for row in answer.json if row["level"] == "warn"]) == (0, ["TLS", "database"])


def test_doctor_fails_with_exit_code_1_and_what_to_do(vfo: Vfo, tmp_path: Path) -> None:
    """A pool that cannot be reached is a finding like any other."""
    (tmp_path / "vfo.toml").write_text('[pools.lab]\nurl = "http://127.0.0.1:1"\npassword = "x"\n')
    answer = vfo("doctor", "--json")
    assert answer.code == 1
    assert [row["advice"] != "" for row in answer.json if row["level"] == "fail"] == [True]
    assert "1 finding(s) fail" in answer.err


def test_retry_of_a_run_that_is_active_is_refused_with_the_reason(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """What cannot be done is said, and is exit code 2."""
    answer = vfo("run", str(a_run(tmp_path)), "retry")
    assert answer.code == 2
    assert "only stuck, refused and undone runs can be tried again" in answer.err


def test_an_ambiguous_id_names_the_runs_it_fits(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """Nobody acts on a guess."""
    ids = [UUID("abcd0000-0000-4000-8000-000000000001"), UUID("abcd0000-0000-4000-8000-000000000002")]
    store = Store(f"sqlite:///{tmp_path}/vfo.sqlite3")
    with store.write() as session:
        for number, run_id in enumerate(ids):
            wanted: dict[str, Any] = {"workflow": "reclaim-vfs", "pool": "lab", "subject": f"vm:{number}", "title": "VM"}
            session.add(Run(id=run_id, due_at=NOON, created_at=NOON, updated_at=NOON, **wanted))
    store.close()
    answer = vfo("run", "abcd", "cancel")
    assert answer.code == 2
    assert all(str(run_id) in answer.err for run_id in ids)


def test_reclaim_starts_a_run_for_each_port_and_names_it(vfo: Vfo, configured: dict[str, Any]) -> None:
    """Asked twice, it names the same runs: a port has one at a time."""
    first, second = vfo("reclaim", "--json").json, vfo("reclaim", "--json").json
    assert [row["title"] for row in first] == ["port host1/eth1", "port host2/eth1", "port host3/eth1"]
    assert [row["run"] for row in first] == [row["run"] for row in second]
    assert [row["created"] for row in (*first, *second)] == [True] * 3 + [False] * 3


def test_reclaim_dry_run_shows_the_plan_and_changes_nothing(vfo: Vfo, configured: dict[str, Any]) -> None:
    """The plan has the numbers, and no call that changes something where nothing is lost; no run is created."""
    rows = vfo("reclaim", "--dry-run", "--json").json
    assert all("nothing is lost" in row["sentences"][-1] and row["calls"] == [] for row in rows)
    assert "Nothing was changed." in vfo("reclaim", "--dry-run").out
    assert vfo("runs", "--all", "--json").json == []


def test_a_pool_that_does_not_answer_is_one_line_and_exit_code_1(vfo: Vfo, tmp_path: Path) -> None:
    """The request was understood; the pool is not there."""
    (tmp_path / "vfo.toml").write_text('[pools.lab]\nurl = "http://127.0.0.1:1"\npassword = "hunter2"\npatience = "500ms"\n')
    answer = vfo("vfs")
    assert answer.code == 1
    assert answer.err.startswith("vfo: unreachable: ")
    assert "hunter2" not in answer.err + answer.out


def test_a_wrong_password_is_denied_without_showing_it(vfo: Vfo, configured: dict[str, Any], tmp_path: Path) -> None:
    """What the pool answered is said; the password is not."""
    config = tmp_path / "vfo.toml"
    config.write_text(config.read_text().replace(f'password = "{configured["password"]}"', 'password = "hunter2"'))
    answer = vfo("vfs")
    assert answer.code == 1
    assert "SESSION_AUTHENTICATION_FAILED" in answer.err
    assert "hunter2" not in answer.err + answer.out


def test_version_and_the_workflow_tables(vfo: Vfo) -> None:
    """They need no configuration."""
    assert vfo("--version").out.startswith("vfo 0.")
    assert [row["name"] for row in vfo("workflow", "list", "--json").json] == list(WORKFLOWS)
    assert vfo("workflow", "show", "reclaim-vfs", "--mermaid").out.startswith("stateDiagram-v2")
    assert "make_vfs_anew" in vfo("workflow", "show", "reclaim-vfs", "--svg").out
    assert vfo("workflow", "show", "reclaim-vfs", "--svg", "--json").code == 2
    assert "forget_our_traces" in vfo("workflow", "show", "reclaim-vfs").out


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ("LAN", "[backup] fallback_network: pool lab has no network of that name or uuid"),
        ("SR-IOV", "[backup] fallback_network: in pool lab it is no ordinary network"),
    ],
)
def test_the_doctor_warns_of_a_fallback_network_that_a_pool_has_not(
    vfo: Vfo, configured: dict[str, Any], tmp_path: Path, network: str, says: str
) -> None:
    """By its name, with the pool and what to write; without the setting there is nothing to say."""
    assert [row for row in vfo("doctor", "--json").json if "fallback_network" in row["text"]] == []
    config = tmp_path / "vfo.toml"
    config.write_text(f'{config.read_text()}[backup]\nfallback_network = "{network}"\n')
    (row,) = [row for row in vfo("doctor", "--json").json if "fallback_network" in row["text"]]
    assert (row["level"], row["pool"], row["subject"], row["text"]) == ("warn", "lab", f"network {network}", says)
    assert "[backup] fallback_network" in row["advice"]
