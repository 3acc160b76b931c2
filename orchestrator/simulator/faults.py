"""Faults that a test may order: calls that fail, are slow, or lose their connection; a server that is deaf to events."""

import dataclasses
import threading
import time
from typing import Any, Literal

from orchestrator.simulator.database import Database

When = Literal["before", "after"]


@dataclasses.dataclass(slots=True)
class Fault:
    """One order: for `method` ("*" is all, "Async." makes no difference), `times` more times (None: for ever).

    `match`, when given, is a parameter of the call: the ref itself, or the uuid or name of the object that it refers to.
    """

    kind: Literal["fail", "delay", "cut"]
    method: str
    times: int | None = None
    match: str | None = None
    error: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    when: When = "before"


@dataclasses.dataclass(slots=True)
class Effect:
    """What the orders do to one call."""

    seconds: float = 0.0
    error: list[str] | None = None
    cut: When | None = None


class Faults:
    """The orders that stand. Threads may give and meet them at any time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._orders: list[Fault] = []
        self._deaf_until = 0.0

    def fail(self, method: str, error: list[str], times: int | None = 1, match: str | None = None) -> None:
        """Calls answer *error* ([code, *params]) and do nothing; an Async call's task fails."""
        self._order(Fault("fail", method, times, match, error=list(error)))

    def delay(self, method: str, seconds: float, times: int | None = None, match: str | None = None) -> None:
        """Calls begin *seconds* (on the wall) later."""
        self._order(Fault("delay", method, times, match, seconds=seconds))

    def cut(self, method: str, when: When = "before", times: int | None = 1, match: str | None = None) -> None:
        """The connection dies before the call did anything, or after it took effect and before it was answered."""
        self._order(Fault("cut", method, times, match, when=when))

    def deaf(self, seconds: float) -> None:
        """event.from and event.next answer nobody for so long; everything else works."""
        with self._db.changed:
            self._deaf_until = time.monotonic() + seconds
            self._db.changed.notify_all()

    def deaf_for(self) -> float:
        """How many more seconds no event is told."""
        return self._deaf_until - time.monotonic()

    def clear(self) -> None:
        """All orders are void."""
        with self._lock:
            self._orders.clear()
        self.deaf(0.0)

    def _order(self, fault: Fault) -> None:
        with self._lock:
            self._orders.append(fault)

    def meet(self, method: str, params: list[Any]) -> Effect:
        """What the orders do to this call; each that applies is used up once."""
        effect = Effect()
        if not self._orders:
            return effect
        with self._lock:
            for fault in [one for one in self._orders if self._applies(one, method, params)]:
                if fault.kind == "delay":
                    effect.seconds += fault.seconds
                elif fault.kind == "fail" and effect.error is None:
                    effect.error = fault.error
                elif fault.kind == "cut" and effect.cut is None:
                    effect.cut = fault.when
                else:
                    continue
                if fault.times is not None:
                    fault.times -= 1
            self._orders = [one for one in self._orders if one.times is None or one.times > 0]
        return effect

    def _applies(self, fault: Fault, method: str, params: list[Any]) -> bool:
        if fault.method.removeprefix("Async.") not in {"*", method}:
            return False
        return fault.match is None or any(fault.match in self._names(param) for param in params if isinstance(param, str))

    def _names(self, param: str) -> list[str]:
        """The parameter, and uuid and name of the object that it is a ref of."""
        names = [param]
        if param.startswith("OpaqueRef:"):
            for table in self._db.tables.values():
                entry = table.entries.get(param)
                if entry is not None:
                    names += [entry.record.row["uuid"], entry.record.row.get("name_label", param)]
        return names
