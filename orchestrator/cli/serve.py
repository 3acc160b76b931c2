"""`vfo serve`: the daemon."""

from typing import Annotated

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, ConfigPath
from orchestrator.roles import Role

Roles = Annotated[
    list[Role] | None,
    typer.Option("--role", help="Only this role (several times for several), on PostgreSQL and RabbitMQ; left out: all, in this process."),
]


def serve(*, role: Roles = None, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Follow the pools and run the workflows until SIGTERM; one line of output says that it serves, the log goes to standard error."""
    from orchestrator import logs, serve
    from orchestrator.cli import house

    loaded = house.configuration(config)
    logs.set_up(loaded.settings.log.level, loaded.settings.log.format)
    raise typer.Exit(serve.serve(loaded, role or ()))
