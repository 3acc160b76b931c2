"""A pool at which the process dies before or after one of its changing calls: the pool itself goes on."""

from typing import Any, cast

from tests.engine.crashes import Death
from workflows.ports import Hosting, Looking, Machines, Networking, Pool
from workflows.restoring import Restoring
from workflows.tracking import Tracking

CHANGING = tuple(name for port in (Machines, Networking, Hosting, Restoring, Tracking) for name in vars(port) if not name.startswith("_"))
READS_OF_A_RESTORE = {"storages", "most_memory", "made_by", "marked_disks", "imports_of", "imported_by", "guest_is_seen"}
ONLY_READS = {"evacuation_blockers", "accounts"} | READS_OF_A_RESTORE | {name for name in vars(Looking) if not name.startswith("_")}


class Dying:
    """Stands before a pool and counts the calls that change something; dies once, *when* ("before", "after") it comes to the *number*th."""

    def __init__(self, real: Pool, number: int = 0, when: str = "before") -> None:
        self._real = real
        self._number = number
        self._when = when
        self.called: list[str] = []
        self.died = False

    def pool(self) -> Pool:
        """The pool as steps see it."""
        return cast("Pool", self)

    def __getattr__(self, name: str) -> Any:
        """The real pool's, counted when it changes something."""
        real = getattr(self._real, name)
        if name in ONLY_READS or name not in CHANGING:
            return real

        def counted(*arguments: Any, **named: Any) -> Any:
            self.called.append(name)
            strikes = not self.died and len(self.called) == self._number
            if strikes and self._when == "before":
                self.died = True
                raise Death
            result = real(*arguments, **named)
            if strikes:
                self.died = True
                raise Death
            return result

        return counted
