"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON of a stable shape (see the README).")]
ConfigPath = Annotated[Path, typer.Option("--config", "-c", envvar="VFO_CONFIG", help="The configuration file.")]
PoolName = Annotated[str | None, typer.Option("--pool", help="Only this pool, by its name in the configuration.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, with the XenAPI calls; change nothing.")]
Wait = Annotated[bool, typer.Option("--wait", help="Show how it goes on until it has ended; the exit code is 0 when it is done.")]

DEFAULT_CONFIG = Path("vfo.toml")
