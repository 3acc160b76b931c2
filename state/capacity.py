"""How many VFs there were, and what of them was taken, over time: a sample of a network whenever its numbers changed, and every hour."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Index, delete, func, or_, select, tuple_
from sqlmodel import Field, Session

from state import upsert
from state.columns import Row, UtcDateTime, table

HOUR = timedelta(hours=1)
LASTS = timedelta(minutes=150)
"""For as long a sample says what is, where none follows: one is written every hour, so that nobody looked where there is none."""


class Sample(Row, table=True):
    """The VFs of all ports of a network (a uuid, *name* being its name) of a pool from that moment on, until the next sample.

    *free* counts those that are *promised* as well; *broken* are those of ports that are not attached. *ports*: 0 when it has none any
    more. *hourly*: the first of its hour, which stays when the others are thinned out.
    """

    __tablename__ = "capacity"
    __table_args__ = (Index("ix_capacity_at", "at"),)

    pool: str = Field(primary_key=True)
    network: str = Field(primary_key=True)
    at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    name: str = ""
    ports: int = 0
    total: int = 0
    used: int = 0
    free: int = 0
    promised: int = 0
    leaked: int = 0
    broken: int = 0
    hourly: bool = False


CAPACITY = table(Sample)


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of one sample, as `Sample` has them."""

    name: str = ""
    ports: int = 0
    total: int = 0
    used: int = 0
    free: int = 0
    promised: int = 0
    leaked: int = 0
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """Which samples: of this pool and network (None: any), from *since* to *until*; *after*: only those behind this one in the order."""

    since: datetime
    until: datetime
    pools: Sequence[str] | None = None
    network: str | None = None
    after: tuple[datetime, str, str] | None = None


def add(session: Session, pool: str, found: Mapping[str, Figures], *, now: datetime, hourly: Collection[str]) -> None:
    """Write a sample of each of these networks (by uuid). *hourly*: those of which it is the first of the hour."""
    names = Figures.__slots__
    rows = [
        {"pool": pool, "network": network, "at": now, "hourly": network in hourly, **dict(zip(names, astuple(one), strict=True))}
        for network, one in sorted(found.items())
    ]
    upsert.put(session, CAPACITY, rows)


def latest(session: Session, pool: str) -> dict[str, tuple[datetime, Figures]]:
    """The last sample of each network of the pool that has ports yet."""
    last = select(CAPACITY.c.network, func.max(CAPACITY.c.at).label("at")).where(CAPACITY.c.pool == pool).group_by(CAPACITY.c.network)
    newest = last.subquery()
    mine = select(CAPACITY).join(newest, (CAPACITY.c.network == newest.c.network) & (CAPACITY.c.at == newest.c.at))
    rows = session.connection().execute(mine.where(CAPACITY.c.pool == pool, CAPACITY.c.ports > 0))
    return {row.network: (row.at, _figures(row)) for row in rows}


def since(session: Session, pools: Sequence[str]) -> datetime | None:
    """The first sample that there is of these pools; None: there is none yet."""
    found: datetime | None = session.connection().execute(select(func.min(CAPACITY.c.at)).where(CAPACITY.c.pool.in_(pools))).scalar()
    return found


def listed(session: Session, asked: Asked, *, limit: int) -> list[dict[str, Any]]:
    """The samples in the order of time, as plain values."""
    fits: list[ColumnElement[bool]] = [CAPACITY.c.at >= asked.since, CAPACITY.c.at <= asked.until]
    if asked.pools is not None:
        fits.append(CAPACITY.c.pool.in_(asked.pools))
    if asked.network is not None:
        fits.append(CAPACITY.c.network == asked.network)
    order = (CAPACITY.c.at, CAPACITY.c.pool, CAPACITY.c.network)
    if asked.after is not None:
        at, *names = asked.after
        fits.append(or_(CAPACITY.c.at > at, (CAPACITY.c.at == at) & (tuple_(*order[1:]) > tuple_(*names))))
    columns = [column for column in CAPACITY.columns if column.name != "hourly"]
    return [dict(row) for row in session.connection().execute(select(*columns).where(*fits).order_by(*order).limit(limit)).mappings()]


def remove(session: Session, *, changes: datetime, hours: datetime | None, limit: int) -> int:
    """Remove samples from before *changes* that are not the first of their hour, and all from before *hours*; at most so many. How many."""
    old: ColumnElement[bool] = (CAPACITY.c.at < changes) & CAPACITY.c.hourly.is_(False)
    if hours is not None:
        old = or_(old, CAPACITY.c.at < hours)
    key = tuple_(CAPACITY.c.pool, CAPACITY.c.network, CAPACITY.c.at)
    some = select(CAPACITY.c.pool, CAPACITY.c.network, CAPACITY.c.at).where(old).limit(limit)
    return session.connection().execute(delete(CAPACITY).where(key.in_(some))).rowcount


def _figures(row: Any) -> Figures:
    return Figures(*(getattr(row, name) for name in Figures.__slots__))
