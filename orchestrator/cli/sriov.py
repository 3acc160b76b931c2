"""`vfo sriov`: SR-IOV on the hosts of a pool, as the configuration wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.bootstrap import PoolAccess
    from orchestrator.config.load import Loaded
    from workflows.wanted import SriovPolicy

app = typer.Typer(name="sriov", help="SR-IOV on the hosts of a pool, as [sriov.NAME] of the configuration wants it.", no_args_is_help=True)

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The NAME of [sriov.NAME]; left out: all of them.")]
Force = Annotated[bool, typer.Option("--force", help="Also where halted VMs have VIFs on the network: they cannot start then.")]


@app.command()
def enable(
    name: Name = None,
    *,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Make it so on every host, and keep it so from then on."""
    from orchestrator.cli import house, start
    from workflows import enable as workflow

    if dry_run:
        plan(name, pool=pool, as_json=as_json, config=config)
        return
    loaded = house.configuration(config, pool)
    with house.rows(loaded) as store:
        requests = [workflow.request(place, policy.name) for place, policy in _chosen(loaded, name, pool)]
        start.start(store, requests, wait=wait, as_json=as_json)


@app.command()
def disable(  # noqa: PLR0913 - one parameter an option
    name: Annotated[str, typer.Argument(help="The NAME of [sriov.NAME].")],
    *,
    force: Force = False,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Take it away from every host; nothing brings it back until it is enabled again."""
    from orchestrator.cli import house, start
    from workflows import disable as workflow

    loaded = house.configuration(config, pool)
    chosen = _chosen(loaded, name, pool)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        if dry_run:
            plans = [workflow.plan(access.port, policy, force=force) for access, policy in _with_access(opened, chosen)]
            start.show(plans, as_json=as_json)
        else:
            start.start(store, [workflow.request(place, policy.name, force=force) for place, policy in chosen], wait=wait, as_json=as_json)


@app.command()
def plan(name: Name = None, *, pool: PoolName = None, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Say what enabling would do and everything that it would hurt; nothing is touched."""
    from orchestrator import bootstrap
    from orchestrator.cli import house, start
    from workflows import enable as workflow

    loaded = house.configuration(config, pool)
    reboot = bootstrap.policy(loaded).reboot
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        plans = [workflow.plan(access.port, policy, reboot) for access, policy in _with_access(opened, _chosen(loaded, name, pool))]
    start.show(plans, as_json=as_json)


@app.command()
def status(name: Name = None, *, pool: PoolName = None, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show how every port stands, held against what is wanted."""
    from orchestrator.cli import house, output
    from orchestrator.views import sriov as view

    loaded = house.configuration(config, pool)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        pairs = _with_access(opened, _chosen(loaded, name, pool))
        rows = [row for access, policy in pairs for row in view.rows(access.port, store, [policy])]
    if as_json:
        output.json(rows)
        return
    for row in rows:
        _print(row)


def _print(row: dict[str, Any]) -> None:
    from orchestrator.cli import output

    console = output.console()
    word = "is as it is wanted" if row["is_so"] else "is not as it is wanted"
    kept = "and is kept so" if row["kept"] else f"and is not seen to: {row['why']}"
    console.print(f"{row['pool']}: [sriov.{row['name']}] on network {row['network']!r} {word}, {kept}", markup=False)
    for refusal in row["refusals"]:
        console.print(f"  it cannot be so: {refusal}", markup=False)
    cells = [
        [
            f"{port['host']}/{port['device']}",
            port["state"],
            port["mode"] or "-",
            str(port["free"]),
            ", ".join(map(str, port["vlans"])) or "-",
        ]
        for port in row["ports"]
    ]
    output.table(["port", "state", "mode", "free VFs", "VLANs"], cells)


def _chosen(loaded: Loaded, name: str | None, pool: str | None) -> list[tuple[str, SriovPolicy]]:
    """The pools and the tables that are meant; WrongInput when there is none."""
    from orchestrator import bootstrap
    from orchestrator.cli.failures import WrongInput

    policies = bootstrap.policy(loaded).sriov
    if not policies:
        raise WrongInput(f"{loaded.path} has no table [sriov.NAME]: the README shows one")
    if name is not None and name not in policies:
        raise WrongInput(f"sriov {name!r}: {loaded.path} has no table [sriov.{name}]; it has {', '.join(policies)}")
    wanted = [policy for policy in policies.values() if name in (None, policy.name)]
    places = [place for place in loaded.pools if pool in (None, place)]
    chosen = [(place, policy) for place in places for policy in wanted if policy.pool in (None, place)]
    if not chosen:
        raise WrongInput(f"--pool {pool!r}: [sriov.{name}] is about pool {wanted[0].pool!r}")
    return chosen


def _with_access(opened: Iterable[PoolAccess], chosen: list[tuple[str, SriovPolicy]]) -> list[tuple[PoolAccess, SriovPolicy]]:
    access = {one.name: one for one in opened}
    return [(access[place], policy) for place, policy in chosen]
