"""What changed in the rows since the last look, in words that a page or a program can use."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from orchestrator.views import runs as view
from state import history
from state.columns import table
from state.history import HISTORY
from state.run import Run
from state.store import Session, Store
from state.woken import WOKEN

RUN = table(Run)
AT_ONCE = 500
BACK = timedelta(seconds=5)
"""Rows say when they were changed by the clock of who changed them, and are committed a moment after that."""
MANY = 200  # objects of a pool in one look: then it is loaded anew, and one word says so
CLASSES = frozenset({"vm", "vif", "pif", "network", "network_sriov", "pci", "host", "vdi", "vbd", "sr", "pool"})

Found = tuple[str, dict[str, Any]]
"""The kind of a change ("run", "object", "reset"), and what is told of it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    seq: int
    run_id: UUID
    said: dict[str, Any]


class Looker:
    """Looks at the rows, again and again, by one thread. What other threads *heard* of a pool's objects is told at the next look.

    A "run" is its row as `views.runs.row` has it, with the *entry* that was recorded ({seq, at, step, outcome, message}), or None where the
    row alone changed. An "object" is {pool, class, uuid}: something of the pool changed. A "reset" {pool}: look at all of it again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._overlap = history.OVERLAP if store.is_shared else 0
        self._heard: set[str] = set()
        self._lock = threading.Lock()
        self._told_entries: dict[int, None] = {}
        self._told_keys: dict[int, None] = {}
        self._known: dict[UUID, datetime] = {}
        self.seq = 0
        self._woken = 0
        self._changed: datetime | None = None

    def heard(self, keys: Iterable[str]) -> None:
        """From any thread: something happened to these (`workflows.outcome.wake_on_...`)."""
        with self._lock:
            self._heard.update(keys)

    def begin(self) -> None:
        """What there is now is no news."""
        with self._lock:
            self._heard.clear()
        with self._store.read() as session:
            self.seq = _last(session, HISTORY.c.seq)
            self._told_entries = dict.fromkeys(entry.seq for entry in _entries(session, self.seq - self._overlap, AT_ONCE))
            if self._store.is_shared:
                self._woken = _last(session, WOKEN.c.seq)
                self._told_keys = dict.fromkeys(seq for seq, _ in _noted(session, self._woken - self._overlap))
            self._changed = session.connection().execute(select(func.max(RUN.c.updated_at)).where(RUN.c.due_at.is_not(None))).scalar()
            self._known = {run.id: run.updated_at for run in self._lately(session)}

    def look(self) -> list[Found]:
        """What changed since the last look, or since `begin`. May raise `Away`."""
        with self._store.read() as session:
            entries = [one for one in _entries(session, self.seq - self._overlap, AT_ONCE) if one.seq not in self._told_entries]
            changed = [run for run in self._lately(session) if self._known.get(run.id) != run.updated_at]
            runs = _runs(session, {entry.run_id for entry in entries} | {run.id for run in changed})
            keys = (
                [one for one in _noted(session, self._woken - self._overlap) if one[0] not in self._told_keys]
                if self._store.is_shared
                else []
            )
        with self._lock:
            heard, self._heard = self._heard, set()
        self._note(entries, list(runs.values()), [seq for seq, _ in keys])
        found: list[Found] = [("run", {**view.row(runs[one.run_id]), "entry": one.said}) for one in entries if one.run_id in runs]
        recorded = {entry.run_id for entry in entries}
        found += [("run", {**view.row(runs[run.id]), "entry": None}) for run in changed if run.id in runs and run.id not in recorded]
        return found + _of_objects(heard | {key for _, key in keys})

    def since(self, seq: int) -> list[Found] | None:
        """What was recorded after the entry *seq*, up to what was told already; None: so much that it is better to look at all anew."""
        with self._store.read() as session:
            entries = _entries(session, seq - self._overlap, AT_ONCE)
            if len(entries) == AT_ONCE:
                return None
            runs = _runs(session, {entry.run_id for entry in entries})
        told = [one for one in entries if one.seq <= self.seq and one.run_id in runs]
        return [("run", {**view.row(runs[one.run_id]), "entry": one.said}) for one in told]

    def _lately(self, session: Session) -> list[Any]:
        """The active runs whose rows changed since a little before the last change that was seen. They are few among all that ended."""
        active = select(RUN.c.id, RUN.c.updated_at).where(RUN.c.due_at.is_not(None))
        if self._changed is not None:
            active = active.where(RUN.c.updated_at >= self._changed - BACK)
        return list(session.connection().execute(active))

    def _note(self, entries: list[_Entry], runs: list[Run], keys: list[int]) -> None:
        for entry in entries:
            self._told_entries[entry.seq] = None
            self.seq = max(self.seq, entry.seq)
        for number in keys:
            self._told_keys[number] = None
            self._woken = max(self._woken, number)
        for told, last in ((self._told_entries, self.seq), (self._told_keys, self._woken)):
            for number in [one for one in told if one < last - self._overlap]:
                del told[number]
        for run in runs:
            self._known[run.id] = run.updated_at
            self._changed = max(run.updated_at, self._changed or run.updated_at)
        if self._changed is not None:
            self._known = {run_id: at for run_id, at in self._known.items() if at >= self._changed - BACK}


def _last(session: Session, column: Any) -> int:
    return session.connection().execute(select(func.max(column))).scalar() or 0


def _entries(session: Session, after: int, limit: int) -> list[_Entry]:
    said = select(HISTORY.c.seq, HISTORY.c.run_id, HISTORY.c.at, HISTORY.c.step, HISTORY.c.outcome, HISTORY.c.message)
    rows = session.connection().execute(said.where(HISTORY.c.seq > after).order_by(HISTORY.c.seq).limit(limit))
    names = ("seq", "at", "step", "outcome", "message")
    return [_Entry(row.seq, row.run_id, {name: getattr(row, name) for name in names}) for row in rows]


def _noted(session: Session, after: int) -> list[tuple[int, str]]:
    rows = session.connection().execute(select(WOKEN.c.seq, WOKEN.c.key).where(WOKEN.c.seq > after).order_by(WOKEN.c.seq).limit(50_000))
    return [(row.seq, row.key) for row in rows]


def _runs(session: Session, ids: set[UUID]) -> dict[UUID, Run]:
    from sqlmodel import col
    from sqlmodel import select as rows

    found: dict[UUID, Run] = {}
    wanted = list(ids)
    for start in range(0, len(wanted), AT_ONCE):
        some = rows(Run).where(col(Run.id).in_(wanted[start : start + AT_ONCE])).execution_options(populate_existing=True)
        found |= {run.id: run for run in session.exec(some)}
    return found


def _of_objects(keys: Iterable[str]) -> list[Found]:
    """Keys are "class:pool:uuid"; of what is no object of a pool (a task, a run's end) nothing is told."""
    parts = [key.split(":") for key in keys]
    objects = sorted({(one[1], one[0], one[2]) for one in parts if len(one) == 3 and one[0] in CLASSES})
    many = {pool for pool, count in Counter(pool for pool, _, _ in objects).items() if count > MANY}
    found: list[Found] = [("reset", {"pool": pool}) for pool in sorted(many)]
    return found + [("object", {"pool": pool, "class": kind, "uuid": uuid}) for pool, kind, uuid in objects if pool not in many]
