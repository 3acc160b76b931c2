"""Runs that are worked on by the command that wants them: the daemon may be dead, and its database lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from orchestrator.bootstrap import PoolAccess
    from orchestrator.config.load import Loaded
    from orchestrator.engine.engine import Engine
    from state.run import Run
    from state.store import Store
    from workflows.world import World

WORKERS = 4
LOOK_SECONDS = 0.5
SOON_SECONDS = 300.0


def work(loaded: Loaded, store: Store, opened: Sequence[PoolAccess], run_ids: Collection[UUID]) -> list[Run]:
    """Work, beside whoever else does, until each of these runs has ended or waits for a person or a far moment; how they stand then."""
    engine = _engine(loaded, store, opened)
    engine.start(WORKERS)
    try:
        while True:
            runs = _runs(store, run_ids)
            at_work = [run for run in runs if not _is_done_with(run)]
            if not at_work:
                return runs
            engine.wake([run.waits_on for run in at_work if run.waits_on])  # nobody listens to the pool for them
            time.sleep(LOOK_SECONDS)
    finally:
        engine.stop()


def _engine(loaded: Loaded, store: Store, opened: Sequence[PoolAccess]) -> Engine:
    from orchestrator import bootstrap
    from orchestrator.broker import Broker
    from orchestrator.engine.engine import Engine
    from orchestrator.ledger import PoolLedger
    from plugins import manager
    from workflows.catalogue import WORKFLOWS
    from workflows.world import World

    ports = {access.name: access.port for access in opened}
    policy, plugins = bootstrap.policy(loaded), manager.load()

    def announce(happening: Any) -> None:
        manager.announce(plugins, happening)

    def world(run: Run, at: datetime) -> World:
        pool = ports.get(run.pool) or bootstrap.absent(run.pool)
        return World(run.id, run.title, at, pool, PoolLedger(store, run.pool), policy, announce)

    return Engine(store, Broker(), WORKFLOWS, world, announce)


def _runs(store: Store, run_ids: Collection[UUID]) -> list[Run]:
    from state import runs

    with store.read() as session:
        found = [runs.get(session, run_id) for run_id in run_ids]
    return [run for run in found if run is not None]


def _is_done_with(run: Run) -> bool:
    """Whether nothing more is to be done now: it has ended, or waits for its release, a halt or another run."""
    from datetime import UTC, datetime

    from state.run import ACTIVE, Status

    if run.status not in ACTIVE:
        return True
    far = run.due_at is not None and (run.due_at - datetime.now(UTC)).total_seconds() > SOON_SECONDS
    return run.status is Status.WAITING and far
