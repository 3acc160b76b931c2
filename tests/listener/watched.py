"""A listener that runs, over the wire, as the product runs it; and another client that does things to its pool."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from orchestrator.listener.listener import Listener
from orchestrator.listener.settings import ListenerSettings
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from state import inventory, runs
from state.run import Run
from state.store import Store

QUICK = ListenerSettings(
    watchdog=timedelta(seconds=0.5),
    within=timedelta(seconds=1),
    lease=timedelta(seconds=3),
    first_pause=timedelta(milliseconds=50),
    longest_pause=timedelta(seconds=1),
)
PATIENCE = 120.0


def until(true: Callable[[], object], what: str = "it did not come about") -> float:
    """Wait until something is so; how many seconds that took."""
    began, pause = time.monotonic(), threading.Event()
    while not true():
        assert time.monotonic() - began < PATIENCE, f"{what} within {PATIENCE} s"
        pause.wait(0.01)
    return time.monotonic() - began


def client_of(pool: SimulatedPool, url: str | None = None) -> Client:
    """A client of the pool, by way of *url* when that is given."""
    password = SecretStr(pool.password)
    return Client(PoolSettings("lab", url or pool.url, pool.user, password, patience=timedelta(seconds=20)))


class Watched:
    """A listener in a thread of its own, with a client of its own."""

    def __init__(self, pool: SimulatedPool, store: Store, url: str | None = None, settings: ListenerSettings = QUICK) -> None:
        self.pool = pool
        self.store = store
        self.published: list[UUID] = []
        self.woken: set[str] = set()
        self.client = client_of(pool, url)
        self.listener = Listener(self.client, store, self.published.append, self.woken.update, settings, lambda: datetime.now(UTC))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.listener.run, args=(self._stop,), daemon=True)
        self._thread.start()

    @property
    def meters(self) -> Any:
        """The listener's figures."""
        return self.listener.meters

    def settle(self) -> "Watched":
        """Wait until everything was loaded once."""
        until(lambda: self.meters.loads)
        return self

    def runs(self) -> list[Run]:
        """All active runs."""
        with self.store.read() as session:
            return runs.listed(session, limit=100_000)

    def subjects(self) -> list[str]:
        """What the runs are about."""
        return [run.subject for run in self.runs()]

    def known(self) -> set[str]:
        """The VMs (uuids) that the store knows."""
        with self.store.read() as session:
            return set(inventory.known(session, "lab"))

    def halt(self) -> None:
        """Stop the listener, and keep its client open."""
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        """Stop the listener, as the product does."""
        self.halt()
        self.client.close()


def vms(pool: SimulatedPool, *, running: bool | None = None) -> dict[str, str]:
    """The pool's VMs with VIFs on the SR-IOV network, templates and the like left out: uuid -> ref."""
    database = pool.database
    with database.lock:
        network = database.by_name("network", "SR-IOV")[0]
        owners = {row["VM"] for _, row in database.rows("VIF") if row["network"] == network}
        rows = [(ref, database.get("VM", ref)) for ref in owners]
        return {
            row["uuid"]: ref
            for ref, row in rows
            if not (row["is_a_template"] or row["is_a_snapshot"]) and running in (None, row["power_state"] == "Running")
        }


def destroy(client: Client, refs: list[str]) -> None:
    """Delete VMs as another client would: off, then gone."""
    for ref in refs:
        if client.call("VM.get_power_state", ref) != "Halted":
            client.call("VM.hard_shutdown", ref)
        client.call("VM.destroy", ref)
