"""What calls took effect, and how often on which object: for whoever judges afterwards whether something was done twice."""

import collections
import threading
from typing import Any, Final

from orchestrator.simulator.database import Database

READS: Final = ("get_", "assert_", "query_", "compute_", "maximise_", "retrieve_")
PASSING: Final = frozenset({"event", "session", "task"})


class Effects:
    """Counts calls that changed something and succeeded, by method and the uuid of what the first parameter refers to."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._counted: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

    def named(self, method: str, arguments: list[Any]) -> str | None:
        """What the call is counted for, asked before it is carried out (it may destroy that); None: it only reads."""
        cls, _, name = method.partition(".")
        if cls in PASSING or name.startswith(READS):
            return None
        first = arguments[0] if arguments else ""
        table = self._db.tables.get(cls)
        entry = table.entries.get(first) if table is not None and isinstance(first, str) else None
        return str(entry.record.row["uuid"]) if entry is not None else ""

    def took(self, method: str, thing: str | None) -> None:
        """A call ended well."""
        if thing is not None:
            with self._lock:
                self._counted[method][thing] += 1

    def counted(self) -> dict[str, dict[str, int]]:
        """Method to uuid ("" where the first parameter refers to nothing of its class) to how often."""
        with self._lock:
            return {method: dict(things) for method, things in self._counted.items()}
