"""What happened to a run, in the order in which it was recorded: written with the run's own row, never without it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import JSON, insert
from sqlalchemy.orm import defer
from sqlmodel import Field, Session, col, select

from state.columns import SEQ, Row, UtcDateTime, table

OVERLAP = 200
"""Numbers are given before transactions are committed: where writers run beside each other, one may come this much after a later one."""
AT_ONCE = 500  # below every limit of bound parameters


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded: the step, how it ended ("done", "wait", "retry", ...), in words, and what was seen (plain JSON).

    *calls*: those that the step made into pools (plain JSON).
    """

    step: str
    outcome: str
    message: str = ""
    data: dict[str, Any] | None = None
    calls: dict[str, Any] | None = None


class History(Row, table=True):
    """One entry; *seq* grows over all runs, so that a reader can follow everything from where it stopped."""

    __tablename__ = "history"

    seq: int | None = Field(default=None, primary_key=True, sa_type=SEQ)
    run_id: UUID = Field(foreign_key="run.id", index=True)
    at: datetime = Field(sa_type=UtcDateTime)
    step: str
    outcome: str
    message: str = ""
    data: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    calls: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))


HISTORY = table(History)
ADD = insert(HISTORY)
ENTRIES = select(History).options(defer(History.calls))  # type: ignore[arg-type]  # it is an attribute of the ORM's; calls are many


def plain(words: str) -> str:
    """The words as every database keeps them."""
    return words.replace("\0", "\ufffd")


def add(session: Session, run_id: UUID, entry: Entry, *, now: datetime) -> None:
    """Record an entry of a run."""
    session.connection().execute(ADD, {"run_id": run_id, "at": now, **values(entry)})


def values(entry: Entry) -> dict[str, Any]:
    """By column. A NUL, which PostgreSQL keeps in no text, stands as the sign for what cannot be shown."""
    return {"step": entry.step, "outcome": entry.outcome, "message": plain(entry.message), "data": entry.data, "calls": entry.calls}


def of(session: Session, run_id: UUID) -> list[History]:
    """All that was recorded of a run, oldest first."""
    return list(session.exec(ENTRIES.where(History.run_id == run_id).order_by(col(History.seq))))


def calls(session: Session, run_id: UUID) -> list[dict[str, Any]]:
    """The entries of a run that have calls: seq, at, step, outcome and calls, oldest first."""
    row = HISTORY.c
    query = sqlalchemy.select(row.seq, row.at, row.step, row.outcome, row.calls).where(row.run_id == run_id, row.calls.is_not(None))
    return [dict(one) for one in session.connection().execute(query.order_by(row.seq)).mappings()]


def of_several(session: Session, run_ids: Collection[UUID], *, after: int = 0) -> list[History]:
    """What was recorded of these runs after the entry *after*, oldest first."""
    found: list[History] = []
    ids = list(run_ids)
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        found += session.exec(ENTRIES.where(col(History.run_id).in_(some), col(History.seq) > after))
    return sorted(found, key=lambda entry: entry.seq or 0)


def after(session: Session, seq: int, *, limit: int = 500) -> list[History]:
    """What was recorded of any run after the entry *seq*, oldest first, at most *limit*."""
    return list(session.exec(ENTRIES.where(col(History.seq) > seq).order_by(col(History.seq)).limit(limit)))
