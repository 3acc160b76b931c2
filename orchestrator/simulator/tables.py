"""One class's objects with their generations: what changed since a moment is found without looking at the rest."""

import collections
import dataclasses
from collections.abc import Iterator

from orchestrator.simulator.records import Coercion, Record
from orchestrator.simulator.schema import Class

# A class remembers its deletions until there are UPPER, then only the latest LOWER (db_cache_types.ml: Table.remove).
UPPER, LOWER = 512, 256


@dataclasses.dataclass(slots=True)
class Entry:
    """An object that lives: its record and the generations of its creation and of its latest event."""

    record: Record
    created: int
    modified: int


@dataclasses.dataclass(slots=True)
class Changes:
    """What happened to a class's objects after a generation: states, not a log (xapi_event.ml: event.from)."""

    adds: list[tuple[str, Entry]] = dataclasses.field(default_factory=list)
    mods: list[tuple[str, Entry]] = dataclasses.field(default_factory=list)
    dels: list[tuple[str, int]] = dataclasses.field(default_factory=list)
    last: int = 0


class Table:
    """The objects of one class in order of creation, and once more in order of their latest event, newest last."""

    def __init__(self, cls: Class) -> None:
        self.cls = cls
        self.coerce = Coercion(cls)
        self.entries: dict[str, Entry] = {}
        self.deletions: list[tuple[int, int, str]] = []
        self.by_uuid: dict[str, str] = {}
        self.by_name: dict[str, dict[str, None]] = collections.defaultdict(dict)
        self._recent: collections.OrderedDict[str, Entry] = collections.OrderedDict()

    def add(self, ref: str, record: Record, generation: int) -> None:
        """A new object."""
        entry = Entry(record, generation, generation)
        self.entries[ref] = self._recent[ref] = entry
        self.by_uuid[record.row["uuid"]] = ref
        if "name_label" in record.row:
            self.by_name[record.row["name_label"]][ref] = None

    def replace(self, ref: str, record: Record, generation: int) -> None:
        """The object has a new record, and an event of this generation."""
        entry = self.entries[ref]
        before, entry.record, entry.modified = entry.record.row, record, generation
        self._recent.move_to_end(ref)
        if before.get("name_label") != record.row.get("name_label"):
            self._forget_name(before["name_label"], ref)
            self.by_name[record.row["name_label"]][ref] = None

    def remove(self, ref: str, generation: int) -> Entry:
        """The object is gone."""
        entry = self.entries.pop(ref)
        del self._recent[ref]
        row = entry.record.row
        self.by_uuid.pop(row["uuid"], None)
        if "name_label" in row:
            self._forget_name(row["name_label"], ref)
        self.deletions.append((generation, entry.created, ref))
        if len(self.deletions) >= UPPER:
            del self.deletions[:-LOWER]
        return entry

    def _forget_name(self, name: str, ref: str) -> None:
        refs = self.by_name[name]
        refs.pop(ref, None)
        if not refs:
            del self.by_name[name]

    @property
    def newest(self) -> int:
        """The generation of the latest event of the class, 0 when there was none."""
        live = next(reversed(self._recent.values())).modified if self._recent else 0
        return max(live, self.deletions[-1][0] if self.deletions else 0)

    def changes(self, since: int) -> Changes:
        """What a follower who knows everything up to *since* does not know yet; costs what changed, not what there is."""
        found = Changes()
        for ref, entry in self._since(since):
            found.last = max(found.last, entry.modified)
            (found.adds if entry.created > since else found.mods).append((ref, entry))
        if since == 0:  # a first look is answered by what lives; its token too is that of the living
            return found
        for generation, created, ref in reversed(self.deletions):
            if generation <= since:
                break
            found.last = max(found.last, generation)
            if created <= since:
                found.dels.append((ref, generation))
        return found

    def _since(self, since: int) -> Iterator[tuple[str, Entry]]:
        for ref, entry in reversed(self._recent.items()):
            if entry.modified <= since:
                return
            yield ref, entry

    def rewind(self, generation: int) -> None:
        """Read from disk by a toolstack that starts: deletions are not remembered, nothing is newer than *generation*."""
        self.deletions.clear()
        for entry in self.entries.values():
            entry.created, entry.modified = min(entry.created, generation), min(entry.modified, generation)
