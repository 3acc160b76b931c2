"""`vfo assign`: give VMs a VF."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.actions.verbs import NEXT_HALT
from orchestrator.cli.moments import ForceShutdown, SeveralVMs, WhenOption
from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait


def assign(  # noqa: PLR0913 - one parameter is one option
    vms: SeveralVMs,
    *,
    network: Annotated[str, typer.Option("--network", help="An SR-IOV network, or a VLAN network on one, by uuid or name.")],
    vlan_network: Annotated[str | None, typer.Option("--vlan-network", help="The VLAN network on --network that the VIF goes on.")] = None,
    mac: Annotated[str, typer.Option("--mac", help="The VIF's MAC; without it one is chosen, always the same for VM and network.")] = "",
    device: Annotated[str, typer.Option("--device", help="The VIF's device number; without it the lowest that is free.")] = "",
    qos_kbps: Annotated[
        int | None, typer.Option("--qos-kbps", min=0, help="Limit a VIF that is made; 0: not at all. Without it: as [assignment] says.")
    ] = None,
    when: WhenOption = NEXT_HALT,
    force_shutdown: ForceShutdown = False,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Give VMs a VF on a network. A VM that is halted gets it at once; one that runs is shut down only as --when says."""
    from orchestrator.actions import assign as action
    from orchestrator.cli import house, start

    wanted = action.Wanted(
        vms, network, vlan_network, mac=mac, device=device, qos_kbps=qos_kbps, when=when, force_shutdown=force_shutdown
    )  # fmt: skip
    with house.desk(config, pool) as desk:
        start.show_or_begin(desk, action.propose(desk, wanted), dry_run=dry_run, wait=wait, as_json=as_json)
