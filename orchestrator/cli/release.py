"""`vfo release`: take VFs from VMs."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.actions.verbs import NEXT_HALT
from orchestrator.cli.moments import ForceShutdown, SeveralVMs, WhenOption
from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait


def release(  # noqa: PLR0913 - one parameter is one option
    vms: SeveralVMs,
    *,
    vif: Annotated[list[str] | None, typer.Option("--vif", help="Only this VIF, by uuid, device or MAC; may be given again.")] = None,
    when: WhenOption = NEXT_HALT,
    force_shutdown: ForceShutdown = False,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Take the VIFs that take a VF from VMs. A VM that runs with one is shut down only as --when says."""
    from orchestrator.actions import release as action
    from orchestrator.cli import house, start

    wanted = action.Wanted(vms, vif or (), when, force_shutdown)
    with house.desk(config, pool) as desk:
        start.show_or_begin(desk, action.propose(desk, wanted), dry_run=dry_run, wait=wait, as_json=as_json)
