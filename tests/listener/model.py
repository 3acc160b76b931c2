"""A pool as a table of records with generations, which answers as xapi does and remembers only a few deletions. No wire, no threads."""

from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.listener import events, records
from orchestrator.listener.events import Batch
from orchestrator.listener.mirror import Mirror
from orchestrator.xapi.connection import Line

REMEMBERED = 2
EVENTS = {msgspec.inspect.type_info(kind).tag: kind for kind in events.ObjectEvent.__args__}  # type: ignore[attr-defined]


class ModelPool:
    """Begins as a copy of a mirror; `fetch` is the client's, for what a feed asks."""

    name = "lab"

    def __init__(self, mirror: Mirror) -> None:
        self.epoch = 1
        self._generation = 0
        self._objects: dict[str, dict[str, tuple[records.Record, int]]] = {kind: {} for kind in records.KINDS}
        self._deletions: dict[str, list[tuple[str, int]]] = {kind: [] for kind in records.KINDS}
        for kind in records.KINDS:
            for ref, record in mirror._tables[kind].items():
                self.put(kind, ref, record)

    def put(self, kind: str, ref: str, record: records.Record) -> None:
        """An object is new or changed."""
        self._generation += 1
        self._objects[kind][ref] = (record, self._generation)

    def remove(self, kind: str, ref: str) -> None:
        """An object is gone."""
        self._generation += 1
        del self._objects[kind][ref]
        self._deletions[kind] = [*self._deletions[kind], (ref, self._generation)][-REMEMBERED:]

    def all(self, kind: str) -> dict[str, Any]:
        """All records of a class."""
        return {ref: record for ref, (record, _) in self._objects[kind].items()}

    def fetch(self, kind: Any, method: str, *params: Any, line: Line, timeout: float = 0.0) -> Any:
        """Answer a call."""
        if method == "pool.get_all":
            return list(self._objects["pool"])
        if method == "event.inject":
            token = str(self._generation)
            self.put("pool", params[1], self._objects["pool"][params[1]][0])
            return token
        if method == "event.from":
            counts = {name: len(table) for name, table in self._objects.items()}
            return Batch(list(self._since(int(params[1]))), counts, str(self._generation))
        return self.all(method.removesuffix(".get_all_records").lower())

    def _since(self, generation: int) -> Iterator[Any]:
        for kind, table in self._objects.items():
            yield from (EVENTS[kind]("mod", ref, record) for ref, (record, at) in table.items() if at > generation)
        for kind, gone in self._deletions.items():
            yield from (EVENTS[kind]("del", ref) for ref, at in gone if at > generation)
