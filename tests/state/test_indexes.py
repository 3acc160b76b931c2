"""That the looks which happen for ever stay cheap: with a hundred thousand finished runs they read an index of the active ones."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, text
from sqlmodel import Session

from state import claims, pruning, runs
from state.pruning import Mark
from state.run import ACTIVE, Status
from state.store import Store
from tests.state import moments
from tests.state.moments import START, later

FINISHED = 100_000
UNFINISHED = 50
COLUMNS = ("id, workflow, pool, subject, title, status, phase, claim, takes, attempt, cancel_requested, reason, next_command, data,"
           " created_at, updated_at, finished_at")  # fmt: skip
VALUES = "'work', 'pool', 'vm:' || n, 'title', 'DONE', 'FORWARD', 1, 0, 0, false, '', '', '{}'"
AT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', :at, '+' || (n / 1000.0) || ' seconds') || '000'",
    "postgresql": "CAST(:at AS timestamptz) + n * interval '1 millisecond'",
}  # one run each millisecond
NUMBERS = {
    "sqlite": "WITH RECURSIVE ns(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ns WHERE n < :count)",
    "postgresql": "WITH ns(n) AS (SELECT * FROM generate_series(1, :count))",
}
IDS = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}
FILL = {
    kind: f"{NUMBERS[kind]} INSERT INTO run ({COLUMNS}) SELECT {IDS[kind]}, {VALUES}, {at}, {at}, {at} FROM ns" for kind, at in AT.items()
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a long past, of each kind."""
    if request.param == "sqlite":
        store = _filled(f"sqlite:///{Path(tmp_path_factory.mktemp('full')) / 'vfo.db'}")
        yield store
        store.close()
        return
    with request.getfixturevalue("postgres_server").database() as url:
        store = _filled(url)
        yield store
        store.close()


def _filled(url: str) -> Store:
    store = Store(url)
    with store.write() as session:
        kind = session.get_bind().dialect.name
        at = START.strftime("%Y-%m-%d %H:%M:%S.%f") if kind == "sqlite" else START
        session.connection().execute(text(FILL[kind]), {"count": FINISHED, "at": at})
    for number in range(UNFINISHED):
        run = moments.claimed(store, f"active:{number}")
        moments.record(store, run, moments.parked(f"vm:p:{number}", later(number)))
    with store.write() as session:
        session.connection().execute(text("ANALYZE run"))
    return store


def _plan(session: Session, query: str, **values: object) -> str:
    explain = "EXPLAIN QUERY PLAN" if session.get_bind().dialect.name == "sqlite" else "EXPLAIN (ANALYZE, BUFFERS OFF)"
    return "\n".join(str(row) for row in session.connection().execute(text(f"{explain} {query}"), values))


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (str(claims.DUE).replace(":status_1", "'WAITING'").replace(":status_2", "'READY'"), "ix_run_due"),
        ("SELECT min(due_at) FROM run WHERE due_at IS NOT NULL", "ix_run_due"),
        ("SELECT id FROM run WHERE waits_on IN ('vm:p:1', 'vm:p:2', 'task:p:3')", "ix_run_waits_on"),
        ("UPDATE run SET due_at = :now, waits_on = NULL WHERE waits_on IN ('vm:p:1', 'x') AND status = 'WAITING'", "ix_run_waits_on"),
        ("SELECT id FROM run WHERE workflow = 'work' AND pool = 'pool' AND subject = 'active:1' AND due_at IS NOT NULL", "uq_run_active"),
        ("SELECT id FROM run WHERE pool = 'pool' AND subject = 'vm:77' AND workflow = 'work' ORDER BY created_at DESC LIMIT 1",
         "ix_run_subject_created_at"),
    ],
)  # fmt: skip
def test_a_look_reads_an_index(full: Store, query: str, index: str) -> None:
    """Never the table, however many runs have ended."""
    now = later(20)
    with full.write() as session:
        sqlite = session.get_bind().dialect.name == "sqlite"
        values = {"now": now.strftime("%Y-%m-%d %H:%M:%S.%f") if sqlite else now, "most": 9}
        plan = _plan(session, query, **{name: value for name, value in values.items() if f":{name}" in query})
        session.rollback()
    assert index in plan, plan
    assert "Seq Scan" not in plan
    assert "SCAN run" not in plan.replace("SCAN run USING", "")


LOOKS: dict[str, tuple[Callable[[], Select[Any]], str]] = {
    "the newest of a status": (lambda: runs._newest(Status.DONE, None, 9), "ix_run_status_created_at"),
    "the newest of a status in a pool": (lambda: runs._newest(Status.DONE, "pool", 9), "ix_run_status_created_at"),
    "how many are unfinished": (lambda: runs._counted(sorted(ACTIVE | {Status.STUCK})), "ix_run_status_created_at"),
    "old ones, from the first": (lambda: pruning._next(None, START, 9, {"work"}), "ix_run_status_created_at"),
    "old ones, further on": (
        lambda: pruning._next(Mark(Status.DONE, START, UUID(int=7)), later(1), 9, {"work"}),
        "ix_run_status_created_at",
    ),
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_list_of_what_ended_reads_an_index_in_its_order(full: Store, look: str) -> None:
    """What people list, what metrics count and what age removes: as many rows as are wanted, never all of them."""
    made, index = LOOKS[look]
    with full.read() as session:
        connection = session.connection()
        query = str(made().compile(connection.engine, compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN (ANALYZE, BUFFERS OFF)"
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {query.replace('%%', '%')}"))
    assert index in plan, plan
    assert "Seq Scan on run" not in plan, plan
    assert not re.search(r"SCAN run\b(?! USING)", plan), plan


def test_the_looks_themselves_find_what_they_should(full: Store) -> None:
    """The plans above are of these."""
    with full.read() as session:
        assert len(claims.due(session, now=later(20), limit=100)) == 21
        assert claims.next_due(session) == START
        assert len(claims.waiting(session, ["vm:p:1", "vm:p:2", "no"])) == 2


def test_one_run_is_found_by_its_id_whatever_was_counted_last(full: Store) -> None:
    """Also where nobody was active then: to take, to record and to ask for one must not read all that are active now."""
    given = {"run": UUID(int=7), "now": later(20), "until": later(30), "held": 1, "updated_at": later(20), "takes": 0, "finished_at": None}
    with full.write() as session:
        connection = session.connection()
        connection.execute(text("UPDATE run SET due_at = NULL, status = 'DONE', waits_on = NULL WHERE due_at IS NOT NULL"))
        connection.execute(text("ANALYZE run"))
        sqlite = connection.dialect.name == "sqlite"
        for statement in (claims.TAKE, claims.RECORD, claims.TAKEN):
            compiled = statement.compile()
            values = {**compiled.params, **moments.parked().values(), **given}
            plan = _plan(session, str(compiled), **{name: _plain(value, sqlite=sqlite) for name, value in values.items()})
            assert ("sqlite_autoindex_run_1" if sqlite else "pk_run") in plan, plan
        session.rollback()


def _plain(value: object, *, sqlite: bool) -> object:
    """As the driver is given it."""
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, StrEnum):
        return value.name
    if sqlite and isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return value.hex if sqlite and isinstance(value, UUID) else value
