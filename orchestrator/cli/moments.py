"""Options of the commands that may have to shut a VM down."""

from typing import Annotated

import typer

WhenOption = Annotated[
    str,
    typer.Option(
        "--when",
        metavar="now|next-halt|window[:NAME]",
        help="Where a VM runs: shut it down now and start it again; wait until somebody halts it; do it in a window (that one).",
    ),
]
ForceShutdown = Annotated[
    bool, typer.Option("--force-shutdown", help="Pull the plug of a guest that does not shut down cleanly. It may lose data.")
]
SeveralVMs = Annotated[list[str], typer.Argument(metavar="VM...", help="VMs, each by uuid or by name.")]
