"""Runs that are worked on by the command that wants them: the daemon may be dead, and its database lost."""

import contextlib
import threading
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from orchestrator import bootstrap, services
from orchestrator.bootstrap import PoolAccess
from orchestrator.broker import Broker
from orchestrator.config.load import Loaded
from orchestrator.engine.engine import Engine
from orchestrator.ledger import PoolLedger
from orchestrator.plugged import Plugged
from orchestrator.restores import Reach, Restores
from orchestrator.written import InRows
from orchestrator.xapi.pool import PoolPort
from state import runs as rows
from state.clock import of_machine
from state.run import ACTIVE, Run, Status
from state.store import Store
from workflows.catalogue import WORKFLOWS
from workflows.world import World

WORKERS = 4
LOOK_SECONDS = 0.5
SOON_SECONDS = 300.0


def work(loaded: Loaded, store: Store, opened: Sequence[PoolAccess], run_ids: Collection[UUID]) -> list[Run]:
    """Work, beside whoever else does, until each of these runs has ended or waits for a person or a far moment; how they stand then.

    Whoever works takes up what is due, of whichever pool: so every pool of the configuration is at hand, logged in to when it is asked.
    """
    with contextlib.ExitStack() as stack:
        engine, plugged = _engine(stack, loaded, store, [*opened, *_others(stack, loaded, store, opened)])
        stack.callback(plugged.close)
        stack.callback(engine.stop)
        engine.start(WORKERS)
        pause = threading.Event()
        while True:
            runs = _runs(store, run_ids)
            at_work = [run for run in runs if not _is_done_with(run)]
            if not at_work:
                return runs
            engine.wake([run.waits_on for run in at_work if run.waits_on])  # nobody listens to the pool for them
            pause.wait(LOOK_SECONDS)


def _others(stack: contextlib.ExitStack, loaded: Loaded, store: Store, opened: Sequence[PoolAccess]) -> list[PoolAccess]:
    """The pools of the configuration that are not opened yet; they are closed with the stack."""
    found = [bootstrap.access(loaded, store, name) for name in loaded.pools if name not in {access.name for access in opened}]
    for access in found:
        stack.callback(access.client.close)
    return found


def _engine(stack: contextlib.ExitStack, loaded: Loaded, store: Store, opened: Sequence[PoolAccess]) -> tuple[Engine, Plugged]:
    turns = bootstrap.turns(loaded)
    ports = {access.name: PoolPort(access.client.in_turn(turns[access.name])) for access in opened}
    written, reach = InRows(loaded, store), Reach(loaded.pools, turns)
    stack.callback(reach.close)
    plugged = Plugged(loaded, store, of_machine, reach.source_for)

    def world(run: Run, at: datetime) -> World:
        pool = ports.get(run.pool) or bootstrap.absent(run.pool)
        transfers = Restores(reach, run.pool, plugged.calls, plugged.jobs)
        beside = services.of(store, engine, run.pool, plugged.calls, transfers)
        ledger, allowed = PoolLedger(store, run.pool), written.for_run(run.data)
        return World(run.id, run.title, at, pool, ledger, allowed, plugged.announce, services=beside)

    engine = Engine(store, Broker(), WORKFLOWS, world, plugged.announce)
    return engine, plugged


def _runs(store: Store, run_ids: Collection[UUID]) -> list[Run]:
    with store.read() as session:
        found = [rows.get(session, run_id) for run_id in run_ids]
    return [run for run in found if run is not None]


def _is_done_with(run: Run) -> bool:
    """Whether nothing more is to be done now: it has ended, or waits for its release, a halt or another run."""
    if run.status not in ACTIVE:
        return True
    far = run.due_at is not None and (run.due_at - of_machine()).total_seconds() > SOON_SECONDS
    return run.status is Status.WAITING and far
