"""xapi's database as far as clients can tell: rows by reference, both ends of relations, generations for event.from.

One lock guards it. Rows that were read stay as they were read (a change makes a new row), so nothing has to be copied
and answers are serialised without the lock. The cost of a change does not depend on how many objects there are.
"""

import collections
import dataclasses
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.simulator import schema as data_model
from orchestrator.simulator.errors import handle_invalid
from orchestrator.simulator.records import Record, Row
from orchestrator.simulator.tables import Table

__all__ = ["Database", "LoggedEvent", "Record", "Row"]

# event.next is answered from a log of this many events; who lags further behind gets EVENTS_LOST. xapi keeps 10 MB (xapi_event.ml:
# max_queue_size), which is about as many records of VMs.
LOG = 3000
# Whose end is an event of those that go on referring to them: a VM's is of its snapshots, a VDI's is not (recorded on a running xapi).
MISSED = frozenset({"VM"})


@dataclasses.dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event for event.next, which tells every change; `time` is in seconds since 1970."""

    id: int
    time: float
    cls: str
    operation: str
    ref: str
    record: Record | None


class Database:
    """All stored classes. `lock` guards everything, `changed` is notified at every change.

    `generation` counts events. `log` is what event.next tells, kept from the first event.register on (`logging`); `forgotten` is the
    newest event that it lost. `later` does something so many seconds of a real host's time later; the server sets it, until then it is
    done at once.
    """

    def __init__(self, schema: data_model.Schema | None = None, seed: int = 1) -> None:
        self.schema = schema or data_model.load()
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.tables = {name: Table(cls) for name, cls in self.schema.classes.items() if cls.stored}
        self.generation = 0
        self.log: collections.deque[LoggedEvent] = collections.deque(maxlen=LOG)
        self.logging = False
        self.forgotten = 0
        self.later: Callable[[float, Callable[[], None]], None] = lambda _, work: work()
        self._random = random.Random(seed)
        self._defaults = {name: {f.name: f.default for f in table.cls.fields.values()} for name, table in self.tables.items()}

    def new_uuid(self) -> str:
        """8-4-4-4-12 hexadecimal digits, which need not be a version 4 UUID: xapi's are not either."""
        digits = f"{self._random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    # -- reading ---------------------------------------------------------------------------------------------

    def table(self, cls: str, ref: str = "") -> Table:
        """The class's table; HANDLE_INVALID [cls, ref] when there is no such class."""
        try:
            return self.tables[cls]
        except KeyError:
            raise handle_invalid(cls, ref) from None

    def record(self, cls: str, ref: str) -> Record:
        """The object's present record; HANDLE_INVALID [cls, ref] when it is gone."""
        entry = self.table(cls, ref).entries.get(ref)
        if entry is None:
            raise handle_invalid(cls, ref)
        return entry.record

    def get(self, cls: str, ref: str) -> Row:
        """The object's present row, hidden fields too, not to be changed; HANDLE_INVALID [cls, ref] when it is gone."""
        return self.record(cls, ref).row

    def exists(self, cls: str, ref: str) -> bool:
        """Whether the object lives."""
        return ref in self.table(cls, ref).entries

    def refs(self, cls: str) -> list[str]:
        """All objects of the class, oldest first."""
        with self.lock:
            return list(self.table(cls).entries)

    def rows(self, cls: str) -> Iterator[tuple[str, Row]]:
        """All objects of the class with their rows, oldest first, as they are now: changes while iterating are not seen."""
        with self.lock:
            entries = [(ref, entry.record.row) for ref, entry in self.table(cls).entries.items()]
        return iter(entries)

    def records(self, cls: str) -> dict[str, Record]:
        """All objects of the class with their records, oldest first, as they are now."""
        with self.lock:
            return {ref: entry.record for ref, entry in self.table(cls).entries.items()}

    def by_uuid(self, cls: str, uuid: str) -> str | None:
        """The object with this uuid, or None."""
        return self.table(cls).by_uuid.get(uuid)

    def by_name(self, cls: str, label: str) -> list[str]:
        """The objects with this name, oldest first; names need not be unique."""
        with self.lock:
            return list(self.table(cls).by_name.get(label, ()))

    # -- writing ---------------------------------------------------------------------------------------------

    def create(self, cls: str, /, **fields: Any) -> str:
        """A new object with the data model's defaults for what is not given; gives its ref.

        A uuid is made unless given. The computed ends of relations (VM.VIFs, network.PIFs...) start empty whatever is given,
        so that a copy of another object's row may be passed whole.
        """
        with self.changed:
            table = self.table(cls)
            given = table.coerce(fields)
            row = {**self._defaults[cls], "uuid": self.new_uuid(), **given, **{mirror: [] for mirror in table.cls.mirrors}}
            ref = f"OpaqueRef:{self.new_uuid()}"
            record = Record(row)
            self.generation += 1
            table.add(ref, record, self.generation)
            self._note(table, "add", ref, record)
            for relation in table.cls.relations:
                for other in self._targets(relation, row):
                    self._mirror(relation, other, ref, present=True)
            self.changed.notify_all()
            return ref

    def destroy(self, cls: str, ref: str) -> None:
        """The object is gone: those it refers to lose it from their lists, those that refer to it keep a dead ref; see MISSED."""
        with self.changed:
            record = self.record(cls, ref)
            table = self.tables[cls]
            self.generation += 1
            table.remove(ref, self.generation)
            self._note(table, "del", ref, None)
            for relation in table.cls.relations:
                for other in self._targets(relation, record.row):
                    self._mirror(relation, other, ref, present=False)
            for mirror, relation in table.cls.mirrors.items() if cls in MISSED else ():
                for referrer in record.row[mirror]:
                    if self.exists(relation.cls, referrer):
                        self.touch(relation.cls, referrer)
            self.changed.notify_all()

    def set(self, cls: str, ref: str, /, **fields: Any) -> None:
        """Change fields: an event when a public value really changes, none when only hidden ones do. HANDLE_INVALID when it is gone."""
        with self.changed:
            before = self.record(cls, ref)
            table = self.tables[cls]
            computed = table.cls.mirrors.keys() & fields.keys()
            if computed:
                raise ValueError(f"{cls}.{sorted(computed)[0]} is computed from the other end of the relation")
            given = table.coerce(fields)
            changed = {name: value for name, value in given.items() if name not in before.row or before.row[name] != value}
            if not changed:
                return
            row = {**before.row, **changed}
            if all(name[0] == "_" for name in changed):
                table.entries[ref].record = before.hidden_change(row)
            else:
                self._store(table, ref, Record(row))
                for relation in table.cls.relations:
                    if relation.field in changed:
                        self._relate(relation, ref, before.row, row)
            self.changed.notify_all()

    def touch(self, cls: str, ref: str) -> None:
        """A mod event without a change (event.inject). HANDLE_INVALID when it is gone."""
        with self.changed:
            self._store(self.table(cls, ref), ref, self.record(cls, ref))
            self.changed.notify_all()

    def reload(self, behind: int = 0) -> None:
        """A toolstack reads the database anew: deletions are forgotten, and with *behind* tokens of before are of the future."""
        with self.changed:
            self.generation = max(0, self.generation - behind)
            for table in self.tables.values():
                table.rewind(self.generation)
            self.log.clear()
            self.logging = False
            self.forgotten = self.generation
            self.changed.notify_all()

    def counts(self) -> dict[str, int]:
        """How many objects of each class live, by lower-case class name; messages are not in xapi's database."""
        return {name.lower(): len(table.entries) for name, table in self.tables.items() if name != "message"}

    # -- inside ----------------------------------------------------------------------------------------------

    def _store(self, table: Table, ref: str, record: Record) -> None:
        self.generation += 1
        table.replace(ref, record, self.generation)
        self._note(table, "mod", ref, record)

    def _note(self, table: Table, operation: str, ref: str, record: Record | None) -> None:
        if self.logging and table.cls.events:
            if len(self.log) == LOG:
                self.forgotten = self.log[0].id
            self.log.append(LoggedEvent(self.generation, time.time(), table.cls.name, operation, ref, record))

    @staticmethod
    def _targets(relation: data_model.Relation, row: Row) -> list[str]:
        value = row[relation.field]
        return list(value) if relation.many else [value]

    def _relate(self, relation: data_model.Relation, ref: str, before: Row, after: Row) -> None:
        old, new = self._targets(relation, before), self._targets(relation, after)
        for other in old:
            if other not in new:
                self._mirror(relation, other, ref, present=False)
        for other in new:
            if other not in old:
                self._mirror(relation, other, ref, present=True)

    def _mirror(self, relation: data_model.Relation, other: str, ref: str, *, present: bool) -> None:
        """Put *ref* on, or take it off, the list at the other end; an end that does not exist is nobody's concern."""
        table = self.tables[relation.other]
        entry = table.entries.get(other)
        if entry is None:
            return
        row = entry.record.row
        listed = [*row[relation.mirror], ref] if present else [one for one in row[relation.mirror] if one != ref]
        self._store(table, other, Record({**row, relation.mirror: listed}))
