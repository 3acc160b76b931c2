"""`vfo serve`: the roles of one process, from the first login to the last step at SIGTERM."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from orchestrator import bootstrap, memory, parts, probes, readings, roles, services, step_times
from orchestrator.bootstrap import PoolAccess
from orchestrator.broker import Broker
from orchestrator.call_slots import CallSlots
from orchestrator.capacity import Capacity
from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded
from orchestrator.engine.engine import Engine
from orchestrator.engine.timing import Timing
from orchestrator.health import Health, State, Watched
from orchestrator.ledger import PoolLedger
from orchestrator.listener import meters
from orchestrator.listener.listener import Listener
from orchestrator.listener.settings import ListenerSettings
from orchestrator.metrics import Asks, Metrics
from orchestrator.notify import setup
from orchestrator.parts import Part
from orchestrator.plugged import Plugged
from orchestrator.presence import Presence
from orchestrator.readings import ENDED_FRESH, Asked
from orchestrator.reconcile import Accounts
from orchestrator.reconciler import Reconciler
from orchestrator.restores import Reach, Restores
from orchestrator.retention import Retention
from orchestrator.roles import ALL, WORKING, Role
from orchestrator.scheduler import Scheduler
from orchestrator.upkeep import Upkeep
from orchestrator.web.server import Server
from orchestrator.written import InRows
from orchestrator.xapi.pool import PoolPort
from plugins.values import Happening
from state.clock import Clock
from state.run import Run
from state.store import Store
from workflows.catalogue import WORKFLOWS
from workflows.world import World

logger = logging.getLogger(__name__)

WAITED_FOR = timedelta(seconds=5)  # how long a pool may be away before somebody who looks at it is told so
LOOK = 1.0  # seconds between two looks whether every part lives
STEPS_SHARE, RECORDS_SHARE, ALL_SHARE, LAST_WORDS_SHARE = 0.5, 0.1, 0.8, 0.1  # the interpreter needs the rest to end


def serve(loaded: Loaded, named: Collection[Role] = ()) -> int:
    """Serve until SIGTERM or SIGINT: 0; or until a part of it has died: 1. *named*: the roles of this process; none: all.

    What cannot be used (database, broker, plugin, port, a role that needs more than this configuration has) is a ConfigError before
    anything starts.
    """
    mine = roles.chosen(named, loaded)
    memory.bound()
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(parts.asked_to_end(stop))
        store = bootstrap.store(loaded, upgrade=True)
        stack.callback(store.close)
        broker = bootstrap.broker(loaded)
        stack.callback(broker.close)
        pools = {access.name: access for access in stack.enter_context(bootstrap.pools(loaded, store))}
        web = stack.enter_context(_web(loaded, mine))
        daemon = Daemon(loaded, store, broker, pools, mine if web else mine - {Role.CONSOLE}, web)
        stack.enter_context(daemon.serving_metrics())
        died = daemon.run(stop)
    return 1 if died else 0


@contextlib.contextmanager
def _web(loaded: Loaded, mine: Collection[Role]) -> Iterator[Server | None]:
    """What serves the console and the API; None where this process has none.

    An address that the configuration names must be had. The one that nobody wrote may be another process's: then a line says so.
    """
    if Role.CONSOLE not in mine:
        yield None
        return
    try:
        server = Server(loaded)
    except ConfigError as error:
        if loaded.settings.console.model_fields_set or mine != ALL:
            raise
        logger.warning("no console and no REST API: %s", "; ".join(error.lines))
        yield None
        return
    try:
        yield server
    finally:
        server.close()


class Daemon:
    """The parts of one process, as its roles have them; for each pool a listener, a reconciler, an upkeep and who counts.

    Every process has the engine, to publish and to wake runs. Only a worker starts it: the others begin what is to be done and leave
    it to workers, who find it in the rows when no message says it.
    """

    def __init__(
        self, loaded: Loaded, store: Store, broker: Broker, pools: dict[str, PoolAccess], mine: Collection[Role] = ALL,
        web: Server | None = None,
    ) -> None:  # fmt: skip
        self._loaded, self._web = loaded, web
        self._path = loaded.path
        self._settings = loaded.settings
        self._store = store
        self._broker = broker
        self._pools = pools
        self._roles = frozenset(mine)
        self._policy = bootstrap.policy(loaded)
        self._written = InRows(loaded, store, heard=True)
        self._turns = bootstrap.turns(loaded)
        self._ports = {name: PoolPort(access.client.in_turn(self._turns[name])) for name, access in pools.items()}
        self._reach = Reach(loaded.pools, self._turns)
        self._now = Clock(store)
        shared = store.is_shared and Role.WORKER in self._roles
        most = {name: pool.calls_at_once for name, pool in loaded.pools.items()}
        self._slots = CallSlots(store, self._turns, most, self._now) if shared else None
        self._plugged = Plugged(loaded, store, self._now, self._reach.source_for)
        self._told = setup.Told(store, setup.channels(loaded))
        self._metrics = Metrics()
        timing = Timing(lease=self._settings.serve.lease, heartbeat=self._settings.serve.lease / 4)
        workflows = step_times.timed(WORKFLOWS, self._metrics.step)
        self._engine = Engine(store, broker, workflows, self._world, self._announce, self._now, timing=timing)
        listened = pools if Role.LISTENER in self._roles else {}
        self._listeners = {name: self._listener(access) for name, access in listened.items()}
        self._upkeep = {name: self._upkeep_of(access) for name, access in listened.items()}
        self._capacity = {name: self._capacity_of(access) for name, access in listened.items()}
        self._parts = list(self._made())
        self._metrics.asks = self._asks()
        self._stopping = threading.Event()
        self._health = self._watch()

    def run(self, stop: threading.Event) -> list[str]:
        """Serve until *stop* is set, or a part has died: which; then finish the steps at hand, as long as the configuration says."""
        if Role.WORKER in self._roles:
            self._engine.start(self._settings.serve.workers)
        for part in self._parts:
            part.start(stop)
        only = "" if self._roles >= WORKING else f" as {roles.in_words(self._roles)}"
        sys.stdout.write(f"vfo serves {', '.join(self._pools)}{only}\n")
        if self._web is not None:
            sys.stdout.write(f"console and REST API: {self._web.url}\n")
        sys.stdout.flush()
        died = self._watch_over(stop)
        self._stopping.set()
        logger.info("stopping: the steps at hand are finished")
        self._stop()
        return died

    def _watch_over(self, stop: threading.Event) -> list[str]:
        """Wait for *stop*, or for a death. What died is not begun anew here, where nobody knows what it left behind."""
        while not stop.wait(LOOK):
            died = [check.name for check in self._health.alive().checks if check.state is State.FAILED]
            if died:
                logger.error("%s has died: the process stops with exit code 1, to be started anew", ", ".join(died))
                stop.set()
                return died
        return []

    def _made(self) -> Iterator[Part]:
        yield Part("presence", Presence(self._store, self._roles, self._said, self._now).run)
        for name, listener in self._listeners.items():
            yield Part(f"listener {name}", listener.run)
            yield Part(f"reconciler {name}", self._reconciler(self._pools[name]).run)
            yield Part(f"upkeep {name}", self._upkeep[name].run)
            yield Part(f"capacity {name}", self._capacity[name].run)
        if self._slots is not None:
            yield Part("calls of the pools", self._slots.run)
        if Role.WORKER in self._roles:
            yield Part("jobs that are over", self._plugged.run)
        if Role.SCHEDULER in self._roles:
            yield Part("scheduler", self._scheduler().run)
            kept = self._settings.history
            yield Part("retention", Retention(self._store, kept.keep, self._now, audit=kept.audit).run)
            if self._settings.notify:
                yield Part("notify", setup.teller(self._loaded, self._store, self._pools, self._now, self._written).run)
        if self._web is not None:
            yield Part("console", self._serve_web)

    def _serve_web(self, stop: threading.Event) -> None:
        from orchestrator.web.office import Office  # takes a second to load: beside the others' start

        assert self._web is not None  # noqa: S101 - narrows the type: there is no such part else
        pools = {name: bootstrap.in_haste(access, WAITED_FOR) for name, access in self._pools.items()}
        office = Office(self._loaded, self._store, pools, self._now, self._engine.publish, self._written)
        self._web.run(stop, office, self._settings.serve.stop_within * STEPS_SHARE)

    def _stop(self) -> None:
        """End everything within the time that the configuration gives, whatever hangs: a silent pool, a database that another has locked.

        Most of it is for the steps at hand. Then the calls that still wait are cut, what that makes of their steps is recorded, and what
        is not through by the end is left: it is taken up at the next start.
        """
        within = self._settings.serve.stop_within
        ends = time.monotonic() + within.total_seconds() * ALL_SHARE
        jobs = threading.Thread(target=self._plugged.jobs.stop, args=(within * ALL_SHARE,), name="stopping jobs", daemon=True)
        jobs.start()
        self._engine.stop(within * STEPS_SHARE)
        ends_here = [self._reach.close, *(access.client.close for access in self._pools.values())]
        closing = [threading.Thread(target=close, daemon=True) for close in ends_here]
        for thread in closing:
            thread.start()
        self._engine.stop(within * RECORDS_SHARE)
        if self._slots is not None:
            self._slots.leave()
        endings: list[threading.Thread | Part] = [*closing, jobs, *self._parts]
        for ending in endings:
            ending.join(max(0.0, ends - time.monotonic()))
        self._plugged.close(within * LAST_WORDS_SHARE)

    @contextlib.contextmanager
    def serving_metrics(self) -> Iterator[None]:
        """Serve /metrics, /healthz and /readyz while the block runs, where the configuration gives a port."""
        metrics = self._settings.metrics
        if metrics.port is None:
            yield
            return
        try:
            port, stop = probes.serve(self._metrics.registry, self._health, metrics.host, metrics.port)
        except OSError as error:
            raise ConfigError([f"{self._path}: metrics: {metrics.host}:{metrics.port} cannot be served: {error}"]) from None
        logger.info("metrics are served at http://%s:%d/metrics", metrics.host, port)
        try:
            yield
        finally:
            stop()

    def _world(self, run: Run, at: datetime) -> World:
        pool = self._ports.get(run.pool) or bootstrap.absent(run.pool)
        ledger, policy = PoolLedger(self._store, run.pool), self._written.for_run(run.data)
        transfers = Restores(self._reach, run.pool, self._plugged.calls, self._plugged.jobs)
        beside = services.of(self._store, self._engine, run.pool, self._plugged.calls, transfers)
        return World(run.id, run.title, at, pool, ledger, policy, self._announce, services=beside)

    def _announce(self, happening: Happening) -> None:
        self._metrics.announced(happening)
        self._plugged.announce(happening)

    def _asks(self) -> Asks:
        """What metrics ask: the rows are read seldom and never waited for long."""
        counts = Asked(lambda: readings.counts(self._store))
        ended = Asked(lambda: readings.ended(self._store), ENDED_FRESH)
        rows = Asked(lambda: readings.of(self._store, self._now()))
        return Asks(
            counts.get, rows.get, self._broker.problem, self._broker.pending,
            {name: listener.meters for name, listener in self._listeners.items()},
            {name: access.client.tally for name, access in self._pools.items()},
            self._turns if Role.WORKER in self._roles else {}, ended.get, Asked(self._told.standings).get,
        )  # fmt: skip

    def _watch(self) -> Health:
        alive = self._engine.alive if Role.WORKER in self._roles else None
        listening = self._metrics.asks.meters
        ailing = self._metrics.asks.ailing_channels if Role.SCHEDULER in self._roles else dict
        return Health(Watched(self._roles, self._parts, self._store.check, self._broker.problem, alive, listening, self._stopping, ailing))

    def _said(self) -> dict[str, Any]:
        """What this process says of itself to who looks at all of them."""
        broker = {"problem": self._broker.problem(), "pending": self._broker.pending()}
        return {**meters.said(self._metrics.asks.meters), "broker": broker}

    def _listener(self, access: PoolAccess) -> Listener:
        wanted = self._settings.listener
        rules = tuple(rule.rule() for rule in self._settings.assign)
        settings = ListenerSettings(reconcile=wanted.reconcile, watchdog=wanted.watchdog, lease=wanted.lease, rules=rules)
        return Listener(access.client, self._store, self._publish, self._wake, settings, self._now, self._announce)

    def _wake(self, keys: list[str]) -> None:
        self._engine.wake(keys)
        for upkeep in self._upkeep.values():
            upkeep.heard(keys)
        for capacity in self._capacity.values():
            capacity.heard(keys)
        if self._web is not None:
            self._web.heard(keys)

    def _upkeep_of(self, access: PoolAccess) -> Upkeep:
        mine, settles = self._listeners[access.name].meters, self._settings.reclaim.grace
        return Upkeep(access, self._store, self._engine, self._policy.sriov, lambda: mine.active, settles)

    def _capacity_of(self, access: PoolAccess) -> Capacity:
        mine = self._listeners[access.name].meters
        return Capacity(access, self._store, lambda: mine.active, self._metrics.accounted, self._now)

    def _counted(self, pool: str, accounts: Accounts) -> None:
        self._metrics.accounted(pool, accounts)
        self._capacity[pool].counted(accounts)

    def _scheduler(self) -> Scheduler:
        return Scheduler(
            self._store, lambda: self._written.now().policy.backups, self._pools, self._engine.publish,
            lease=self._settings.listener.lease, clock=self._now,
        )  # fmt: skip

    def _publish(self, run_id: UUID) -> None:
        self._engine.publish([run_id])

    def _reconciler(self, access: PoolAccess) -> Reconciler:
        meters = self._listeners[access.name].meters
        every, policy = self._settings.reclaim.every, self._policy.reclaim
        rules = [rule.rule() for rule in self._settings.assign], self._policy
        return Reconciler(access, self._store, self._engine, self._counted, every, lambda: meters.active, policy, rules)
