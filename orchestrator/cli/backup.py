"""`vfo backup`: make VMs ready for a backup product, say that it is done, and get back what was saved."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from orchestrator.cli import look_into, restore
from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait

app = typer.Typer(name="backup", help="Make VMs ready for a backup product, and get back what was saved.", no_args_is_help=True)
app.command("list")(restore.list_points)
app.command("restore")(restore.restore)
app.command("files")(look_into.files)
app.command("verify")(look_into.verify)

VMs = Annotated[list[str], typer.Argument(metavar="VM...", help="VMs, by uuid or by name.")]


class ModeName(StrEnum):
    """The modes of `workflows.backup_modes`."""

    auto = "auto"
    online = "online"
    offline = "offline"
    failover = "failover"


@app.command()
def prepare(  # noqa: PLR0913 - one parameter is one option
    vms: VMs,
    *,
    mode: Annotated[ModeName, typer.Option("--mode", help="How; auto takes the least that [backup] needs asks for.")] = ModeName.auto,
    hold: Annotated[str | None, typer.Option("--hold", metavar="12h", help="How long the VM waits for its release at most.")] = None,
    keep: Annotated[str | None, typer.Option("--keep", metavar="7d", help="How long the snapshot stays after the release.")] = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Take a snapshot that wants no VF and have each VM back in service. With --wait, exit code 0 says that all are prepared."""
    from orchestrator.actions import backup as action
    from orchestrator.cli import house, start

    with house.desk(config, pool) as desk:
        proposal = action.prepare(desk, action.Wanted(vms, mode.value, hold, keep))
        start.show_or_begin(desk, proposal, dry_run=dry_run, wait=wait, as_json=as_json)


@app.command()
def release(
    vms: VMs,
    *,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """The product is done with these VMs: the VF comes back where it was away, and the snapshot goes when its time is over."""
    from orchestrator.actions import backup as action
    from orchestrator.cli import house, start

    with house.desk(config, pool) as desk:
        held = action.held(desk, vms)
        if dry_run:
            start.show([action.plan(run) for run in held], as_json=as_json)
            return
        action.release(desk, held)
        if not as_json:
            start.name_runs(held)
        ids = [run.id for run in held]
        start.follow(desk.store, ids, wait=wait, as_json=as_json, reached=action.is_over_for_the_product)
