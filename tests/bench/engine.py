"""Workflows of five empty steps a second: our whole path, the same rows by the raw driver, and DBOS, on SQLite in one run."""

import contextlib
import logging
import sqlite3
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.broker import Broker
from orchestrator.engine.engine import Engine
from plugins.values import Happening
from state.clock import Clock
from state.store import Store
from workflows.outcome import DONE, Outcome, Request
from workflows.policy import Policy
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

STEPS = 5
ROUNDS = 5
OURS = 300
THEIRS = 60  # DBOS takes several times as long for each
WORKERS = 8


def run() -> dict[str, Any]:
    """Medians of interleaved rounds: workflows a second, and the two ratios that count, each taken within its round."""
    figures: dict[str, list[float]] = {"raw": [], "ours": [], "dbos": []}
    with tempfile.TemporaryDirectory() as folder, dbos(f"sqlite:///{folder}/dbos.db") as theirs:
        for number in range(ROUNDS):
            raw = _raw(Path(folder) / f"raw{number}.db", OURS)
            ours = rate(f"sqlite:///{Path(folder)}/ours{number}.db", OURS)
            figures["raw"].append(raw)
            figures["ours"].append(ours)
            figures["dbos"].append(theirs(THEIRS) if theirs else float("nan"))
            print(f"round {number + 1}: raw {raw:.0f}, ours {ours:.0f}, DBOS {figures['dbos'][-1]:.0f} workflows/s")
    of_raw = statistics.median(ours / raw for ours, raw in zip(figures["ours"], figures["raw"], strict=True))
    times_dbos = statistics.median(ours / dbos for ours, dbos in zip(figures["ours"], figures["dbos"], strict=True))
    medians = {name: round(statistics.median(rounds), 1) for name, rounds in figures.items()}
    return {**medians, "of_raw": round(of_raw, 2), "times_dbos": round(times_dbos, 1)}


def rate(url: str, count: int, broker_url: str = "embedded://") -> float:
    """Submit, message, claim, five records: each a transaction of its own, all through the product's own path."""
    ended = threading.Semaphore(0)

    def announce(_: Happening) -> None:
        ended.release()

    store, broker = Store(url), Broker(broker_url)
    engine = Engine(store, broker, {"empty": _workflow()}, lambda run, now: world(run.id, now, announce), announce, Clock(store))
    engine.start(WORKERS)
    begun = time.perf_counter()
    for number in range(count):
        engine.submit(Request("empty", "pool", f"vm:{number}", f"VM {number}"))
    for _ in range(count):
        ended.acquire()
    took = time.perf_counter() - begun
    engine.stop()
    broker.close()
    store.close()
    return count / took


def _workflow() -> Workflow:
    def step(name: str) -> Step:
        def action(world: World, data: Data) -> Outcome:
            """Nothing."""
            return DONE

        action.__name__ = name
        return Step(action)

    return Workflow("empty", "Nothing, five times", tuple(step(f"step_{number}") for number in range(STEPS)))


def world(run_id: uuid.UUID, now: datetime, announce: Callable[[Happening], None]) -> World:
    """What a step is given that wants nothing of it."""
    nothing: Any = None
    return World(run_id=run_id, title="", now=now, pool=nothing, ledger=nothing, policy=Policy(), announce=announce)


def _raw(path: Path, count: int) -> float:
    """The same rows in the same tables by the same transactions, one after the other, by the driver alone."""
    Store(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    begun = time.perf_counter()
    for number in range(count):
        run_id = uuid.uuid4().hex
        with _transaction(connection):
            connection.execute(
                "INSERT INTO run (id, workflow, pool, subject, title, status, phase, due_at, claim, takes, attempt, cancel_requested,"
                " reason, next_command, data, created_at, updated_at)"
                " VALUES (?, 'empty', 'pool', ?, ?, 'READY', 'FORWARD', ?, 0, 0, 0, 0, '', '', '{}', ?, ?)",
                (run_id, f"vm:{number}", f"VM {number}", _at(), _at(), _at()),
            )
        with _transaction(connection):
            connection.execute(
                "UPDATE run SET status = 'RUNNING', due_at = ?, claim = claim + 1, takes = takes + 1, waits_on = NULL,"
                " step_began_at = coalesce(step_began_at, ?), updated_at = ? WHERE id = ? AND due_at <= ?",
                (_at(15), _at(), _at(), run_id, _at()),
            )
        for step in range(STEPS):
            ended = step == STEPS - 1
            with _transaction(connection):
                connection.execute(
                    "UPDATE run SET status = ?, phase = 'FORWARD', step = ?, step_began_at = ?, due_at = ?, data = '{}', attempt = 0,"
                    " waits_on = NULL, reason = '', next_command = '', evidence = NULL, takes = 0, updated_at = ?, finished_at = ?"
                    " WHERE id = ? AND claim = 1 AND status = 'RUNNING'",
                    (
                        "DONE" if ended else "RUNNING",
                        f"step_{step}",
                        _at(),
                        None if ended else _at(15),
                        _at(),
                        _at() if ended else None,
                        run_id,
                    ),
                )
                connection.execute(
                    "INSERT INTO history (run_id, at, step, outcome, message) VALUES (?, ?, ?, 'done', '')", (run_id, _at(), f"step_{step}")
                )
    took = time.perf_counter() - begun
    connection.close()
    return count / took


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _at(later: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=later)).strftime("%Y-%m-%d %H:%M:%S.%f")


@contextlib.contextmanager
def dbos(url: str) -> Iterator[Callable[[int], float] | None]:
    """DBOS at *url*, in its default configuration, called from as many threads as we have workers; None where it is not installed."""
    try:
        from dbos import DBOS
    except ImportError:
        print("DBOS is not installed: its figure is missing")
        yield None
        return
    logging.getLogger("dbos").setLevel(logging.ERROR)
    config: Any = {"name": "bench", "system_database_url": url, "log_level": "ERROR", "run_admin_server": False}
    DBOS(config=config)

    @DBOS.step()
    def empty() -> None:
        """Nothing."""

    @DBOS.workflow()
    def flow() -> None:
        for _ in range(STEPS):
            empty()

    DBOS.launch()

    def measure(count: int) -> float:
        begun = time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as threads:
            list(threads.map(lambda _: flow(), range(count)))
        return count / (time.perf_counter() - begun)

    try:
        measure(WORKERS)  # the first ones also prepare its connections
        yield measure
    finally:
        DBOS.destroy()
