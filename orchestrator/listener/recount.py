"""Which classes are to be loaded anew because the pool counts another number of objects than the mirror has."""

import time
from collections.abc import Mapping

from orchestrator.listener.mirror import Mirror

EXCUSED_SECONDS = 10.0


class Recount:
    """Remembers differences that a load did not cure: objects that went while it ran, or a server that counts what it does not show.

    The same difference is not worth another load at once, or a busy pool would be loaded with every answer.
    """

    def __init__(self, excused_seconds: float = EXCUSED_SECONDS) -> None:
        self._excused_seconds = excused_seconds
        self._excused: dict[str, tuple[int, float]] = {}

    def differing(self, mirror: Mirror, valid_ref_counts: Mapping[str, int]) -> list[str]:
        """The classes that differ, but for those that did so by as much right after they were loaded, for a while."""
        counts, now, found = mirror.counts(), time.monotonic(), []
        for name in mirror.differing(valid_ref_counts):
            excess, until = self._excused.get(name, (0, 0.0))
            if valid_ref_counts[name] - counts[name] != excess or now > until:
                found.append(name)
        return found

    def loaded(self, name: str, mirror: Mirror, valid_ref_counts: Mapping[str, int]) -> None:
        """The class was loaded anew: what still differs is excused."""
        self._excused[name] = (valid_ref_counts[name] - mirror.counts()[name], time.monotonic() + self._excused_seconds)
