"""`vfo policy`: which VMs are saved, how and when; writing that, pausing it, and doing it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait
from orchestrator.cli.written import AsToml, File

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.actions.desk import Desk
    from state.store import Store

app = typer.Typer(
    name="policy", help="Which VMs are saved, how and when; writing that, pausing it, and doing it now.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The NAME of [policies.NAME].")]


@app.command("list")
def list_(*, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """List the policies: whom each means, its window and product, where it comes from, and whether it is paused."""
    from orchestrator.actions import policies as action
    from orchestrator.cli import house, output, written

    with house.desk(config) as desk:
        rows, amiss = action.listed(desk), action.amiss(desk)
    if as_json:
        output.json(rows)
    elif not rows:
        text = "There is no policy: the README shows a table [policies.NAME], and `vfo policy write` writes one without the file."
        output.console().print(text, markup=False)
    else:
        cells = [
            [row["name"], row["vms"], row["window"] or "-", row["product"], row["mode"], str(row["priority"]),
             written.origin(row, desk, output.moment), _pause(row)]
            for row in rows
        ]  # fmt: skip
        zone = output.zone()
        output.table(["policy", "VMs", "window", "product", "mode", "priority", f"from ({zone})", f"paused ({zone})"], cells)
    written.warn("policy", amiss)


@app.command()
def show(
    name: Name, *, as_toml: AsToml = False, pool: PoolName = None, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG
) -> None:  # fmt: skip
    """Show a policy and the VMs that it means now, the most overdue first."""
    from orchestrator.actions import policies as action
    from orchestrator.cli import house, output
    from orchestrator.cli.failures import WrongInput
    from orchestrator.views import toml

    if as_toml and as_json:
        raise WrongInput("--toml and --json do not go together: each is a form of its own")
    with house.desk(config, pool) as desk:
        if as_toml:
            typer.echo(toml.table("policies", name, action.table(desk, name)), nl=False)
            return
        row = action.shown(desk, name)
    if as_json:
        output.json(row)
    else:
        _print(row, desk)


@app.command()
def write(
    name: Name,
    *,
    file: File,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Write a policy into the database, or change one that is there; every process takes it up without being started again."""
    from orchestrator.actions import policies as action
    from orchestrator.cli import house, output, written

    table = written.table(file, "policies", name)
    with house.desk(config, pool) as desk:
        revision = written.revision(desk, "policy", name)
        if not dry_run:
            written.say("policy", action.write(desk, name, table, revision=revision), as_json=as_json)
            return
        said = action.proposed(desk, name, table, revision=revision)
    if as_json:
        output.json(said)
        return
    for plan in said["plans"]:
        output.console().print("\n  ".join([plan["title"], *plan["sentences"]]), markup=False)
    if said["opens"]:
        begins = "its window is open: it would begin at once; " if said["open_until"] else ""
        output.console().print(f"{begins}its window opens next {output.moment(said['opens'])} ({output.zone()})", markup=False)
    written.would(said)


@app.command()
def remove(name: Name, *, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Remove a policy that was written: nobody is begun by it any more, who is at work goes on, what it saved stays."""
    from orchestrator.actions import policies as action
    from orchestrator.cli import house, written

    with house.desk(config) as desk:
        written.say("policy", action.remove(desk, name), as_json=as_json)


@app.command()
def pause(name: Name, *, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Begin nobody by this policy until it is resumed; who is at work goes on. What is missed meanwhile is not made up for."""
    from orchestrator.actions import policies as action
    from orchestrator.cli import house

    with house.desk(config) as desk:
        _say(action.pause(desk, name), as_json=as_json)


@app.command()
def resume(name: Name, *, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Go on with a policy that was paused, from the next opening of its window on."""
    from orchestrator.actions import policies as action
    from orchestrator.cli import house

    with house.desk(config) as desk:
        _say(action.resume(desk, name), as_json=as_json)


@app.command()
def run(  # noqa: PLR0913 - one parameter is one option
    name: Name,
    *,
    vm: Annotated[
        list[str] | None, typer.Option("--vm", help="Only this VM of those that the policy means, by uuid or name; several times.")
    ] = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Save the VMs of a policy now, within the limits of its window, with no end. With --wait, exit code 0: all are saved or skipped."""
    from orchestrator.actions import policies as action
    from orchestrator.cli import house, start

    with house.desk(config, pool) as desk:
        proposal = action.run(desk, name, vm or [])
        start.show_or_begin(desk, proposal, dry_run=dry_run, wait=wait, as_json=as_json)
        if wait and not dry_run:
            _judge(desk.store, name, {request.pool for request in proposal.requests}, as_json=as_json)


def _judge(store: Store, name: str, pools: Collection[str], *, as_json: bool) -> None:
    """Say who was not saved by the runs that were waited for, and why; exit code 1 when there is somebody."""
    from orchestrator.actions import policies as action
    from orchestrator.cli import output

    judged = action.judge(store, name, pools)
    for line in () if as_json else judged.amiss:
        output.console().print(f"{line.vm_name}: {line.status}: {line.reason}", markup=False)
    if not judged.well:
        raise typer.Exit(1)


def _say(stands: dict[str, Any], *, as_json: bool) -> None:
    from orchestrator.cli import output

    if as_json:
        output.json(stands)
    else:
        words = (
            f"is paused by {stands['by']} since {output.moment(stands['at'])} ({output.zone()})"
            if stands["paused"]
            else "goes on with the next opening of its window"
        )
        output.console().print(f"policy {stands['policy']} {words}", markup=False)


def _pause(row: dict[str, Any]) -> str:
    from orchestrator.cli import output

    return f"by {row['paused_by']}, {output.moment(row['paused_at'])}" if row["paused_by"] else "-"


def _print(row: dict[str, Any], desk: Desk) -> None:
    from orchestrator.cli import output, written
    from orchestrator.views import timeline

    console = output.console()
    console.print(
        f"policy {row['name']}: VMs {row['vms']}, by {row['product']}, mode {row['mode']}, priority {row['priority']}", markup=False
    )
    kept = ", ".join(f"{count} {name}" for name, count in row["retention"].items()) or "everything"
    hooks = ", ".join(row["hooks"]) or "none"
    console.print(f"from {written.origin(row, desk, lambda at: f'{output.moment(at)} ({output.zone()})')}", markup=False)
    console.print(f"window {row['window'] or 'none: only `vfo policy run` begins it'}; kept: {kept}; hooks: {hooks}", markup=False)
    if row["paused_by"]:
        console.print(f"paused {_pause(row)} ({output.zone()})", markup=False)
    cells = [[one["pool"], one["name"], output.moment(one["saved_at"]), timeline.minutes(one["takes"])] for one in row["meant"]]
    console.print(output.drawn(["pool", "VM", f"saved last ({output.zone()})", "takes"], cells) if cells else "It means no VM.")
