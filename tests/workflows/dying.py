"""A pool at which the process dies before or after one of its changing calls: the pool itself goes on."""

from dataclasses import dataclass
from typing import Any, cast

from tests.engine.crashes import Death
from workflows.ports import Hosting, Looking, Machines, Networking, Pool
from workflows.restoring import Restoring
from workflows.tracking import Tracking

CHANGING = tuple(name for port in (Machines, Networking, Hosting, Restoring, Tracking) for name in vars(port) if not name.startswith("_"))
READS_OF_A_RESTORE = {"storages", "most_memory", "made_by", "marked_disks", "imports_of", "imported_by", "guest_is_seen"}
ONLY_READS = {"evacuation_blockers", "accounts"} | READS_OF_A_RESTORE | {name for name in vars(Looking) if not name.startswith("_")}


@dataclass(frozen=True)
class Place:
    """Where a process can die: *when* ("before", "after") it makes the *nth* call of that *name*, *number* being its place among all."""

    number: int
    name: str
    nth: int
    when: str

    def __str__(self) -> str:
        return f"{self.when} call {self.number}, {self.name}"


def places(called: list[str]) -> list[Place]:
    """Every place of a run that made these calls."""
    return [Place(number, name, called[:number].count(name), when) for number, name in enumerate(called, 1) for when in ("before", "after")]


class Dying:
    """Stands before a pool and keeps which calls changed something; dies once at each of the places: *left* are those not come to."""

    def __init__(self, real: Pool, *places: Place) -> None:
        self._real = real
        self.left = list(places)
        self.called: list[str] = []

    def pool(self) -> Pool:
        """The pool as steps see it."""
        return cast("Pool", self)

    def _dies(self, name: str, nth: int, when: str) -> None:
        for place in self.left:
            if (place.name, place.nth, place.when) == (name, nth, when):
                self.left.remove(place)
                raise Death

    def __getattr__(self, name: str) -> Any:
        """The real pool's, counted when it changes something."""
        real = getattr(self._real, name)
        if name in ONLY_READS or name not in CHANGING:
            return real

        def counted(*arguments: Any, **named: Any) -> Any:
            nth = self.called.count(name) + 1
            self._dies(name, nth, "before")
            self.called.append(name)
            result = real(*arguments, **named)
            self._dies(name, nth, "after")
            return result

        return counted
