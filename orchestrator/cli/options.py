"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON of a stable shape (see the README).")]
ConfigPath = Annotated[Path, typer.Option("--config", "-c", envvar="VFO_CONFIG", help="The configuration file.")]
PoolName = Annotated[str | None, typer.Option("--pool", help="Only this pool, by its name in the configuration.")]

DEFAULT_CONFIG = Path("vfo.toml")
