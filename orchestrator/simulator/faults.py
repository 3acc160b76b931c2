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
    `size` is bytes: a second of a slow stream, before the end of one that breaks.
    """

    kind: Literal["fail", "delay", "cut", "slow", "break"]
    method: str
    times: int | None = None
    match: str | None = None
    error: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    size: int = 0
    when: When = "before"


@dataclasses.dataclass(slots=True)
class Effect:
    """What the orders do to one call; `slow` and `broken` to the stream of a transfer."""

    seconds: float = 0.0
    error: list[str] | None = None
    cut: When | None = None
    slow: Fault | None = None
    broken: Fault | None = None

    def take(self, fault: Fault) -> bool:
        """Let the order act on this call; false when one of its kind does already."""
        if fault.kind == "delay":
            self.seconds += fault.seconds
        elif fault.kind == "fail" and self.error is None:
            self.error = fault.error
        elif fault.kind == "cut" and self.cut is None:
            self.cut = fault.when
        elif fault.kind == "slow" and self.slow is None:
            self.slow = fault
        elif fault.kind == "break" and self.broken is None:
            self.broken = fault
        else:
            return False
        return True


class Faults:
    """The orders that stand. Threads may give and meet them at any time.

    `busy` is how many seconds (on the wall) a disk is in use after a transfer, None: as long as on real hosts, scaled by the speed.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._orders: list[Fault] = []
        self._deaf_until = 0.0
        self.busy: float | None = None

    def fail(self, method: str, error: list[str], times: int | None = 1, match: str | None = None) -> None:
        """Calls answer *error* ([code, *params]) and do nothing; an Async call's task fails."""
        self._order(Fault("fail", method, times, match, error=list(error)))

    def delay(self, method: str, seconds: float, times: int | None = None, match: str | None = None) -> None:
        """Calls begin *seconds* (on the wall) later."""
        self._order(Fault("delay", method, times, match, seconds=seconds))

    def cut(self, method: str, when: When = "before", times: int | None = 1, match: str | None = None) -> None:
        """The connection dies before the call did anything, or after it took effect and before it was answered."""
        self._order(Fault("cut", method, times, match, when=when))

    def slow_stream(self, path: str, rate: int, times: int | None = None, match: str | None = None) -> None:
        """Transfers of the path ("export_raw_vdi") move no more than *rate* bytes a second."""
        self._order(Fault("slow", path, times, match, size=rate))

    def break_stream(self, path: str, after: int, error: list[str] | None = None, times: int | None = 1, match: str | None = None) -> None:
        """Transfers of the path end after so many bytes of the body; with *error* as xapi's own failures do, else by the connection."""
        self._order(Fault("break", path, times, match, error=list(error or ()), size=after))

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
        self.busy = None
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
                if not effect.take(fault):
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
