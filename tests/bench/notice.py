"""How many seconds after a trouble is over each of its deletions has become a run, with the settings that the product has by default."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.listener.settings import ListenerSettings
from orchestrator.simulator import SimulatedPool
from state.store import Store
from tests.listener import watched
from tests.listener.watched import Watched
from tests.listener.wire import Wire

VMS = 1300
MANY = 600
WEEK_VMS = 5000
WEEK = 2000
PATIENCE = 180.0


def run() -> dict[str, Any]:
    """Seconds from the end of the trouble (of deafness: from the deletion, since it does not end) to the last run, and what was missed."""
    figures = {
        f"{MANY} deleted while the network was silent": _trouble(VMS, MANY, lambda _pool, wire: wire.hold()),
        f"{MANY} deleted while cut off": _trouble(VMS, MANY, lambda _pool, wire: wire.cut()),
        "deaf stream (never ends; watchdog every 60 s)": _trouble(12, 2, lambda pool, _wire: pool.control.deaf(3600)),
        "failover, the old coordinator refers to the new one": _trouble(12, 2, _failover(old_answers=True)),
        "failover, the old coordinator is dead": _trouble(12, 2, _failover(old_answers=False)),
        "toolstack restart of 5 s": _trouble(12, 2, lambda pool, _wire: pool.control.toolstack_restart(5.0)),
        f"{WEEK} of {WEEK_VMS} deleted in a week away": _week(),
    }
    return {name: {"seconds": round(seconds, 2), "missed": missed} for name, (seconds, missed) in figures.items()}


def _failover(*, old_answers: bool) -> Callable[[SimulatedPool, Wire | None], None]:
    return lambda pool, _wire: pool.control.failover("host2", old_answers=old_answers)


@contextlib.contextmanager
def _listening(pool: SimulatedPool, folder: str, url: str | None = None) -> Iterator[Watched]:
    store = Store(f"sqlite:///{Path(folder, 'vfo.sqlite3')}")
    listening = Watched(pool, store, url, ListenerSettings(lease=timedelta(seconds=15)))
    try:
        yield listening.settle()
    finally:
        listening.stop()
        store.close()


def _trouble(vms: int, count: int, begin: Callable[[SimulatedPool, Any], None]) -> tuple[float, int]:
    """Deletions in the middle of a trouble, which ends after them; failovers go around the wire, which knows one address."""
    with SimulatedPool(vms=vms) as pool, Wire(pool.url) as wire, tempfile.TemporaryDirectory() as folder:
        by_wire = vms == VMS
        with _listening(pool, folder, wire.url if by_wire else None) as listening:
            begin(pool, wire)
            subjects = _delete(pool, count)
            wire.mend()
            return _wait(listening, subjects)


def _week() -> tuple[float, int]:
    with SimulatedPool(vms=WEEK_VMS) as pool, tempfile.TemporaryDirectory() as folder:
        with _listening(pool, folder):
            pass
        subjects = _delete(pool, WEEK)
        began = time.monotonic()
        with _listening(pool, folder) as listening:
            _, missed = _wait(listening, subjects)
            return time.monotonic() - began, missed


def _delete(pool: SimulatedPool, count: int) -> set[str]:
    some = dict(list(watched.vms(pool).items())[:count])
    client = watched.client_of(pool)
    watched.destroy(client, list(some.values()))
    client.close()
    return {f"vm:{uuid}" for uuid in some}


def _wait(listening: Watched, subjects: set[str]) -> tuple[float, int]:
    began = time.monotonic()
    while (missed := subjects - set(listening.subjects())) and time.monotonic() - began < PATIENCE:
        time.sleep(0.05)
    return time.monotonic() - began, len(missed)
