"""`vfo report`: what was saved, what was not, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, PoolName

if TYPE_CHECKING:
    from orchestrator.config.load import Loaded


def report(  # noqa: PLR0913 - a command has the options that it has
    *,
    since: Annotated[str, typer.Option("--since", metavar="24h|DATE", help="From when on: a duration, or a day (2026-11-30).")] = "24h",
    policy: Annotated[str | None, typer.Option("--policy", help="Only this policy, by its name in the configuration.")] = None,
    html: Annotated[bool, typer.Option("--html", help="Print one HTML page that needs nothing else.")] = False,
    mail: Annotated[str | None, typer.Option("--mail", metavar="NAME", help="Send it by the channel [notify.NAME], with its page.")] = None,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Say what was saved and what was not, per policy and VM. Exit code 0 when all is saved, 1 when something should be and is not."""
    from datetime import UTC, datetime

    from orchestrator.actions import report as reporting
    from orchestrator.cli import house, output
    from orchestrator.cli.failures import WrongInput
    from orchestrator.views import report as view
    from orchestrator.views import report_page

    if html and as_json:
        raise WrongInput("--html and --json do not go together: each is a form of its own")
    now = datetime.now(UTC)
    with house.desk(config, pool) as at:
        _assert_channel(at.loaded, mail)
        made = reporting.report(at, reporting.Wanted(reporting.moment(since, now), now, policy, pool))
    if mail is not None:
        _send(at.loaded, mail, made)
    if as_json:
        output.json(made)
    elif html:
        typer.echo(report_page.page(made), nl=False)
    else:
        _print(made, view)
    if not made["well"]:
        raise typer.Exit(1)


def _assert_channel(loaded: Loaded, name: str | None) -> None:
    from orchestrator.cli.failures import WrongInput

    if name is not None and name not in loaded.channels:
        there = ", ".join(loaded.channels) or "none"
        raise WrongInput(f"{loaded.path} has no channel of that name; it has of [notify.NAME]: {there}", option="mail", value=name)


def _send(loaded: Loaded, name: str, made: dict[str, Any]) -> None:
    """Send it with its page; NotSo when it is not taken."""
    from orchestrator.cli.failures import NotSo
    from orchestrator.notify import digest, setup, shown
    from orchestrator.views import report_page

    message = digest.message(made, None, loaded.settings.notify[name], report_page.page(made))
    if problem := shown.sent(setup.channels(loaded)[name], message):
        raise NotSo(f"channel {name} did not take the report: {problem}")


def _print(made: dict[str, Any], view: Any) -> None:
    from orchestrator.cli import output

    console = output.console()
    headings = ["policy", "VM", "status", "why", "mode", f"began ({output.zone()})", "took", "down", "size", "read", "stored"]
    rows = [
        [row["policy"], row["vm_name"], output.status(row["status"]), row["why"], row["mode"], output.moment(row["began_at"]),
         view.took(row), view.in_time(row["downtime"]), *(view.in_bytes(row[key]) for key in ("size", "read", "stored"))]
        for row in made["backups"]
    ]  # fmt: skip
    if rows:
        console.print(output.drawn(headings, rows))
    for one in made["policies"]:
        if one["paused"]:
            console.print(f"policy {one['policy']} is {one['paused']}", markup=False)
    for one in made["unseen"]:
        console.print(f"pool {one['pool']} could not be asked whom the policies name there: {one['reason']}", markup=False)
    console.print(view.in_a_line(made), markup=False)
