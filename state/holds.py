"""What runs have for themselves: of a pool's thing ("vm:UUID", "port:UUID") one run is the holder, until it ends or lets it go."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, select
from sqlmodel import Field, Session

from state import alone, upsert
from state.columns import Row, UtcDateTime, table
from state.run import Run, Status

KEY = "hold:"
LONGEST_CIRCLE = 100


class Hold(Row, table=True):
    """One thing of a pool, and the run that has it for itself *since* then."""

    __tablename__ = "hold"

    pool: str = Field(primary_key=True)
    thing: str = Field(primary_key=True)
    run_id: UUID = Field(foreign_key="run.id", index=True)
    since: datetime = Field(sa_type=UtcDateTime)


@dataclass(frozen=True, slots=True)
class Holder:
    """The run that has a thing which another wants. *circular*: it waits, itself or by way of others, for what the other one has."""

    thing: str
    run_id: UUID
    workflow: str
    title: str
    stuck: bool
    circular: bool

    def __str__(self) -> str:
        """As a person reads it."""
        stuck = ", which is stuck" if self.stuck else ""
        return f"{self.thing}, held by run {str(self.run_id)[:8]} ({self.workflow} of {self.title}){stuck}"


HOLD = table(Hold)
RUN = table(Run)
OF = select(HOLD.c.thing).where(HOLD.c.run_id == bindparam("run"))  # built once: every taking of a run asks it


def wake_key(run_id: UUID) -> str:
    """The key that is woken when what the run holds is released."""
    return f"{KEY}{run_id}"


def of(session: Session, run_id: UUID) -> frozenset[str]:
    """The things that the run has."""
    return frozenset(session.connection().execute(OF, {"run": run_id}).scalars())


def of_pool(session: Session, pool: str) -> dict[str, UUID]:
    """Every thing of the pool that is held, and by which run."""
    rows = session.connection().execute(select(HOLD.c.thing, HOLD.c.run_id).where(HOLD.c.pool == pool))
    return {row.thing: row.run_id for row in rows}


def take(session: Session, run: Run, things: Collection[str], *, now: datetime) -> Holder | None:
    """Make the run the holder of all these things; None when it is now. Else nothing is taken, and the answer is who has one of them.

    The takers of a pool follow one another: of two that want what the other has, the second sees the first wait.
    """
    _in_turn(session, run.pool)
    taken = []
    for thing in sorted(set(things)):
        row = {"pool": run.pool, "thing": thing, "run_id": run.id, "since": now}
        added = upsert.insert(session, HOLD).values(row).on_conflict_do_nothing().returning(HOLD.c.thing)
        if session.connection().execute(added).first() is not None:
            taken.append(thing)
            continue
        holder = _holder(session, run, thing)
        if holder is not None:
            give_back(session, run, taken)
            return holder
    return None


def give_back(session: Session, run: Run, things: Collection[str]) -> None:
    """The run has these things no more. Who waits for them is woken by `wake_key`; one that took them in this transaction nobody saw."""
    _in_turn(session, run.pool)
    session.connection().execute(delete(HOLD).where(HOLD.c.pool == run.pool, HOLD.c.run_id == run.id, HOLD.c.thing.in_(things)))


def release(session: Session, run: Run) -> None:
    """The run has nothing for itself any more. Who waits for it is woken by `wake_key`."""
    _in_turn(session, run.pool)
    session.connection().execute(delete(HOLD).where(HOLD.c.run_id == run.id))


def _in_turn(session: Session, pool: str) -> None:
    alone.at(session, f"holds of {pool}")


def _holder(session: Session, run: Run, thing: str) -> Holder | None:
    """Who has the thing, if it is another run."""
    joined = HOLD.join(RUN, RUN.c.id == HOLD.c.run_id)
    query = select(RUN.c.id, RUN.c.workflow, RUN.c.title, RUN.c.status).select_from(joined)
    row = session.connection().execute(query.where(HOLD.c.pool == run.pool, HOLD.c.thing == thing)).first()
    if row is None or row.id == run.id:
        return None
    return Holder(thing, row.id, row.workflow, row.title, row.status is Status.STUCK, _circular(session, run.id, row.id))


def _circular(session: Session, asking: UUID, holder: UUID) -> bool:
    """Whether the holder waits for what the asking run has: followed from one to the next."""
    for _ in range(LONGEST_CIRCLE):
        waiting = select(RUN.c.waits_on).where(RUN.c.id == holder, RUN.c.status == Status.WAITING, RUN.c.cancel_requested.is_(False))
        waits_on = session.connection().execute(waiting).scalar()
        if waits_on is None or not waits_on.startswith(KEY):
            return False
        holder = UUID(waits_on.removeprefix(KEY))
        if holder == asking:
            return True
    return False
