"""Who did what, and what came of it: one line for each act, also for those that were refused. Lines are added, and go when they are old."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, delete, func, insert
from sqlalchemy import select as rows
from sqlmodel import Field, Session, col, select

from state.columns import SEQ, Row, UtcDateTime, table
from state.history import plain

LONGEST = 500  # characters of what somebody else chose


class Audit(Row, table=True):
    """One act. *seq* grows.

    *who*: the name of the user or the token. *how*: "cli", "api", "console" or "rule". *what*: the act ("assign-vf", "approve").
    *thing*: what it was done to, in words. *outcome*: "done", "refused" or "failed". *details*: plain JSON, such as the runs that it began.
    """

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_at", "at"), Index("ix_audit_who_seq", "who", "seq"))

    seq: int | None = Field(default=None, primary_key=True, sa_type=SEQ)
    at: datetime = Field(sa_type=UtcDateTime)
    who: str
    how: str
    what: str
    thing: str
    outcome: str
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


AUDIT = table(Audit)
ADD = insert(AUDIT)


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be written down, as in `Audit`."""

    who: str
    how: str
    what: str
    thing: str
    outcome: str = "done"
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which acts; "" and None: any. *before*: those with a smaller number. *since*, *until*: [since, until)."""

    who: str = ""
    how: str = ""
    what: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


def add(session: Session, act: Act, *, now: datetime) -> None:
    """Write it down, in the transaction of what was done where there is one."""
    row = {"at": now, "details": act.details}
    row |= {name: plain(getattr(act, name))[:LONGEST] for name in ("who", "how", "what", "thing", "outcome")}
    session.connection().execute(ADD, row)


def listed(session: Session, asked: Asked | None = None, *, limit: int = 100) -> list[Audit]:
    """The acts, newest first, at most *limit*."""
    asked = asked or Asked()
    query = select(Audit)
    for name in ("who", "how", "what", "outcome"):
        if value := getattr(asked, name):
            query = query.where(getattr(Audit, name) == value)
    if asked.since is not None:
        query = query.where(col(Audit.at) >= asked.since)
    if asked.until is not None:
        query = query.where(col(Audit.at) < asked.until)
    if asked.before is not None:
        query = query.where(col(Audit.seq) < asked.before)
    return list(session.exec(query.order_by(col(Audit.seq).desc()).limit(limit)))


def older(session: Session, *, before: datetime) -> int:
    """How many lines are that old."""
    return session.connection().execute(rows(func.count()).select_from(AUDIT).where(AUDIT.c.at < before)).scalar_one()


def forget(session: Session, *, before: datetime, limit: int) -> int:
    """Remove lines that are that old; how many."""
    old = rows(AUDIT.c.seq).where(AUDIT.c.at < before).order_by(AUDIT.c.at).limit(limit)
    return len(session.connection().execute(delete(AUDIT).where(AUDIT.c.seq.in_(old)).returning(AUDIT.c.seq)).all())
