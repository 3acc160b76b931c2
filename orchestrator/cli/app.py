"""Joins the commands. Each command imports what it uses when it runs, so that `--help` loads no database, broker or XenAPI."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from orchestrator.cli import assign, backup, demo, doctor, init, reclaim, recover, release, runs, serve, simulate, sriov, vfs, workflow

app = typer.Typer(
    name="vfo",
    help="Looks after the SR-IOV virtual functions (VFs) of XenServer and XCP-ng pools.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo.demo, init.init, doctor.doctor, serve.serve, vfs.vfs, runs.runs, runs.run, reclaim.reclaim, simulate.simulate):
    app.command()(command)
app.command()(assign.assign)
app.command()(release.release)
app.command()(recover.recover)
app.add_typer(backup.app)
app.add_typer(sriov.app)
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
