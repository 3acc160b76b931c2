"""`vfo reclaim`: account for every port now, whatever the events said, and clean up what runs left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait

if TYPE_CHECKING:
    from orchestrator.bootstrap import PoolAccess
    from state.store import Store
    from workflows.outcome import Request
    from workflows.plan import Plan
    from workflows.policy import ReclaimPolicy


def reclaim(
    *,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Clean up too what runs left in the pool that this database does not know.")
    ] = False,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Account for the VFs of every port: all are proven free or used, or what is lost is got back by the cures that are allowed.

    What runs that are over left in a pool (blocks, snapshots whose time is over, parked VIFs) is cleaned up.
    """
    from orchestrator import bootstrap
    from orchestrator.cli import house, start

    loaded = house.configuration(config, pool)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        if dry_run:
            policy = bootstrap.policy(loaded).reclaim
            start.show([plan for access in opened for plan in _plans(access, store, policy, unknown)], as_json=as_json)
        else:
            start.start(store, [request for access in opened for request in _requests(access, store, unknown)], wait=wait, as_json=as_json)


def _requests(access: PoolAccess, store: Store, unknown: bool) -> list[Request]:
    from workflows.reclaim import request_for_port

    ports = [request_for_port(access.name, look.port, look.name) for look in access.port.look_at_ports()]
    return [*ports, *_leftovers(access, store, unknown)]


def _leftovers(access: PoolAccess, store: Store, unknown: bool) -> list[Request]:
    from datetime import UTC, datetime
    from functools import partial

    from state import runs
    from workflows import clean_up

    marked = access.port.marked()
    with store.read() as session:
        return clean_up.requests(access.name, marked, partial(runs.is_over, session), datetime.now(UTC), unknown_too=unknown)


def _plans(access: PoolAccess, store: Store, policy: ReclaimPolicy, unknown: bool) -> list[Plan]:
    from workflows import clean_up, reclaim_plans

    ports = [reclaim_plans.of_port(look, access.ledger.account(look), policy) for look in access.port.look_at_ports()]
    return [*ports, *(clean_up.plan(request) for request in _leftovers(access, store, unknown))]
