"""Each process's row of what it is, kept as long as it lives, so that `vfo cluster status` sees all of them anywhere.

The rows are leases "process:1", "process:2", ...: a process has the first that is free, and its holder is what it says of itself, as JSON.
So there are never more rows than processes that lived at once. Which leases it has is in the rows of those.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from importlib.metadata import version
from itertools import count
from typing import Any

import orjson

from orchestrator.roles import Role
from state import leases
from state.leases import Lease
from state.store import Session, Store

logger = logging.getLogger(__name__)

PREFIX = "process:"
CALLS = "calls"  # how the leases begin of which a process has many (`orchestrator.call_slots`)
BEAT = timedelta(seconds=10)  # how often the row is written
LASTS = timedelta(seconds=35)  # three beats and a bit: a process that says nothing for so long has died
MOST = 1000  # rows that are tried


def named() -> str:
    """This process as the holders of leases begin: its machine (or container) and its process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Presence:
    """*says*: what else is told of the process, plain values."""

    def __init__(
        self, store: Store, roles: Collection[Role], says: Callable[[], dict[str, Any]], clock: Callable[[], datetime]
    ) -> None:  # fmt: skip
        self._store = store
        self._says = says
        self._clock = clock
        self._fixed = {
            "process": named(), "roles": sorted(role.value for role in roles), "version": version("vf-orchestrator"),
            "since": clock().isoformat(),
        }  # fmt: skip
        self._lease: Lease | None = None

    def run(self, stop: threading.Event) -> None:
        """Keep the row until *stop* is set."""
        while True:
            try:
                self.beat()
            except Exception:  # the database may be away for a moment: the row outlives some beats
                logger.exception("the row of this process could not be kept")
            if stop.wait(BEAT.total_seconds()):
                break
        self.leave()

    def beat(self) -> None:
        """Write the row."""
        now = self._clock()
        self._store.do(lambda session: self._write(session, now))

    def leave(self) -> None:
        """Say that the process is gone."""
        if self._lease is None:
            return
        try:
            with self._store.write() as session:
                leases.release(session, self._lease, now=self._clock())
        except Exception:  # it ends by itself
            logger.exception("the row of this process could not be given back")

    def _write(self, session: Session, now: datetime) -> None:
        """What it says has changed, and with it the holder: so the row is given back and taken, in one transaction."""
        holder = orjson.dumps({**self._fixed, **self._says()}).decode()
        if self._lease is not None:
            leases.release(session, self._lease, now=now)
        self._lease = next(
            (lease for name in self._names() if (lease := leases.acquire(session, name, holder, now=now, duration=LASTS))), None
        )

    def _names(self) -> Iterator[str]:
        if self._lease is not None:
            yield self._lease.name
        for number in count(1):
            if number > MOST:
                return
            yield f"{PREFIX}{number}"


def read(holder: str) -> dict[str, Any]:
    """What a process says of itself; nothing when it is not such a row (another version's)."""
    try:
        said = orjson.loads(holder)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
