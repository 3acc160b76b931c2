import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import inspect, text

from orchestrator import exports, presence
from orchestrator.exports import AtWork, Unfit
from orchestrator.presence import Presence
from orchestrator.roles import ALL
from state import (
    audit,
    backups,
    claims,
    history,
    holds,
    inventory,
    jobs,
    leases,
    moving,
    openings,
    ports,
    promises,
    runs,
    schema,
    tables,
    tokens,
    users,
)
from state import written as rows_written
from state.backups import Backup
from state.run import Run, Status
from state.store import Session, Store
from tests.state import moments
from tests.state.moments import START, later

NOW = later(100)
WAYS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite")]


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    """Makes stores of each kind, and closes them."""
    made: list[Store] = []
    given: list[Any] = []

    def make(kind: str) -> Store:
        url = f"sqlite:///{tmp_path / f'{len(made)}.db'}"
        if kind == "postgresql":
            given.append(request.getfixturevalue("postgres_server").database())
            url = given[-1].__enter__()
        made.append(Store(url))
        return made[-1]

    yield make
    for store in made:
        store.close()
    for context in given:
        context.__exit__(None, None, None)


def fill(store: Store) -> dict[str, UUID]:
    """Something in every table, with values that the two kinds keep each in their own way; the runs by what they are."""
    ids = {}
    at_work = moments.claimed(store, "vm:1")
    ids["at work"] = at_work.id
    waiting = moments.claimed(store, "vm:2")
    moments.record(store, waiting, replace(moments.parked("vm:p:2", later(500)), calls={"lines": [], "more": 2}))
    ids["waiting"] = waiting.id
    done = moments.claimed(store, "vm:3")
    odd: dict[str, Any] = {
        "evidence": {"ü": [1, None, 2.5, {"big": 2**53}], "nul": "a\0b"},
        "reason": '"quoted", ü\n\\',
        "data": {"none": None},
    }
    moments.record(store, done, replace(moments.ended(Status.DONE), **odd))
    ids["done"] = done.id
    with store.write() as session:
        history.add(session, done.id, history.Entry("look", "done", "ü", {"seen": [1]}, {"lines": [], "more": 1}), now=START)
        history.add(session, at_work.id, history.Entry("look", "wait"), now=later(0.25))
        assert claims.extend(session, [(at_work.id, at_work.claim)], until=later(3600))
        holds.take(session, at_work, ["vm:1", "port:7"], now=START)
        promises.put(session, promises.Promise(pool="pool", port="port", vm="1", run_id=at_work.id, count=2, since=START))
        ports.put(session, ports.PortRow(pool="pool", port="port", name="h/eth0", epoch="e", total=8, addresses=None, updated_at=START))
        ports.hold(session, ports.LeakHold(pool="pool", port="port", run_id=at_work.id, count=1, since=START))
        jobs.claim(session, "job:1", at_work.id, "borg", holder="h:1:a", now=START, lease=timedelta(hours=1))
        backups.put(session, line(at_work.id))
        backups.pause(session, "nightly", by="ann", now=START)
        openings.note(
            session,
            openings.Opening(window="w", pool="pool", opens_at=START, closes_at=later(9), status="run", run_id=done.id, noted_at=START),
        )
        inventory.put(
            session, [inventory.KnownVM(pool="pool", vm="1", ref="OpaqueRef:1", name="web-ü", vifs=[{"MAC": "x"}], updated_at=START)]
        )
        leases.acquire(session, "listener:pool", "h:1:a", now=START, duration=timedelta(seconds=9))
        people(session)
    return ids


def people(session: Session) -> None:
    users.add(session, users.User(name="ann", password="$argon2id$", scope="admin", created_at=START, changed_at=START))
    tokens.add(session, tokens.Token(name="t", digest="ab", scope="read", created_by="ann", created_at=START, expires_at=later(9)))
    write = rows_written.WrittenRow(kind="policy", name="db", settings={"vms": {"tags": ["ü"]}}, revision=uuid4(), by="ann", at=START)
    rows_written.take_turn(session, by="ann", now=START)
    rows_written.put(session, write)
    audit.add(session, audit.Act("ann", "cli", "assign-vf", "VM ü", details={"runs": [1]}), now=START)


