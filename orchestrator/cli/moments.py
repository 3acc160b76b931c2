"""Options of the commands that may have to shut a VM down."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.config.load import Loaded


class When(StrEnum):
    """When a VM that runs may be shut down; as `workflows.downtime.When`."""

    now = "now"
    next_halt = "next-halt"
    window = "window"


WhenOption = Annotated[
    When,
    typer.Option(
        "--when",
        help="Where a VM runs: shut it down now and start it again; wait until somebody halts it; or do it in a maintenance window.",
    ),
]
ForceShutdown = Annotated[
    bool, typer.Option("--force-shutdown", help="Pull the plug of a guest that does not shut down cleanly. It may lose data.")
]
SeveralVMs = Annotated[list[str], typer.Argument(metavar="VM...", help="VMs, each by uuid or by name.")]


def check(loaded: "Loaded", when: When) -> None:
    """WrongInput when there is no window to wait for."""
    from orchestrator.cli.failures import WrongInput

    if when is When.window and not loaded.settings.maintenance:
        raise WrongInput(f"--when window: {loaded.path} has no table [maintenance.NAME]")
