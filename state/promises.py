"""VFs of ports that are promised to VMs: free in the pool's own numbers, and nobody else's of ours to take."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import Field, Session, col, select

from state import upsert
from state.columns import Row, UtcDateTime, table


class Promise(Row, table=True):
    """*count* VFs of a port (a network_sriov, by its uuid) that the run promised to the VM, *since* then."""

    __tablename__ = "promise"

    pool: str = Field(primary_key=True)
    port: str = Field(primary_key=True)
    vm: str = Field(primary_key=True)
    count: int
    run_id: UUID
    since: datetime = Field(sa_type=UtcDateTime)


PROMISE = table(Promise)


def on(session: Session, pool: str, port: str) -> dict[str, int]:
    """What is promised of the port: VM uuid to number of VFs."""
    rows = session.exec(select(Promise).where(Promise.pool == pool, Promise.port == port))
    return {row.vm: row.count for row in rows}


def to(session: Session, pool: str, vm: str) -> dict[str, int]:
    """What is promised to the VM: port uuid to number of VFs."""
    return {row.port: row.count for row in session.exec(select(Promise).where(Promise.pool == pool, Promise.vm == vm))}


def of_pool(session: Session, pool: str) -> list[Promise]:
    """All promises of the pool, oldest first."""
    return list(session.exec(select(Promise).where(Promise.pool == pool).order_by(col(Promise.since))))


def put(session: Session, promise: Promise) -> None:
    """Promise; what was promised to the VM of that port before, by whichever run, is replaced."""
    upsert.put(session, PROMISE, [{column.name: getattr(promise, column.name) for column in PROMISE.columns}])


def remove(session: Session, pool: str, vm: str) -> None:
    """Nothing is promised to the VM any more."""
    session.connection().execute(delete(PROMISE).where(PROMISE.c.pool == pool, PROMISE.c.vm == vm))
