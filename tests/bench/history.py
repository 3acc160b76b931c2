"""Claims a second with a million finished runs in the tables, over those with none: on PostgreSQL, and on SQLite beside it.

A thousand runs are parked, others are due and claimed, each claim a transaction of its own, claim by claim in turns on both databases.
The one with a past was analysed on a quiet day, when nobody was active, and knows nothing yet of the night; the other as it stands.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import text

from state import claims, runs
from state.claims import Change
from state.columns import table
from state.history import HISTORY, Entry
from state.run import Phase, Run, Status
from state.store import Session, Store
from tests.bench import durable, targets
from workflows.outcome import Request

FINISHED = 1_000_000
SUBJECTS = 5_000
AT_ONCE = 200  # as many as one look publishes
PARKED = 1_000
ROUNDS, WARM = 15, 2
OF_NONE = 0.9
LEASE = timedelta(seconds=30)
RUN = table(Run)

ID = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}
NUMBERS = {"postgresql": "generate_series(1, :count) AS n(i)", "sqlite": "n"}
EARLIER = {
    "postgresql": "{0} - i * interval '30 seconds'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', {0}, '-' || (i * 30) || ' seconds')",
}
WITH = {"postgresql": "", "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "}


def run() -> dict[str, Any]:
    """Of each database medians over interleaved rounds: claims a second, a look's milliseconds, and the ratio, taken within its round."""
    figures: dict[str, Any] = {}
    with durable.server() as server, server.database() as none, server.database() as many:
        figures["postgresql"] = _compared(none, many)
    with tempfile.TemporaryDirectory() as folder:
        figures["sqlite"] = _compared(f"sqlite:///{folder}/none.db", f"sqlite:///{folder}/many.db")
    missed = [f"{kind}: {name}" for kind, found in figures.items() for name in found["missed"]]
    return {"finished": FINISHED, **figures, "missed": missed}


def _compared(none: str, many: str) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        stores = [Store(url) for url in (none, many)]
        for store in stores:
            stack.callback(store.close)
        began = time.monotonic()
        fill(stores[1], FINISHED)
        filled = time.monotonic() - began
        _in_turns(stores, 0)
        tidy(stores[1])
        for store in stores:
            store.do(partial(_begin, number=-1, count=PARKED, due=datetime.now(UTC) + timedelta(days=1)))
        tidy(stores[0])
        measured = [_in_turns(stores, number) for number in range(1, 1 + WARM + ROUNDS)][WARM:]
    claim, look = ([[one[which][what] for one in measured] for which in (0, 1)] for what in ("claim", "look"))
    return {
        "filled_in_s": round(filled), "claims_a_second": _medians([[1 / seconds for seconds in some] for some in claim]),
        "look_ms": _medians([[1000 * seconds for seconds in some] for some in look]),
        **targets.judged({"of_none": (targets.of(claim[0], claim[1]), OF_NONE)}),
    }  # fmt: skip


def _medians(figures: list[list[float]]) -> dict[str, float]:
    return dict(zip(("none", "many"), (round(statistics.median(some), 2) for some in figures), strict=True))


def fill(store: Store, count: int) -> None:
    """So many finished runs, with the last entry of each, as copies of one that came to its end: of all columns that there are."""
    now = datetime.now(UTC)
    with store.write() as session:
        wanted = Request("reclaim-vfs", "pool", "vm:first", "VM web-0001", {"vifs": [{"mac": "02:00:00:00:00:01", "device": "1"}] * 2})
        run_id = runs.create(session, wanted, now=now)[0].id
        claims.claim(session, run_id, now=now, lease=LEASE)
        _end(session, run_ids=[run_id], now=now)
    with store.write() as session:
        dialect = session.get_bind().dialect.name
        changed = {"id": ID[dialect], "subject": f"'vm:' || (i % {SUBJECTS})"}
        changed |= {name: EARLIER[dialect].format(name) for name in ("created_at", "updated_at", "finished_at")}
        names = [column.name for column in RUN.c]
        values = [changed.get(name, name) for name in names]
        session.connection().execute(text(
            f"INSERT INTO run ({', '.join(names)}) {WITH[dialect]}SELECT {', '.join(values)} FROM run, {NUMBERS[dialect]}"
        ), {"count": count})  # fmt: skip
        names = [column.name for column in HISTORY.c if column.name != "seq"]
        values = ["run.id" if name == "run_id" else f"history.{name}" for name in names]
        session.connection().execute(text(
            f"INSERT INTO history ({', '.join(names)}) SELECT {', '.join(values)} FROM history, run WHERE run.id != history.run_id"
        ))  # fmt: skip


def tidy(store: Store) -> None:
    """What the database does by itself when it has the time for it, so that it does not do it while we measure."""
    with contextlib.closing(store._engine.raw_connection()) as connection:
        driver: Any = connection.driver_connection
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT") if store.is_shared else ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"):
            driver.execute(statement)


def _in_turns(stores: Sequence[Store], number: int) -> list[dict[str, float]]:
    """Of each store the seconds that a claim took in the median, and the look for due runs."""
    now = datetime.now(UTC)
    due, looks, taking = [], [], [list[float]() for _ in stores]
    for store in stores:
        store.do(partial(_begin, number=number, count=AT_ONCE, due=now))
        began = time.perf_counter()
        with store.read() as session:
            due.append([run.id for run in claims.due(session, now=now, limit=AT_ONCE)])
        looks.append(time.perf_counter() - began)
        assert len(due[-1]) == AT_ONCE
    for place in range(AT_ONCE):
        for which in (0, 1) if place % 2 else (1, 0):
            began = time.perf_counter()
            taken = stores[which].do(partial(claims.claim, run_id=due[which][place], now=now, lease=LEASE))
            taking[which].append(time.perf_counter() - began)
            assert taken is not None
    for store, some in zip(stores, due, strict=True):
        store.do(partial(_end, run_ids=some, now=now))
    return [{"claim": statistics.median(some), "look": look} for some, look in zip(taking, looks, strict=True)]


def _begin(session: Session, *, number: int, count: int, due: datetime) -> None:
    for one in range(count):
        runs.create(session, Request("reclaim-vfs", "pool", f"vm:{number}:{one}", f"VM {one}"), now=due)


def _end(session: Session, *, run_ids: Iterable[UUID], now: datetime) -> None:
    for run_id in run_ids:
        run = runs.get(session, run_id)
        assert run is not None
        ended = Change(Status.DONE, Phase.FORWARD, "verify", now, None, run.data, reason="proven free")
        assert claims.record(session, run, ended, Entry("verify", "finish", "proven free"), now=now)