def line(run_id: UUID) -> Backup:
    return Backup(
        id=run_id, pool="pool", vm="1", vm_name="web", policy="nightly", product="borg", window="", status="saved", began_at=START,
        ended_at=later(5), downtime=1.25, size=2**40, details={"queued": 0.5},
    )  # fmt: skip


def everything(store: Store) -> dict[str, list[dict[str, Any]]]:
    """All rows of the tables that move, as the models read them."""
    found = {}
    with store.read() as session:
        for shape in moving.shapes():
            rows = session.connection().execute(tables.METADATA.tables[shape.table].select())
            found[shape.table] = sorted((dict(row._mapping) for row in rows), key=repr)
    return found


def written(store: Store, path: Path, **more: Any) -> exports.Moved:
    return exports.write(store, path, now=NOW, version="1", **more)


@pytest.mark.parametrize(("source", "target"), WAYS)
@pytest.mark.parametrize("name", ["all.jsonl", "all.gz"])
def test_everything_arrives(database: Callable[[str], Store], tmp_path: Path, source: str, target: str, name: str) -> None:
    """Every value of every table, between the kinds, compressed or not; what was claimed is free from the moment of the copy on."""
    old, new = database(source), database(target)
    ids = fill(old)
    moved = written(old, tmp_path / name)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert exports.read(new, tmp_path / name, now=NOW).rows == moved.rows
    assert moved.rows.items() >= {"backup": 1, "history": 2, "hold": 2, "job": 1, "known_vm": 1, "leak_hold": 1, "opening": 1, "pause": 1,
                          "port": 1, "promise": 1, "run": 3, "written": 2}.items()  # fmt: skip
    before, after = everything(old), everything(new)
    for row in before["run"]:
        if row["id"] == ids["at work"]:
            assert row["due_at"] == later(3600)
            row["due_at"] = NOW
    for row in before["job"]:
        row["expires_at"] = NOW
    assert [row["evidence"]["nul"] for row in after["run"] if row["evidence"]] == ["a\0b"]
    assert {name: sorted(rows, key=repr) for name, rows in before.items()} == after
    with new.read() as session:
        assert holds.of(session, ids["at work"]) == {"vm:1", "port:7"}
        assert session.connection().execute(text("SELECT count(*) FROM lease")).scalar() == 0


@pytest.mark.parametrize(("source", "target"), WAYS)
def test_runs_in_flight_go_on(database: Callable[[str], Store], tmp_path: Path, source: str, target: str) -> None:
    """A run that a worker had is taken at once, one that waits when it is due; the history goes on after its last entry."""
    old, new = database(source), database(target)
    ids = fill(old)
    written(old, tmp_path / "x")
    exports.read(new, tmp_path / "x", now=NOW)
    with new.write() as session:
        assert claims.claim(session, ids["waiting"], now=NOW, lease=timedelta(seconds=9)) is None
        taken = claims.claim(session, ids["at work"], now=NOW, lease=timedelta(seconds=9))
        assert taken is not None
        assert taken.claim == 2
        last = max(entry.seq or 0 for entry in history.after(session, 0))
        history.add(session, taken.id, history.Entry("look", "done"), now=NOW)
        assert [entry.seq for entry in history.of(session, taken.id)][1:] == [last + 1]
        assert runs.create(session, moments.wanted("vm:1"), now=NOW)[1] is False


