"""`vfo deploy`: the files by which others run `vfo`, printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, ConfigPath
from orchestrator.roles import Role

if TYPE_CHECKING:
    from orchestrator.deploy import Wanted

app = typer.Typer(name="deploy", help="Print what others run vfo by: a unit, a compose file, manifests, a dashboard.", no_args_is_help=True)
INSTALLED = Path("/etc/vfo/vfo.toml")


@app.command()
def systemd(
    *,
    role: Annotated[list[Role] | None, typer.Option("--role", help="Only this role (several times for several); left out: all.")] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Print a hardened systemd unit for this vfo and the configuration; /etc/vfo/vfo.toml where the file is not there yet."""
    from orchestrator import deploy

    sys.stdout.write(deploy.systemd(_wanted(config, role or ())))


@app.command()
def compose(*, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Print a compose file with PostgreSQL, RabbitMQ and a service for each role, the console with TLS."""
    from orchestrator import deploy

    sys.stdout.write(deploy.compose(_wanted(config)))


@app.command()
def kubernetes(*, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Print Kubernetes manifests: for each role a Deployment with probes, a Service before the console; secrets by reference."""
    from orchestrator import deploy

    sys.stdout.write(deploy.kubernetes(_wanted(config)))


@app.command()
def grafana() -> None:
    """Print a Grafana dashboard over the metrics of vfo, to be imported."""
    from orchestrator.cli import output
    from orchestrator.deploy import grafana

    output.json(grafana.dashboard())


def _wanted(config: Path, roles: list[Role] | tuple[Role, ...] = ()) -> Wanted:
    """From the configuration where there is one, which then must be right."""
    from orchestrator.deploy import Wanted

    program = Path(sys.argv[0]).absolute()
    if program.name != "vfo":
        program = Path(sys.executable).parent / "vfo"
    if not config.exists():
        return Wanted(program, INSTALLED, roles=roles)
    from orchestrator.config import plugins
    from orchestrator.config.load import load

    loaded = load(config)
    writes = [plugins.folder(loaded.settings.plugins, loaded.path.absolute(), loaded.database_url)]
    if loaded.database_url.startswith("sqlite:///"):
        writes.insert(0, Path(loaded.database_url.removeprefix("sqlite:///")).parent)
    settings = loaded.settings
    notifies = bool(settings.notify) or any(hook.plugin == "apprise" for hook in settings.hooks.values())
    return Wanted(
        program, config.absolute(), tuple(dict.fromkeys(writes)), settings.serve.stop_within, roles, settings.console.enabled, notifies
    )  # fmt: skip
