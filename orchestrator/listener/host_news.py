"""Tells that a host came into service or went out of it, from what the mirror has of hosts and their metrics."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from orchestrator.listener.mirror import Change, Mirror
from plugins.values import Happening, HostChanged

KINDS = ("host", "host_metrics")


class _Stands(NamedTuple):
    name: str
    live: bool
    enabled: bool


class HostNews:
    """One pool's. What it finds first is how things stand, and no news; a host that joins is news when it is in service."""

    def __init__(self, pool: str, announce: Callable[[Happening], None], clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._announce = announce
        self._clock = clock
        self._known: dict[str, _Stands] | None = None

    def settle_all(self, mirror: Mirror) -> None:
        """Look at every host, after a load."""
        self._settle(mirror)

    def settle(self, mirror: Mirror, changes: Iterable[Change]) -> None:
        """Look, when a host changed or its metrics did."""
        if any(change.kind in KINDS for change in changes):
            self._settle(mirror)

    def _settle(self, mirror: Mirror) -> None:
        stands = {host.uuid: _Stands(host.name_label, mirror.is_live(host), host.enabled) for host in mirror.hosts.values()}
        before, self._known = self._known, stands
        if before is None:
            return
        away = _Stands("", live=False, enabled=False)
        for uuid in stands.keys() | before.keys():
            was, now = before.get(uuid, away), stands.get(uuid, away)
            if was[1:] != now[1:]:
                self._announce(HostChanged(self._pool, uuid, now.name or was.name, now.live, now.enabled, self._clock()))
