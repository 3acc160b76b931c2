"""`vfo sriov`: SR-IOV on the hosts of a pool, as the configuration wants it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait

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
    from orchestrator.actions import sriov as action
    from orchestrator.cli import house, start

    with house.desk(config, pool) as desk:
        proposal = action.enable(desk, action.chosen(desk.loaded, name, pool))
        start.show_or_begin(desk, proposal, dry_run=dry_run, wait=wait, as_json=as_json)


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
    from orchestrator.actions import sriov as action
    from orchestrator.cli import house, start

    with house.desk(config, pool) as desk:
        proposal = action.disable(desk, action.chosen(desk.loaded, name, pool), force=force)
        start.show_or_begin(desk, proposal, dry_run=dry_run, wait=wait, as_json=as_json)


@app.command()
def plan(name: Name = None, *, pool: PoolName = None, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Say what enabling would do and everything that it would hurt; nothing is touched."""
    enable(name, dry_run=True, pool=pool, as_json=as_json, config=config)


@app.command()
def status(name: Name = None, *, pool: PoolName = None, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show how every port stands, held against what is wanted."""
    from orchestrator.actions import sriov as action
    from orchestrator.cli import house, output

    with house.desk(config, pool) as desk:
        rows = action.status(desk, action.chosen(desk.loaded, name, pool))
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
