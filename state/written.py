"""Policies and windows that people wrote while the machine runs, beside those of the file; what they say is not judged here."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, delete
from sqlmodel import Field, Session, col, select

from state import upsert
from state.columns import Row, UtcDateTime, table

POLICY, WINDOW = "policy", "window"
ALL = "all"


class WrittenRow(Row, table=True):
    """One of them. *settings*: its table as it was written. *revision*: another one after each change. *by*, *at*: who wrote it, and when.

    The row of kind "all" is none: its revision is another one after each change of any.
    """

    __tablename__ = "written"

    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    revision: UUID
    by: str
    at: datetime = Field(sa_type=UtcDateTime)


WRITTEN = table(WrittenRow)


def edition(session: Session) -> UUID | None:
    """What is another one after each change of any; None: nobody ever wrote one."""
    query = select(WRITTEN.c.revision).where(WRITTEN.c.kind == ALL)
    found: UUID | None = session.connection().execute(query).scalar()
    return found


def take_turn(session: Session, *, by: str, now: datetime) -> None:
    """From here to the end of the transaction nobody else writes any, so that what one names is there when it counts."""
    upsert.put(session, WRITTEN, [{"kind": ALL, "name": "", "settings": {}, "revision": uuid4(), "by": by, "at": now}])


def listed(session: Session) -> list[WrittenRow]:
    """All of them, by name."""
    mine = col(WrittenRow.kind).in_([POLICY, WINDOW])
    return list(session.exec(select(WrittenRow).where(mine).order_by(col(WrittenRow.name)).execution_options(populate_existing=True)))


def get(session: Session, kind: str, name: str) -> WrittenRow | None:
    """The one of this kind and name."""
    return session.get(WrittenRow, (kind, name), populate_existing=True)


def put(session: Session, row: WrittenRow) -> None:
    """Write it, anew or over the one that is there. In a transaction that has its turn."""
    upsert.put(session, WRITTEN, [{column.name: getattr(row, column.name) for column in WRITTEN.columns}])


def remove(session: Session, kind: str, name: str) -> bool:
    """Forget it; False when there is none. In a transaction that has its turn."""
    mine = delete(WRITTEN).where(WRITTEN.c.kind == kind, WRITTEN.c.name == name)
    return session.connection().execute(mine.returning(WRITTEN.c.name)).first() is not None
