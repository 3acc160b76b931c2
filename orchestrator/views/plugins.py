"""The plugins as people and programs see them: every kind on offer, and every instance that the configuration makes of one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins import implementations, kinds, manager
from plugins.errors import PluginError
from plugins.kinds import Kind, Offer
from plugins.kit import Kit
from plugins.manager import Instance, Plugins, Table
from plugins.testing import MemoryJobs

KINDS = (("product", implementations.PRODUCING), ("acting", implementations.ACTING), ("observing", implementations.OBSERVING))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of `vfo plugin list`: a kind on offer (*table* is ""), or an instance.

    *state*: "ok", "failed", or "absent" (a shipped one that wants something installed).
    """

    name: str
    table: str
    kind: str
    origin: str
    version: str
    hooks: tuple[str, ...]
    state: str
    why: str


def look(tables: Iterable[Table], folder: Path, scratch: Path) -> tuple[list[Row], Plugins]:
    """Every plugin, loaded and made as the daemon would, but for its directory: *scratch* stands in for that."""
    offered = kinds.offers()
    plugins = manager.load(tables, folder, lambda section, name: Kit(name, _made(scratch / section / name), MemoryJobs()), offered)
    loaded = {kind.offer.name: kind for kind in plugins.kinds}
    rows = [_row_of(name, offer, loaded) for name, offer in offered.items()]
    return rows + [_row(one, loaded[one.plugin]) for one in plugins.instances if one.section != manager.OBSERVERS], plugins


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _row_of(name: str, offer: Offer | PluginError, loaded: Mapping[str, Kind]) -> Row:
    if isinstance(offer, PluginError):
        return Row(name, "", "", "", "", (), "failed", str(offer))
    kind = loaded[name] if name in loaded else kinds.load(offer)
    hooks, why = _hooks(kind)
    state = "ok" if not why else "absent" if offer.shipped and "there is no module" in why else "failed"
    return Row(name, "", _kind(hooks), offer.origin, offer.version, tuple(hooks), state, why)


def _hooks(kind: Kind) -> tuple[tuple[str, ...], str]:
    """What a kind implements, as far as that is seen without an instance, and what is wrong with it."""
    if kind.problem:
        return (), kind.problem
    try:
        manager.settings_model(kind)
        return tuple(implementations.of(kind.target)), ""
    except Exception as error:  # noqa: BLE001 - a vendor's object may raise anything when it is looked at
        return (), str(error)


def _row(instance: Instance, kind: Kind) -> Row:
    hooks = tuple(instance.hooks)
    state = "failed" if instance.problem else "ok"
    return Row(instance.plugin, instance.label, _kind(hooks), kind.offer.origin, kind.offer.version, hooks, state, instance.problem)


def _kind(hooks: Iterable[str]) -> str:
    return ", ".join(name for name, page in KINDS if page.keys() & set(hooks))


def as_json(row: Row) -> dict[str, Any]:
    """A row in the stable shape."""
    return {
        "name": row.name, "table": row.table or None, "kind": row.kind, "origin": row.origin, "version": row.version,
        "hooks": list(row.hooks), "state": row.state, "why": row.why,
    }  # fmt: skip
