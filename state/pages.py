"""Runs page by page: newest first, from where the page before ended, whatever is begun meanwhile."""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select, union_all
from sqlmodel import Session
from sqlmodel import select as rows

from state.columns import table
from state.run import Run, Status

RUN = table(Run)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which runs; None: any. *subject*: "kind:uuid". *text*: in its title, or all that follows the kind in its subject."""

    statuses: Collection[Status]
    pool: str | None = None
    workflow: str | None = None
    subject: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last run of a page, as far as the order goes."""

    created_at: datetime
    run_id: UUID

    def written(self) -> str:
        """For who asks for the next page; opaque to them."""
        return base64.urlsafe_b64encode(f"{self.created_at.isoformat()} {self.run_id}".encode()).decode()

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """ValueError when it was not written so."""
        try:
            moment, _, run_id = base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode().partition(" ")
        except (binascii.Error, UnicodeError) as error:
            raise ValueError(text) from error
        created_at = datetime.fromisoformat(moment)
        if created_at.tzinfo is None:
            raise ValueError(text)
        return cls(created_at, UUID(run_id))


def runs(session: Session, asked: Asked, *, before: Cursor | None, limit: int) -> tuple[list[Run], Cursor | None]:
    """A page, and where the next one begins; None: it was the last. An index has those of each status in this order."""
    newest = union_all(*(_newest(status, asked, before, limit + 1) for status in sorted(asked.statuses))).subquery()
    query = rows(Run).join(newest, newest.c.id == RUN.c.id).order_by(newest.c.created_at.desc(), newest.c.id.desc()).limit(limit + 1)
    found = list(session.exec(query))
    page = found[:limit]
    return page, Cursor(page[-1].created_at, page[-1].id) if len(found) > limit else None


def _newest(status: Status, asked: Asked, before: Cursor | None, limit: int) -> Select[Any]:
    mine = select(RUN.c.id, RUN.c.created_at).where(RUN.c.status == status)
    for name in ("pool", "workflow", "subject"):
        if (value := getattr(asked, name)) is not None:
            mine = mine.where(RUN.c[name] == value)
    if asked.text is not None:
        text = asked.text.lower()
        in_title = func.lower(RUN.c.title).contains(text, autoescape=True)
        mine = mine.where(or_(in_title, RUN.c.subject.endswith(f":{text}", autoescape=True)))
    if before is not None:
        older = or_(RUN.c.created_at < before.created_at, and_(RUN.c.created_at == before.created_at, RUN.c.id < before.run_id))
        mine = mine.where(RUN.c.created_at <= before.created_at, older)
    return select(mine.order_by(RUN.c.created_at.desc(), RUN.c.id.desc()).limit(limit).subquery())
