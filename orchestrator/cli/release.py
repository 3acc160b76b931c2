"""`vfo release`: take VFs from VMs."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.moments import ForceShutdown, SeveralVMs, When, WhenOption
from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait


def release(  # noqa: PLR0913 - one parameter is one option
    vms: SeveralVMs,
    *,
    vif: Annotated[list[str] | None, typer.Option("--vif", help="Only this VIF, by uuid, device or MAC; may be given again.")] = None,
    when: WhenOption = When.next_halt,
    force_shutdown: ForceShutdown = False,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Take the VIFs that take a VF from VMs. A VM that runs with one is shut down only as --when says."""
    from datetime import UTC, datetime

    from orchestrator import bootstrap, names
    from orchestrator.cli import house, moments, start
    from workflows import assignment_plans
    from workflows import release as workflow

    loaded = house.configuration(config, pool)
    moments.check(loaded, when)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        found = [names.vm([access.port for access in opened], written) for written in vms]
        wanted = [(port, workflow.request(port.name, vm, vif or [], when, force=force_shutdown)) for port, vm in found]
        if dry_run:
            policy, now = bootstrap.policy(loaded), datetime.now(UTC)
            start.show([assignment_plans.of_release(port, policy, request, now) for port, request in wanted], as_json=as_json)
        else:
            start.start(store, [request for _, request in wanted], wait=wait, as_json=as_json)
