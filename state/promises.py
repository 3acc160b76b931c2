"""VFs of ports that are promised to VMs: free in the pool's own numbers, and nobody else's of ours to take."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import Field, Session, col, select

from state import upsert
from state.columns import Row, UtcDateTime, table


class Promise(Row, table=True):
    """*count* VFs of a port (a network_sriov, by its uuid) that the run promised to the VM, *since* then.

    Several runs may wait for one VM, each with a promise of all that the VM will take when that run is through: the highest counts, and
    each stays until its own run lets it go.
    """

    __tablename__ = "promise"

    pool: str = Field(primary_key=True)
    port: str = Field(primary_key=True)
    vm: str = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)
    count: int
    since: datetime = Field(sa_type=UtcDateTime)


PROMISE = table(Promise)


def on(session: Session, pool: str, port: str) -> dict[str, int]:
    """What is promised of the port: VM uuid to number of VFs."""
    rows = session.exec(select(Promise).where(Promise.pool == pool, Promise.port == port))
    return _highest((row.vm, row.count) for row in rows)


def to(session: Session, pool: str, vm: str, *, by: UUID | None = None) -> dict[str, int]:
    """What is promised to the VM, by that run only if one is named: port uuid to number of VFs."""
    query = select(Promise).where(Promise.pool == pool, Promise.vm == vm)
    if by is not None:
        query = query.where(Promise.run_id == by)
    return _highest((row.port, row.count) for row in session.exec(query))


def _highest(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in counts:
        found[name] = max(count, found.get(name, 0))
    return found


def of_pool(session: Session, pool: str) -> list[Promise]:
    """All promises of the pool, oldest first."""
    return list(session.exec(select(Promise).where(Promise.pool == pool).order_by(col(Promise.since))))


def put(session: Session, promise: Promise) -> None:
    """Promise; what the run promised to the VM of that port before is replaced."""
    upsert.put(session, PROMISE, [{column.name: getattr(promise, column.name) for column in PROMISE.columns}])


def withdraw(session: Session, promise: Promise) -> bool:
    """This promise is none any more; False when it was made anew or let go of meanwhile."""
    same = (PROMISE.c.pool == promise.pool) & (PROMISE.c.port == promise.port) & (PROMISE.c.vm == promise.vm)
    mine = same & (PROMISE.c.run_id == promise.run_id) & (PROMISE.c.since == promise.since)
    return bool(session.connection().execute(delete(PROMISE).where(mine)).rowcount)


def remove(session: Session, pool: str, vm: str, *, by: UUID | None = None) -> None:
    """What is promised to the VM, by that run only if one is named, is promised no more."""
    mine = (PROMISE.c.pool == pool) & (PROMISE.c.vm == vm)
    session.connection().execute(delete(PROMISE).where(mine if by is None else mine & (PROMISE.c.run_id == by)))
