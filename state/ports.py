"""What is learned of ports that carry VFs: how many VFs each has, and which runs hold how many as leaked."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, delete, func, select
from sqlmodel import Field, Session, col
from sqlmodel import select as rows

from state import upsert
from state.columns import Row, UtcDateTime, table


class PortRow(Row, table=True):
    """One port (a network_sriov, by its uuid); *total* counts its VFs in this *epoch*, *name* is "host/device".

    *most* is the highest total of any epoch, *addresses* are the PCI addresses of its card's VFs, kept to tell people of a change and never
    to act on; *changed* says what was other in the epoch before. None: a row of an older version.
    """

    __tablename__ = "port"

    pool: str = Field(primary_key=True)
    port: str = Field(primary_key=True)
    name: str
    epoch: str
    total: int
    most: int | None = None
    addresses: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    changed: str | None = None
    updated_at: datetime = Field(sa_type=UtcDateTime)


class LeakHold(Row, table=True):
    """*count* VFs of a port that are neither free nor used, held by the run that found them, *since* it did."""

    __tablename__ = "leak_hold"

    pool: str = Field(primary_key=True)
    port: str = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)
    count: int
    since: datetime = Field(sa_type=UtcDateTime)


PORT = table(PortRow)
LEAK = table(LeakHold)


def get(session: Session, pool: str, port: str) -> PortRow | None:
    """What is known of the port."""
    return session.get(PortRow, (pool, port), populate_existing=True)


def put(session: Session, port: PortRow) -> None:
    """Write what is known of the port."""
    upsert.put(session, PORT, [{column.name: getattr(port, column.name) for column in PORT.columns}])


def known(session: Session, pool: str) -> list[PortRow]:
    """All ports known of the pool, by name."""
    return list(session.exec(rows(PortRow).where(PortRow.pool == pool).order_by(col(PortRow.name))))


def leaks(session: Session, pool: str) -> list[LeakHold]:
    """Who holds how many leaked VFs of which port of the pool, oldest first."""
    return list(session.exec(rows(LeakHold).where(LeakHold.pool == pool).order_by(col(LeakHold.since))))


def leaked(session: Session, pool: str, port: str, *, besides: UUID | None = None) -> int:
    """How many VFs of the port are held as leaked, those of the run *besides* not counted."""
    query = select(func.coalesce(func.sum(LEAK.c.count), 0)).where(LEAK.c.pool == pool, LEAK.c.port == port)
    if besides is not None:
        query = query.where(LEAK.c.run_id != besides)
    return int(session.connection().execute(query).scalar_one())


def hold(session: Session, held: LeakHold) -> None:
    """Make a run the holder of *held.count* leaked VFs; 0 releases what it held. Since when it holds any is kept."""
    mine = (LEAK.c.pool == held.pool) & (LEAK.c.port == held.port) & (LEAK.c.run_id == held.run_id)
    if not held.count:
        session.connection().execute(delete(LEAK).where(mine))
        return
    row = {column.name: getattr(held, column.name) for column in LEAK.columns}
    statement = upsert.insert(session, LEAK).values(row)
    session.connection().execute(statement.on_conflict_do_update(index_elements=["pool", "port", "run_id"], set_={"count": held.count}))


def let_go(session: Session, pool: str, run_id: UUID) -> None:
    """The run holds no VF as leaked any more."""
    session.connection().execute(delete(LEAK).where(LEAK.c.pool == pool, LEAK.c.run_id == run_id))
