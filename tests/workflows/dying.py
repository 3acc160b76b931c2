"""A pool at which the process dies before or after one of its changing calls: the pool itself goes on."""

from typing import Any, cast

from tests.engine.crashes import Death
from workflows.ports import Hosting, Looking, Machines, Networking, Pool

CHANGING = tuple(name for port in (Machines, Networking, Hosting) for name in vars(port) if not name.startswith("_"))
ONLY_READS = {"evacuation_blockers"} | {name for name in vars(Looking) if not name.startswith("_")}


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
