"""`vfo assign`: give VMs a VF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.moments import ForceShutdown, SeveralVMs, When, WhenOption
from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.bootstrap import PoolAccess
    from workflows.assign import Wish
    from workflows.objects import Network
    from workflows.outcome import Request


def assign(  # noqa: PLR0913 - one parameter is one option
    vms: SeveralVMs,
    *,
    network: Annotated[str, typer.Option("--network", help="An SR-IOV network, or a VLAN network on one, by uuid or name.")],
    vlan_network: Annotated[str | None, typer.Option("--vlan-network", help="The VLAN network on --network that the VIF goes on.")] = None,
    mac: Annotated[str, typer.Option("--mac", help="The VIF's MAC; without it one is chosen, always the same for VM and network.")] = "",
    device: Annotated[str, typer.Option("--device", help="The VIF's device number; without it the lowest that is free.")] = "",
    when: WhenOption = When.next_halt,
    force_shutdown: ForceShutdown = False,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Give VMs a VF on a network. A VM that is halted gets it at once; one that runs is shut down only as --when says."""
    from datetime import UTC, datetime

    from orchestrator import bootstrap
    from orchestrator.cli import house, moments, start
    from workflows import assignment_plans

    loaded = house.configuration(config, pool)
    moments.check(loaded, when)
    _check(vms, mac, device)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        wanted = []
        for written in vms:
            access, request = _request(opened, written, (network, vlan_network), (mac, device), (when, force_shutdown))
            wanted.append((access, request))
        if dry_run:
            policy, now = bootstrap.policy(loaded), datetime.now(UTC)
            plans = [assignment_plans.of_assignment(access.port, access.ledger, policy, request, now) for access, request in wanted]
            start.show(plans, as_json=as_json)
        else:
            start.start(store, [request for _, request in wanted], wait=wait, as_json=as_json)


def _check(vms: Sequence[str], mac: str, device: str) -> None:
    from orchestrator.cli.failures import WrongInput
    from workflows import addressing

    if mac and len(vms) > 1:
        raise WrongInput(f"--mac {mac!r}: {len(vms)} VMs cannot have the same MAC: assign them one by one")
    if device and not device.isdecimal():
        raise WrongInput(f"--device {device!r}: write a number, such as 1")
    try:
        if mac:
            addressing.normal(mac)
    except ValueError as error:
        raise WrongInput(f"--mac: {error}") from None


def _request(
    opened: Sequence[PoolAccess],
    written: str,
    networks: tuple[str, str | None],
    address: tuple[str, str],
    moment: tuple[When, bool],
) -> tuple[PoolAccess, Request]:
    """The request for one VM, and its pool; the networks are looked for in that one."""
    from orchestrator import names
    from workflows import assign as workflow

    port, vm = names.vm([access.port for access in opened], written)
    access = next(one for one in opened if one.port is port)
    wish = _wish(*(names.network([port], name)[1] if name else None for name in networks), address=address, moment=moment)
    return access, workflow.request(access.name, vm.uuid, vm.name, wish)


def _wish(network: Network | None, vlan: Network | None, *, address: tuple[str, str], moment: tuple[When, bool]) -> Wish:
    from workflows.assign import Wish

    assert network is not None  # noqa: S101 - the option must be given
    mac, device = address
    when, force = moment
    shown = vlan or network
    return Wish(
        network.uuid, shown.name, vlan.uuid if vlan else "", mac=mac, device=str(int(device)) if device else "", when=when, force=force
    )
