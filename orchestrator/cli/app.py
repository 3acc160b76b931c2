"""Joins the commands. Each command imports what it uses when it runs, so that `--help` loads no database, broker or XenAPI."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from orchestrator.cli import (
    assign,
    audit,
    backup,
    cluster,
    db,
    demo,
    deploy,
    doctor,
    init,
    notify,
    people,
    plugin,
    policy,
    reclaim,
    recover,
    release,
    report,
    runs,
    serve,
    simulate,
    sriov,
    vfs,
    window,
    workflow,
)

app = typer.Typer(
    name="vfo",
    help="Looks after the SR-IOV virtual functions (VFs) of XenServer and XCP-ng pools.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help texts name tables: as markup, [sriov.NAME] would not be shown; holds for all groups below
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 140},
)
for command in (demo.demo, init.init, doctor.doctor, serve.serve, vfs.vfs, runs.runs, runs.run, reclaim.reclaim, simulate.simulate):
    app.command()(command)
app.command()(assign.assign)
app.command()(audit.audit)
app.command()(release.release)
app.command()(recover.recover)
app.command()(report.report)
app.add_typer(backup.app)
app.add_typer(cluster.app)
app.add_typer(db.app)
app.add_typer(deploy.app)
app.add_typer(notify.app)
app.add_typer(plugin.app)
app.add_typer(policy.app)
app.add_typer(sriov.app)
app.add_typer(people.tokens)
app.add_typer(people.users)
app.add_typer(window.app)
app.add_typer(workflow.app)


@app.callback(invoke_without_command=True)
def options(*, only_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Take the options that stand before a command."""
    if only_version:
        typer.echo(f"vfo {version('vf-orchestrator')}")
        raise typer.Exit


def run() -> None:
    """Run a command; what the user can mend is one clear line each on standard error and exit code 2."""
    from orchestrator.cli.failures import told

    with told():
        app()
    sys.exit(0)
