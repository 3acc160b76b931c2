"""`vfo reclaim`: account for every port now, whatever the events said, and clean up what runs left behind."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait


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
    from orchestrator.actions import reclaim as action
    from orchestrator.cli import house, start

    with house.desk(config, pool) as desk:
        start.show_or_begin(desk, action.propose(desk, unknown=unknown), dry_run=dry_run, wait=wait, as_json=as_json)
