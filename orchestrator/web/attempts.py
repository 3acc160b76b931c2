"""How often somebody may try a password: after a few that were wrong they wait, by the name they try and by where they come from."""

import ipaddress
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

WITHIN = timedelta(minutes=15)
FOR_A_NAME = 5  # wrong ones within that time
FOR_AN_ADDRESS = 20  # more: people share addresses, behind a proxy all of them
AT_ONCE = 8  # that are looked into at the same time: a pool that does not answer must not keep all threads of the web waiting
MOST = 10_000  # names and addresses that are remembered: who tries more of them does not fill the memory


class Busy(Exception):
    """It is looked into already whether somebody of that name gets in, or whether many others do."""


class Attempts:
    """Wrong passwords of the last minutes, in this process; time is an argument."""

    def __init__(self) -> None:
        self._wrong: dict[tuple[str, str], deque[datetime]] = {}
        self._said: dict[tuple[str, str], datetime] = {}
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """One try at a time by a name: of many at once each would be made before another counts as wrong. Raises `Busy`."""
        name = name[:200]
        with self._lock:
            if name in self._under_way or len(self._under_way) >= AT_ONCE:
                raise Busy
            self._under_way.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._under_way.discard(name)

    def wait(self, name: str, address: str, now: datetime) -> timedelta | None:
        """How long they have to wait before they may try; None: not at all."""
        with self._lock:
            waits = [self._until(key, limit, now) for key, limit in self._keys(name, address)]
        longest = max((end for end in waits if end is not None), default=None)
        return None if longest is None or longest <= now else longest - now

    def wrong(self, name: str, address: str, now: datetime) -> None:
        """Somebody gave a wrong password for the name."""
        with self._lock:
            for key, _ in self._keys(name, address):
                if key not in self._wrong and len(self._wrong) >= MOST:
                    self._forget(now)
                self._wrong.setdefault(key, deque(maxlen=FOR_AN_ADDRESS)).append(now)

    def is_news(self, name: str, address: str, now: datetime) -> bool:
        """Whether it was not said lately that they have to wait: who goes on trying does not fill what is written down."""
        with self._lock:
            keys = {key for key, limit in self._keys(name, address) if self._until(key, limit, now) is not None}
            self._said = {key: at for key, at in self._said.items() if now - WITHIN < at <= now}
            new = not keys & self._said.keys()
            self._said |= dict.fromkeys(keys, now) if new else {}
            return new

    def right(self, name: str) -> None:
        """They knew it: what was wrong before counts no more for the name. That of the address does, or a known name would open others."""
        with self._lock:
            self._wrong.pop(("name", name), None)

    @staticmethod
    def _keys(name: str, address: str) -> list[tuple[tuple[str, str], int]]:
        return [(("name", name[:200]), FOR_A_NAME), (("address", _whose(address)), FOR_AN_ADDRESS)]

    def _until(self, key: tuple[str, str], limit: int, now: datetime) -> datetime | None:
        """When the oldest of those that are too many is long enough ago."""
        found = [at for at in self._wrong.get(key, ()) if now - WITHIN < at <= now]
        return found[-limit] + WITHIN if len(found) >= limit else None

    def _forget(self, now: datetime) -> None:
        """Those of which nothing counts any more; when all do, the one that was first."""
        gone = [key for key, at in self._wrong.items() if at[-1] <= now - WITHIN] or [next(iter(self._wrong))]
        for key in gone:
            del self._wrong[key]


def _whose(address: str) -> str:
    """Of IPv6 whoever has one address has all of its network, and would else have as many tries, and lines of the audit, as these are."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.IPv6Network((int(found), 64), strict=False)) if found.version == 6 and found.ipv4_mapped is None else address
