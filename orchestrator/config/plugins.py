"""`[products.NAME]`, `[hooks.NAME]` and `[plugins]`: which plugins are used. What else stands in their tables is theirs to check."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.config.lines import Lines
from orchestrator.config.section import Section
from plugins import kinds
from plugins.manager import HOOKS, PRODUCTS, Instance, Table

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]


class PluginTable(BaseModel):
    """`[products.NAME]` or `[hooks.NAME]`: which plugin, and that plugin's own settings."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    plugin: Annotated[str, Field(min_length=1)]
    """The plugin's name, as `vfo plugin list` has it."""

    @property
    def written(self) -> Mapping[str, Any]:
        """The rest of the table, as it was written."""
        return self.model_extra or {}


class PluginFiles(Section):
    """`[plugins]`: what all plugins share."""

    folder: Path | None = None
    """Where each has a directory of its own. Left out: "vfo-plugins" beside the SQLite database, or else beside this file."""


def tables(products: Mapping[str, PluginTable], hooks: Mapping[str, PluginTable]) -> list[Table]:
    """The tables that want plugins, in the order of the file."""
    both = ((PRODUCTS, products), (HOOKS, hooks))
    return [Table(section, name, one.plugin, one.written) for section, given in both for name, one in given.items()]


def is_written_wrong(instance: Instance) -> bool:
    """Whether the table of an instance is to be mended, and not the plugin or the machine: no such plugin, or settings that cannot be."""
    return bool(instance.mistakes) or (bool(instance.problem) and instance.plugin not in kinds.offers())


def complaints(instance: Instance, path: Path, lines: Lines) -> list[str]:
    """What is wrong with the table of an instance that failed, a line each, as the errors of the configuration are told."""
    where = (instance.section, instance.name)
    if not instance.mistakes:
        return [f"{lines.after(path, *where)}: {instance.label}: {instance.problem}"]
    said = []
    for mistake in instance.mistakes:
        text = f"{instance.label}.{mistake}" if mistake.where else f"{instance.label}: {mistake}"
        said.append(f"{lines.after(path, *where, *mistake.where)}: {text}")
    return said


def folder(wanted: PluginFiles, config: Path, database_url: str) -> Path:
    """Where the plugins' directories are."""
    if wanted.folder is not None:
        return (config.parent / wanted.folder.expanduser()).resolve()
    scheme, _, rest = database_url.partition(":///")
    beside = Path(rest) if scheme == "sqlite" else config
    return (beside.parent / "vfo-plugins").resolve()