def test_a_copy_is_of_one_moment(database: Callable[[str], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written while the copy is taken is in none of its tables, on both kinds."""
    for kind in ("sqlite", "postgresql"):
        store, copy = database(kind), database("sqlite")
        fill(store)
        rows = moving.rows

        def meanwhile(session: Any, shape: Any, *, now: datetime, store: Store = store, rows: Any = rows) -> Iterator[Any]:
            yield from rows(session, shape, now=now)
            with store.write() as other:
                run, _ = runs.create(other, moments.wanted(f"new:{shape.table}"), now=NOW)
                history.add(other, run.id, history.Entry("a", "done"), now=NOW)

        monkeypatch.setattr(moving, "rows", meanwhile)
        moved = written(store, tmp_path / kind)
        monkeypatch.setattr(moving, "rows", rows)
        assert (moved.rows["run"], moved.rows["history"]) == (3, 2)
        assert exports.read(copy, tmp_path / kind, now=NOW).rows == moved.rows


def test_a_database_that_has_rows_is_refused(database: Callable[[str], Store], tmp_path: Path) -> None:
    """It is said which tables have some, and nothing is written."""
    for kind in ("sqlite", "postgresql"):
        full, other = database(kind), database(kind)
        fill(full)
        written(full, tmp_path / kind)
        with other.write() as session:
            backups.pause(session, "weekly", by="bob", now=START)
        before = everything(other)
        with pytest.raises(Unfit, match=r"has rows already \(pause\): import into one that is empty"):
            exports.read(other, tmp_path / kind, now=NOW)
        assert everything(other) == before


def test_while_a_process_serves_nothing_moves(database: Callable[[str], Store], tmp_path: Path) -> None:
    """Neither out of its database nor into it, unless the copy is asked for all the same; who died counts until its row ends."""
    store, empty = database("sqlite"), database("sqlite")
    fill(store)
    for one in (store, empty):
        Presence(one, ALL, dict, lambda: NOW).beat()
    with pytest.raises(AtWork, match=f"{presence.named()} serves on this database: stop it first; .* for 35 s yet"):
        written(store, tmp_path / "x")
    assert list(tmp_path.glob("*x*")) == []
    assert written(store, tmp_path / "x", while_running=True).alive == ["process:1"]
    with pytest.raises(AtWork, match="serves on this database"):
        exports.read(empty, tmp_path / "x", now=NOW)
    assert exports.read(empty, tmp_path / "x", now=NOW + timedelta(seconds=36)).rows["run"] == 3


def test_a_process_that_begins_meanwhile_spoils_the_copy(
    database: Callable[[str], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left of it."""
    store = database("sqlite")
    fill(store)
    counted = moving.shapes

    def beginning() -> Any:
        Presence(store, ALL, dict, lambda: NOW).beat()
        return counted()

    monkeypatch.setattr(moving, "shapes", beginning)
    with pytest.raises(AtWork):
        written(store, tmp_path / "x")
    assert list(tmp_path.glob("*x*")) == []


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def summed(values: list[Any]) -> bytes:
    """A file with these lines, as whoever knows how could write it."""
    total, made = 0, b""
    for value in values:
        said = orjson.dumps(value)
        total = zlib.crc32(said, total)
        made += b'["%08x",%b]\n' % (total, said)
    return made


def values_of(path: Path) -> list[Any]:
    return [orjson.loads(line)[1] for line in lines_of(path)]


SPOILED: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "cut between lines": (lambda lines: lines[:-1], "line {last}: the file ends before its end"),
    "cut within a line": (lambda lines: [*lines[:4], lines[4][:9]], "line 5: the file ends before its end"),
    "a line is missing": (lambda lines: lines[:3] + lines[4:], "line 4: it, or what was before it, is not as it was written"),
    "a line twice": (lambda lines: lines[:4] + lines[3:], "line 5: it, or what was before it"),
    "two lines exchanged": (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "line 4: it, or what"),
    "a byte changed": (lambda lines: [*lines[:5], lines[5].replace(b"p", b"q", 1), *lines[6:]], "line 6: it, or what"),
    "more at the end": (lambda lines: [*lines, lines[-1]], "line {more}: there is more after the end"),
    "something else": (lambda lines: [b"SELECT 1;\n", *lines], "line 1: it is no export of vfo"),
    "empty": (lambda lines: [], "line 1: the file ends before its end"),
    "no text": (lambda lines: [b"\xff\xfe\0\n"], "line 1: it is no export of vfo"),
}  # fmt: skip


@pytest.mark.parametrize("how", SPOILED)
def test_a_file_that_is_not_whole_is_refused(database: Callable[[str], Store], tmp_path: Path, how: str) -> None:
    """With the number of the line where it begins; nothing of it is in the database."""
    old, new = database("sqlite"), database("sqlite")
    fill(old)
    path = tmp_path / "x"
    written(old, path)
    lines = lines_of(path)
    spoil, said = SPOILED[how]
    path.write_bytes(b"".join(spoil(lines)))
    with pytest.raises(Unfit, match=said.format(last=len(lines), more=len(lines) + 1)):
        exports.read(new, path, now=NOW)
    with new.read() as session:
        assert moving.occupied(session) == []


@pytest.mark.parametrize("cut", [0.02, 0.5, 0.99])
def test_a_compressed_file_that_was_cut_is_refused(database: Callable[[str], Store], tmp_path: Path, cut: float) -> None:
    """Wherever it was cut."""
    old, new = database("sqlite"), database("sqlite")
    fill(old)
    path = tmp_path / "x.gz"
    written(old, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(Unfit, match=r"line \d+: it cannot be read"):
        exports.read(new, path, now=NOW)
    path.write_bytes(gzip.decompress(whole))
    with pytest.raises(Unfit, match="line 1: it cannot be read"):
        exports.read(new, path, now=NOW)


FOREIGN: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "newer format": (lambda values: values[0].update(format=2), "line 1: format 2, this version reads 1 at most: it was written by vfo 1"),
    "newer schema": (lambda values: values[0].update(schema="9999"), f"line 1: schema 9999, this version has {schema.HEAD}"),
    "a kind that is none": (lambda values: values[0]["tables"]["run"].append(["more", "blob"]), "line 1: .* run.more is blob"),
    "a column that is none": (lambda values: values[0]["tables"]["pause"].append(["more", "text"]), "it is no row of a table"),
    "a table that is none": (lambda values: values.insert(1, ["spoons", 1]), "line 2: it is no row of a table"),
    "a run that is no uuid": (lambda values: _row(values, "run").__setitem__(1, "seven"), "a row of run .* cannot be: .*uuid|badly formed"),
    "a text that is none": (lambda values: _row(values, "run").__setitem__(2, 7), "a row of run among .* cannot be"),
    "entries of no run": (lambda values: _row(values, "history").__setitem__(2, str(uuid4())), "(?i)a row of history .* foreign key"),
    "other counts": (lambda values: values[-1]["end"].update(run=4), "says that it has"),
}  # fmt: skip


def _row(values: list[Any], table: str) -> Any:
    return next(value for value in values if isinstance(value, list) and value[0] == table)


@pytest.mark.parametrize("how", FOREIGN)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_this_version_cannot_understand_is_refused(database: Callable[[str], Store], tmp_path: Path, how: str, kind: str) -> None:
    """A file of a newer version, and one whose rows are none; nothing of it is in the database."""
    old, new = database("sqlite"), database(kind)
    fill(old)
    path = tmp_path / "x"
    written(old, path)
    values = values_of(path)
    change, said = FOREIGN[how]
    change(values)
    path.write_bytes(summed(values))
    with pytest.raises(Unfit, match=said):
        exports.read(new, path, now=NOW)
    with new.read() as session:
        assert moving.occupied(session) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_file_of_an_older_schema_is_brought_up_to_date(database: Callable[[str], Store], tmp_path: Path, kind: str) -> None:
    """Its rows are put where that schema was made again, and migrate as they would have there."""
    old, new = database("sqlite"), database(kind)
    fill(old)
    path = tmp_path / "x"
    written(old, path)
    values = values_of(path)
    then = columns_of("0002", tmp_path)
    header, all_columns = values[0], {name: [column for column, _ in columns] for name, columns in values[0]["tables"].items()}
    header["schema"] = "0002"
    header["tables"] = {
        name: [column for column in columns if column[0] in then[name]] for name, columns in header["tables"].items() if name in then
    }
    rows = [
        [row[0], *(value for name, value in zip(all_columns[row[0]], row[1:], strict=True) if name in then[row[0]])]
        for row in values[1:-1]
        if row[0] in then
    ]
    path.write_bytes(summed([header, *rows, {"end": {name: sum(row[0] == name for row in rows) for name in header["tables"]}}]))
    assert exports.read(new, path, now=NOW).schema == "0002"
    new.check()
    found = everything(new)
    assert [row["most"] for row in found["port"]] == [None]
    assert [row["vbds"] for row in found["known_vm"]] == [None]
    assert (len(found["run"]), len(found["promise"]), found["backup"]) == (3, 1, [])


def test_a_newer_schema_is_left_to_its_version(database: Callable[[str], Store], tmp_path: Path) -> None:
    """This version can work on it, and does not know all that is in it: neither out of it nor into it."""
    old, new = database("sqlite"), database("sqlite")
    fill(old)
    written(old, tmp_path / "x")
    for store in (old, new):
        with store.write() as session:
            session.connection().exec_driver_sql(f"UPDATE alembic_version SET version_num = '9999', oldest = '{schema.HEAD}'")
        store.check()
    with pytest.raises(Unfit, match=r"has schema 9999, this version moves .*: use the vfo that brought it there"):
        written(old, tmp_path / "y")
    with pytest.raises(Unfit, match="has schema 9999"):
        exports.read(new, tmp_path / "x", now=NOW)


def columns_of(version: str, folder: Path) -> dict[str, set[str]]:
    """The columns of each table that there was in that schema."""
    store = Store(f"sqlite:///{folder}/then.db")
    with store.write() as session:
        schema.move(session.connection(), version)
        seen = inspect(session.connection())
        found = {name: {column["name"] for column in seen.get_columns(name)} for name in seen.get_table_names()}
    store.close()
    return {name: columns for name, columns in found.items() if name not in moving.STAY | {"alembic_version"}}


def test_a_file_that_cannot_be_written_leaves_nothing(database: Callable[[str], Store], tmp_path: Path) -> None:
    """One that is there is not written over, a folder that is not there is said; neither leaves a part of a file."""
    store = database("sqlite")
    (tmp_path / "there").write_text("mine")
    with pytest.raises(Unfit, match="there is there already: write another name"):
        written(store, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"
    with pytest.raises(Unfit, match="cannot be written: No such file"):
        written(store, tmp_path / "nowhere" / "x")
    with pytest.raises(Unfit, match="cannot be read: No such file"):
        exports.read(store, tmp_path / "absent", now=NOW)


def test_a_nul_that_only_sqlite_keeps_in_a_text(database: Callable[[str], Store], tmp_path: Path) -> None:
    """It stands as the sign for what cannot be shown."""
    old, new = database("sqlite"), database("postgresql")
    ids = fill(old)
    with old.write() as session:
        session.connection().execute(text("UPDATE run SET title = 'a' || char(0) || 'b' WHERE status = 'DONE'"))
    written(old, tmp_path / "x")
    exports.read(new, tmp_path / "x", now=NOW)
    with new.read() as session:
        found = runs.get(session, ids["done"])
    assert isinstance(found, Run)
    assert found.title == "a\ufffdb"


def test_every_table_moves_or_is_said_to_stay() -> None:
    """A table that is added is moved by itself; only what is of processes that live stays."""
    named = {shape.table for shape in moving.shapes()}
    assert named | moving.STAY == set(tables.METADATA.tables)
    assert not named & moving.STAY
