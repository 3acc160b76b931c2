"""What happens to nearly every run, where writers run beside each other: created, taken, recorded, by one statement each.

`runs.create`, `claims.claim` and `claims.record` do the same in a transaction that does other things too; what counts is said there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import String, bindparam, cast, func, insert, select
from sqlmodel import Session

from state import claims, history, holds, runs
from state.columns import UtcDateTime
from state.run import Run, of_row
from state.runs import Wanted
from state.single import Row, Single
from state.store import Store

ENTRY = ("step", "outcome", "message", "data", "calls")
SNAPSHOT = cast(func.pg_current_snapshot(), String).label("snapshot")


def _record() -> Single:
    """The run's row, and its entry where there is such a row."""
    recorded = claims.RECORD.returning(claims.RUN.c.id).cte("recorded")
    entry = [bindparam(f"entry_{name}", type_=history.HISTORY.c[name].type) for name in ENTRY]
    added = insert(history.HISTORY).from_select(
        ["run_id", "at", *ENTRY], select(recorded.c.id, bindparam("at", type_=UtcDateTime()), *entry)
    )
    return Single(select(recorded.c.cancel_requested, recorded.c.approved_by, SNAPSHOT).add_cte(added.cte("added")))


CREATE = Single(runs.CREATE["postgresql"])
TAKE = Single(claims.TAKE.returning(SNAPSHOT))
THINGS = Single(select(func.array_agg(holds.HOLD.c.thing).label("things")).where(holds.HOLD.c.run_id == bindparam("run")))
RECORD = _record()


@dataclass(frozen=True, slots=True)
class Taken:
    """A run that was taken, with the things that it has for itself; *snapshot*: which transactions counted before: see `state.woken`."""

    run: Run
    things: frozenset[str]
    snapshot: str


def create(store: Store, wanted: Wanted, *, now: datetime) -> tuple[Run, bool]:
    """As `runs.create`, committed."""
    row = runs.row(wanted, now=now)

    def again(session: Session) -> Row | None:
        there = runs.get(session, row["id"])
        return {"id": there.id} if there is not None and there.created_at == now else CREATE.by(session, row)

    if store.once(CREATE, row, again=again) is not None:
        return of_row(row), True
    return store.do(lambda session: runs.create(session, wanted, now=now))


def take(store: Store, run_id: UUID, *, clock: Callable[[], datetime], lease: timedelta) -> Taken | None:
    """As `claims.claim` and `holds.of`, committed. Where the server's answer is lost, what was taken is left until the lease ends."""

    def values() -> dict[str, Any]:
        now = clock()
        return {"run": run_id, "now": now, "until": now + lease}

    row = store.once(TAKE, values(), again=lambda session: TAKE.by(session, values()))
    if row is None:
        return None
    snapshot = row.pop("snapshot")
    run = of_row(row)
    return Taken(run, _things(store, run), snapshot)


def record(store: Store, run: Run, change: claims.Change, entry: history.Entry, *, now: datetime) -> str | None:
    """As `claims.record` with an entry, committed; the answer is the snapshot, None when the claim was lost.

    For a run that stays at work or has ended: one that parks may be due at once.
    """
    written = claims.written(change, now=now)
    said = {f"entry_{name}": value for name, value in history.values(entry).items()}
    values = {**written, **said, "run": run.id, "held": run.claim, "at": now}
    row = store.once(RECORD, values, again=lambda session: _recorded(session, values) or RECORD.by(session, values))
    if row is None:
        return None
    snapshot: str = row.pop("snapshot")
    vars(run).update(written, **row)
    return snapshot


def _things(store: Store, run: Run) -> frozenset[str]:
    """What the run has, which was taken just now: it got that under a claim, so that it has nothing when it had none before."""
    if run.claim == 1:
        return frozenset()
    values = {"run": run.id}
    row = store.once(THINGS, values, again=lambda session: THINGS.by(session, values))
    return frozenset((row and row["things"]) or ())


def _recorded(session: Session, values: Mapping[str, Any]) -> Row | None:
    """What the record gives where it counts already: then its entry is there, whatever happened to the run since."""
    row = history.HISTORY.c
    there = select(row.seq).where(row.run_id == values["run"], row.at == values["at"])
    there = there.where(row.step == values["entry_step"], row.outcome == values["entry_outcome"])
    if session.connection().execute(there).first() is None:
        return None
    run = select(claims.RUN.c.cancel_requested, claims.RUN.c.approved_by, SNAPSHOT).where(claims.RUN.c.id == values["run"])
    return dict(session.connection().execute(run).mappings().one())
