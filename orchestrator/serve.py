"""`vfo serve`: all roles in one process, from the first login to the last step at SIGTERM."""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

from orchestrator import bootstrap, memory
from orchestrator.bootstrap import PoolAccess
from orchestrator.broker import Broker
from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded
from orchestrator.engine.engine import Engine
from orchestrator.engine.timing import Timing
from orchestrator.ledger import PoolLedger
from orchestrator.listener.listener import Listener
from orchestrator.listener.settings import ListenerSettings
from orchestrator.metrics import Metrics
from orchestrator.reconciler import Reconciler
from orchestrator.upkeep import Upkeep
from plugins import manager
from plugins.values import Happening
from state import runs
from state.run import Run
from state.store import Store
from workflows.catalogue import WORKFLOWS
from workflows.world import World

logger = logging.getLogger(__name__)

STEPS_SHARE, RECORDS_SHARE, ALL_SHARE = 0.5, 0.1, 0.8  # the interpreter needs the rest to end


def now() -> datetime:
    """The time of the running machine."""
    return datetime.now(UTC)


def serve(loaded: Loaded) -> int:
    """Serve until SIGTERM or SIGINT; 0. What cannot be used (database, broker, plugin, port) is a ConfigError before anything starts."""
    memory.bound()
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_signals(stop))
        store = bootstrap.store(loaded)
        stack.callback(store.close)
        broker = bootstrap.broker(loaded)
        stack.callback(broker.close)
        pools = {access.name: access for access in stack.enter_context(bootstrap.pools(loaded, store))}
        daemon = Daemon(loaded, store, broker, pools)
        stack.enter_context(daemon.serving_metrics())
        daemon.run(stop)
    return 0


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT ask the daemon to finish the steps at hand; a second one is not waited for."""

    def asked(number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Daemon:
    """The roles of one process: engine, and for each pool a listener and a reconciler."""

    def __init__(self, loaded: Loaded, store: Store, broker: Broker, pools: dict[str, PoolAccess]) -> None:
        self._path = loaded.path
        self._settings = loaded.settings
        self._store = store
        self._pools = pools
        self._policy = bootstrap.policy(loaded)
        self._plugins = manager.load()
        self._metrics = Metrics()
        timing = Timing(lease=self._settings.serve.lease, heartbeat=self._settings.serve.lease / 4)
        self._engine = Engine(store, broker, WORKFLOWS, self._world, self._announce, now, timing=timing)
        self._listeners = {name: self._listener(access) for name, access in pools.items()}
        self._metrics.meters = {name: listener.meters for name, listener in self._listeners.items()}
        self._metrics.runs_by_status = self._counts
        self._upkeep = {name: self._upkeep_of(access) for name, access in pools.items()}

    def run(self, stop: threading.Event) -> None:
        """Serve until *stop* is set; then finish the steps at hand, as long as the configuration says."""
        threads = [
            threading.Thread(target=listener.run, args=(stop,), name=f"listener {name}", daemon=True)
            for name, listener in self._listeners.items()
        ]
        threads += [
            threading.Thread(target=self._reconciler(access).run, args=(stop,), name=f"reconciler {name}", daemon=True)
            for name, access in self._pools.items()
        ]
        threads += [
            threading.Thread(target=upkeep.run, args=(stop,), name=f"upkeep {name}", daemon=True) for name, upkeep in self._upkeep.items()
        ]
        self._engine.start(self._settings.serve.workers)
        for thread in threads:
            thread.start()
        sys.stdout.write(f"vfo serves {', '.join(self._pools)}\n")
        sys.stdout.flush()
        stop.wait()
        logger.info("stopping: the steps at hand are finished")
        self._stop(threads)

    def _stop(self, others: list[threading.Thread]) -> None:
        """End everything within the time that the configuration gives, whatever hangs: a silent pool, a database that another has locked.

        Most of it is for the steps at hand. Then the calls that still wait are cut, what that makes of their steps is recorded, and what
        is not through by the end is left: it is taken up at the next start.
        """
        within = self._settings.serve.stop_within
        ends = time.monotonic() + within.total_seconds() * ALL_SHARE
        self._engine.stop(within * STEPS_SHARE)
        closing = [threading.Thread(target=access.client.close, daemon=True) for access in self._pools.values()]
        for thread in closing:
            thread.start()
        self._engine.stop(within * RECORDS_SHARE)
        for thread in (*closing, *others):
            thread.join(max(0.0, ends - time.monotonic()))

    @contextlib.contextmanager
    def serving_metrics(self) -> Iterator[None]:
        """Serve /metrics while the block runs, where the configuration gives a port."""
        metrics = self._settings.metrics
        if metrics.port is None:
            yield
            return
        try:
            port, stop = self._metrics.serve(metrics.host, metrics.port)
        except OSError as error:
            raise ConfigError([f"{self._path}: metrics: {metrics.host}:{metrics.port} cannot be served: {error}"]) from None
        logger.info("metrics are served at http://%s:%d/metrics", metrics.host, port)
        try:
            yield
        finally:
            stop()

    def _world(self, run: Run, at: datetime) -> World:
        access = self._pools.get(run.pool)
        pool = access.port if access else bootstrap.absent(run.pool)
        return World(run.id, run.title, at, pool, PoolLedger(self._store, run.pool), self._policy, self._announce)

    def _announce(self, happening: Happening) -> None:
        self._metrics.announced(happening)
        manager.announce(self._plugins, happening)

    def _counts(self) -> dict[str, int]:
        with self._store.read() as session:
            return {status.value: count for status, count in runs.counts(session).items()}

    def _listener(self, access: PoolAccess) -> Listener:
        wanted = self._settings.listener
        rules = tuple(rule.rule() for rule in self._settings.assign)
        settings = ListenerSettings(reconcile=wanted.reconcile, watchdog=wanted.watchdog, lease=wanted.lease, rules=rules)
        return Listener(access.client, self._store, self._publish, self._wake, settings, now)

    def _wake(self, keys: list[str]) -> None:
        self._engine.wake(keys)
        for upkeep in self._upkeep.values():
            upkeep.heard(keys)

    def _upkeep_of(self, access: PoolAccess) -> Upkeep:
        meters, settles = self._listeners[access.name].meters, self._settings.reclaim.grace
        return Upkeep(access, self._store, self._engine, self._policy.sriov, lambda: meters.active, settles)

    def _publish(self, run_id: UUID) -> None:
        self._engine.publish([run_id])

    def _reconciler(self, access: PoolAccess) -> Reconciler:
        meters = self._listeners[access.name].meters
        every, policy = self._settings.reclaim.every, self._policy.reclaim
        return Reconciler(access, self._store, self._engine, self._metrics, every, lambda: meters.active, policy)
