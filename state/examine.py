"""What is in a database and does not fit together, in sentences. It is opened to be read: nothing is written, no schema is changed."""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import sqlalchemy
from sqlalchemy import Connection, Row, Select, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from state import engines, moving, postgres, schema, tables
from state.columns import table
from state.engines import Unusable
from state.history import History
from state.holds import KEY as HOLD
from state.holds import Hold
from state.jobs import JobRow
from state.ports import LeakHold
from state.promises import Promise
from state.run import ACTIVE, Run, Status

LONG = timedelta(hours=1)
"""Nobody holds a run for so long without keeping it, and no worker that lives leaves one that is due."""
LONGER = timedelta(days=8)
"""A job that nobody was at for so long is removed by any worker."""
AHEAD = timedelta(days=1)
MOST = 20  # sentences of a kind
ENDS = "run:"  # the key that is woken when a run ends: see `workflows.outcome.wake_on_end`
UNFINISHED = ACTIVE | {Status.STUCK}
RUN = table(Run)

Steps = Mapping[str, Collection[str]]
TakenOver = Callable[[Mapping[str, Any]], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Known:
    """What the rows are judged by. *steps*: of each workflow; *taken_over*: the runs whose promises a run with these data keeps."""

    now: datetime
    steps: Steps
    taken_over: TakenOver


@contextlib.contextmanager
def opened(url: str) -> Iterator[Connection]:
    """The database in a transaction that only reads one consistent state. Raises `Unusable`."""
    parsed = sqlalchemy.make_url(url) if url.startswith("sqlite:") else None
    if parsed is not None:
        path = Path(parsed.database or "")
        if not path.is_file():
            raise Unusable(f"there is no database at {path}: vfo db upgrade makes one")
        parsed = parsed.set(database=f"file:{quote(str(path.absolute()))}", query={"mode": "ro", "uri": "true"})
    engine = engines.make(url if parsed is None else parsed.render_as_string(hide_password=False))
    try:
        with engine.execution_options(vfo_reads_only=True).connect() as connection:
            yield connection
    except Exception as error:
        if not isinstance(error, SQLAlchemyError) and postgres.driver_error(error) is None:
            raise
        said = " ".join(str(postgres.driver_error(error) or getattr(error, "orig", None) or error).split())
        raise Unusable(f"the database {engines.name(sqlalchemy.make_url(url))} cannot be read: {said}") from error
    finally:
        engine.dispose()


def counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has, of those that there are."""
    there = set(inspect(connection).get_table_names())
    return moving.counts(connection, [str(one.name) for one in tables.METADATA.sorted_tables if one.name in there])


def amiss(connection: Connection, known: Known) -> list[str]:
    """What does not fit together, a sentence each, many of a kind cut short; empty when all is well."""
    found = schema.revision(connection)
    if schema.problem(connection):
        newer = found is not None and found > schema.HEAD
        mend = "use a newer vfo" if newer else "vfo db upgrade brings it up to date; what is in it was not looked at"
        return [f"the schema is {found or 'none'}, this version needs {schema.HEAD}: {mend}"]
    unfinished = connection.execute(select(RUN).where(RUN.c.status.in_(sorted(UNFINISHED)))).all()
    kinds = (
        _damaged(connection),
        _of_no_run(connection),
        _kept_by_ended(connection),
        _promised_by_nobody(connection, unfinished, known),
        _unknown_steps(unfinished, known.steps),
        _left(unfinished, known.now),
        _waits_for_nobody(connection, unfinished),
        _old_jobs(connection, known.now),
        _odd_ends(connection, known.now),
    )
    return [sentence for kind in kinds for sentence in _few(list(kind))]


def _few(sentences: list[str]) -> list[str]:
    more = len(sentences) - MOST
    return [*sentences[:MOST], f"... and {more} more like that"] if more > 1 else sentences


def _damaged(connection: Connection) -> Iterator[str]:
    """What SQLite itself finds; of PostgreSQL that is its administrator's."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("PRAGMA quick_check(5)")).scalars().all()
        yield from (f"the file is damaged: {one}: go back to a copy of it" for one in found if one != "ok")


def _of_no_run(connection: Connection) -> Iterator[str]:
    """Rows of runs that are not there. What backups and openings tell of runs that were removed by age is no reference."""
    for model in (History, Hold, LeakHold):
        rows = table(model)
        lost = select(rows.c.run_id).where(~select(RUN.c.id).where(RUN.c.id == rows.c.run_id).exists()).limit(1000)
        found = connection.execute(lost).scalars().all()
        if found:
            many = f"{len(found)}{' or more' if len(found) == 1000 else ''} rows"
            yield f"{rows.name}: {many} are of runs that are not there, such as run {found[0]}"


def _kept_by_ended(connection: Connection) -> Iterator[str]:
    """What runs have for themselves that have ended: nobody else gets it."""
    for model, what in ((Hold, "is held"), (LeakHold, "counts as leaked")):
        rows = table(model)
        thing = rows.c.thing if model is Hold else rows.c.port
        joined = select(thing.label("thing"), *_NAMED).select_from(rows.join(RUN, RUN.c.id == rows.c.run_id))
        for row in connection.execute(_over(joined)):
            which = f"{row.thing}" if model is Hold else f"a VF of port {row.thing}"
            yield f"{which} in pool {row.pool} {what} by {_named(row)}, which is {row.status}"


def _promised_by_nobody(connection: Connection, unfinished: Iterable[Row[Any]], known: Known) -> Iterator[str]:
    """Promises of runs that are over or not there, and that no run has taken over: `vfo serve` withdraws them at its next look."""
    alive = {str(run.id) for run in unfinished} | {one for run in unfinished for one in known.taken_over(run.data)}
    for row in connection.execute(select(table(Promise))):
        if str(row.run_id) not in alive and row.since < known.now - LONG:
            yield f"{row.count} VFs of port {row.port} are promised to VM {row.vm} by run {row.run_id}, which is over or not there"


def _unknown_steps(unfinished: Iterable[Row[Any]], steps: Steps) -> Iterator[str]:
    for run in unfinished:
        if run.workflow not in steps:
            yield f"{_named(run)} is {run.status}: this version has no workflow of that name"
        elif run.step is not None and run.step not in steps[run.workflow]:
            yield f"{_named(run)} is {run.status} at step {run.step}, which its workflow does not have in this version"


def _left(unfinished: Iterable[Row[Any]], now: datetime) -> Iterator[str]:
    """Runs that were due long ago: whoever had them died, or nobody was there."""
    for run in unfinished:
        if run.due_at is not None and run.due_at < now - LONG:
            what = "was taken, its claim expired" if run.status is Status.RUNNING else "is due"
            yield f"{_named(run)} {what} at {run.due_at:%Y-%m-%d %H:%M} UTC and nobody has taken it since: does vfo serve work?"


def _waits_for_nobody(connection: Connection, unfinished: Iterable[Row[Any]]) -> Iterator[str]:
    for run in unfinished:
        key = run.waits_on or ""
        if key.startswith((HOLD, ENDS)):
            other = key.partition(":")[2]
            if not connection.execute(select(RUN.c.id).where(RUN.c.id == UUID(other))).first():
                yield f"{_named(run)} waits for run {other}, which is not there: it looks again at {run.due_at:%Y-%m-%d %H:%M} UTC"


def _old_jobs(connection: Connection, now: datetime) -> Iterator[str]:
    job = table(JobRow)
    left = select(job.c.id, job.c.expires_at).where(job.c.state == "running", job.c.expires_at < now - LONGER)
    for row in connection.execute(left):
        yield f"job {row.id} is running, and nobody was at it since {row.expires_at:%Y-%m-%d %H:%M} UTC"


def _odd_ends(connection: Connection, now: datetime) -> Iterator[str]:
    """Of a long past the index tells the newest of each status."""
    ended = RUN.c.due_at.is_(None)
    for row in connection.execute(select(*_NAMED).where(ended, RUN.c.finished_at.is_(None)).limit(1000)):
        yield f"{_named(row)} is {row.status}, and it is not said since when"
    for status in Status:
        ahead = select(*_NAMED, RUN.c.created_at).where(RUN.c.status == status, RUN.c.created_at > now + AHEAD).limit(1000)
        for one in connection.execute(ahead):
            yield f"{_named(one)} was created at {one.created_at:%Y-%m-%d %H:%M} UTC, by a clock that was ahead"


_NAMED = (RUN.c.id, RUN.c.workflow, RUN.c.title, RUN.c.pool, RUN.c.status)


def _over(query: Select[Any]) -> Select[Any]:
    return query.where(RUN.c.status.not_in(sorted(UNFINISHED))).limit(1000)


def _named(run: Any) -> str:
    return f"run {run.id} ({run.workflow} of {run.title})"
