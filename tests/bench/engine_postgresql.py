"""Workflows of five empty steps a second on PostgreSQL: our whole path, the same statements by the driver on one connection, and DBOS."""

import contextlib
import statistics
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import psycopg

from tests.bench import durable, engine, targets
from tests.services import rabbit

ROUNDS = 5
OURS = 400
THEIRS = 60
OF_RAW, TIMES_DBOS = 1.0, 4.0
LEASE = timedelta(seconds=15)

CREATE = (
    "INSERT INTO run (id, workflow, pool, subject, title, status, phase, due_at, claim, takes, attempt, cancel_requested, reason,"
    " next_command, data, created_at, updated_at) VALUES (%s, 'empty', 'pool', %s, %s, 'READY', 'FORWARD', %s, 0, 0, 0, false, '', '',"
    " '{}', %s, %s) ON CONFLICT DO NOTHING RETURNING id"
)
TAKE = (
    "UPDATE run SET status = 'RUNNING', due_at = %s, claim = claim + 1, takes = takes + 1, waits_on = NULL,"
    " step_began_at = coalesce(step_began_at, %s), updated_at = %s WHERE id = %s AND due_at <= %s RETURNING *"
)
RECORD = (
    "UPDATE run SET status = %s, phase = 'FORWARD', step = %s, step_began_at = %s, due_at = %s, data = '{}', attempt = 0, waits_on = NULL,"
    " reason = '', next_command = '', evidence = NULL, takes = 0, updated_at = %s, finished_at = %s"
    " WHERE id = %s AND claim = 1 AND status = 'RUNNING' RETURNING cancel_requested, approved_by"
)
ADD = "INSERT INTO history (run_id, at, step, outcome, message) VALUES (%s, %s, %s, 'done', '')"


def run() -> dict[str, Any]:
    """Medians of interleaved rounds: workflows a second, and the two ratios that count, each taken within its round.

    Beside them, for information, ours with RabbitMQ instead of queues within the process.
    """
    figures: dict[str, list[float]] = {"raw": [], "ours": [], "dbos": [], "ours_by_rabbitmq": []}
    with durable.server() as server, server.database(migrated=False) as url, engine.dbos(url) as theirs, contextlib.ExitStack() as stack:
        node = rabbit.node()
        stack.callback(node.close)
        with server.database() as warm:
            engine.rate(warm, OURS // 4)
        for number in range(ROUNDS):
            with server.database() as one, server.database() as two, server.database() as three:
                figures["raw"].append(raw(one, OURS))
                figures["ours"].append(engine.rate(two, OURS))
                figures["ours_by_rabbitmq"].append(engine.rate(three, OURS, node.url))
            figures["dbos"].append(theirs(THEIRS) if theirs else float("nan"))
            print(f"round {number + 1}: " + ", ".join(f"{name} {rates[-1]:.0f}" for name, rates in figures.items()) + " workflows/s")
    return {
        **{name: round(statistics.median(rates), 1) for name, rates in figures.items()},
        **targets.judged({
            "of_raw": (targets.of(figures["ours"], figures["raw"]), OF_RAW),
            "times_dbos": (targets.of(figures["ours"], figures["dbos"]), TIMES_DBOS),
        }),
    }  # fmt: skip


def raw(url: str, count: int) -> float:
    """The statements that write, in the same transactions, one after the other on one connection, prepared as the driver does it."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET synchronous_commit = on")
        for number in range(10):
            _one(connection, f"warm {number}")
        begun = perf_counter()
        for number in range(count):
            _one(connection, str(number))
        return count / (perf_counter() - begun)


def _one(connection: "psycopg.Connection[Any]", name: str) -> None:
    run_id = uuid.uuid4()
    with _transaction(connection):
        now = datetime.now(UTC)
        connection.execute(CREATE, (run_id, f"vm:{name}", f"VM {name}", now, now, now)).fetchone()
    with _transaction(connection):
        now = datetime.now(UTC)
        connection.execute(TAKE, (now + LEASE, now, now, run_id, now)).fetchone()
    for step in range(engine.STEPS):
        ended = step == engine.STEPS - 1
        with _transaction(connection):
            now = datetime.now(UTC)
            row = ("DONE" if ended else "RUNNING", f"step_{step}", now, None if ended else now + LEASE, now, now if ended else None, run_id)
            connection.execute(RECORD, row).fetchone()
            connection.execute(ADD, (run_id, now, f"step_{step}"))


@contextlib.contextmanager
def _transaction(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    connection.execute("BEGIN", prepare=False)
    yield
    connection.execute("COMMIT", prepare=False)
