"""Runs that were refused and that nothing has followed since."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select
from sqlmodel import Session

from state.columns import table
from state.run import Run, Status

RUN = table(Run)


@dataclass(frozen=True, slots=True)
class Refused:
    """What such a run wanted, and why it was refused."""

    id: UUID
    workflow: str
    pool: str
    subject: str
    title: str
    data: dict[str, Any]
    reason: str


def standing(session: Session, pool: str, workflow: str, rules: Collection[str]) -> list[Refused]:
    """The runs of the workflow that rules wanted (`data["rule"]`, one of these), that were refused and are the latest about their subject.

    Those first that were refused longest ago.
    """
    later = RUN.alias()
    followed = exists().where(
        later.c.workflow == RUN.c.workflow, later.c.pool == RUN.c.pool, later.c.subject == RUN.c.subject,
        later.c.created_at > RUN.c.created_at,
    )  # fmt: skip
    mine = (RUN.c.pool == pool, RUN.c.workflow == workflow, RUN.c.status == Status.REFUSED)
    query = select(*(RUN.c[name] for name in Refused.__slots__)).where(*mine, RUN.c.data["rule"].as_string().in_(sorted(rules)), ~followed)
    return [Refused(*row) for row in session.connection().execute(query.order_by(RUN.c.updated_at))]
