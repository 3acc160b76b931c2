"""Who is the active one of several: a lease in a row, with an epoch that fences off a holder that does not know it lost."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, case, literal, or_, select, update
from sqlmodel import Field, Session

from state import upsert
from state.columns import Row, UtcDateTime, table


class LeaseRow(Row, table=True):
    """The lease of one role ("listener:POOL"); *epoch* grows whenever it is taken anew, *since* is when its holder got it from another."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: str
    epoch: int
    expires_at: datetime = Field(sa_type=UtcDateTime)
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)


LEASE = table(LeaseRow)
FAR = timedelta(hours=1)  # no lease is that long, and no two processes' clocks differ as much: its end was written by another time


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken: show it to renew, to release, and to check in the transaction that writes under it."""

    name: str
    holder: str
    epoch: int


def acquire(session: Session, name: str, holder: str, *, now: datetime, duration: timedelta) -> Lease | None:
    """Take the lease when it is free, expired or the holder's own already; None while another holds it.

    One that ends in the far future is free too: its holder died before the clock was set back, or will find that it has lost it.
    *holder* names one life of a process (host, pid and something random), so that a restarted process is another holder.
    """
    statement = upsert.insert(session, LEASE).values(name=name, holder=holder, epoch=1, expires_at=now + duration, since=now)
    goes_on = and_(LEASE.c.holder == holder, LEASE.c.expires_at > now)
    taken = (
        session.connection()
        .execute(
            statement.on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": holder, "epoch": LEASE.c.epoch + 1, "expires_at": now + duration,
                      "since": case((goes_on, LEASE.c.since), else_=literal(now, UtcDateTime()))},
                where=or_(LEASE.c.expires_at <= now, LEASE.c.expires_at > now + FAR + duration, LEASE.c.holder == holder),
            ).returning(LEASE.c.epoch)
        )
        .first()
    )  # fmt: skip
    return None if taken is None else Lease(name, holder, taken.epoch)


def renew(session: Session, lease: Lease, *, now: datetime, duration: timedelta) -> bool:
    """Keep the lease; False when somebody else has taken it. One that expired and that nobody took is kept too."""
    statement = update(LEASE).where(LEASE.c.name == lease.name, LEASE.c.epoch == lease.epoch, LEASE.c.holder == lease.holder)
    return bool(session.connection().execute(statement.values(expires_at=now + duration).returning(LEASE.c.name)).first())


def holds(session: Session, lease: Lease, *, now: datetime) -> bool:
    """Whether the lease is still held: to be asked in the same transaction as what is written under it."""
    row = (
        session.connection().execute(select(LEASE.c.epoch, LEASE.c.expires_at).where(LEASE.c.name == lease.name).with_for_update()).first()
    )
    return row is not None and row.epoch == lease.epoch and row.expires_at > now


def release(session: Session, lease: Lease, *, now: datetime) -> None:
    """Give the lease back, so that the next holder need not wait for its end; nothing when it was lost. The epoch stays in the row."""
    session.connection().execute(
        update(LEASE).where(LEASE.c.name == lease.name, LEASE.c.epoch == lease.epoch, LEASE.c.holder == lease.holder).values(expires_at=now)
    )
