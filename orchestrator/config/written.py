"""One table of `[policies.NAME]` or `[windows.NAME]` that stands elsewhere than in the file: checked by the same models and words."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from pydantic import Field, ValidationError

from orchestrator.config import load
from orchestrator.config.errors import Mistake, Mistaken
from orchestrator.config.model import Config
from orchestrator.config.plugins import Name
from orchestrator.config.policies import PolicyTable, objections
from orchestrator.config.section import Section
from orchestrator.config.windows import BackupWindows

POLICIES, WINDOWS = "policies", "windows"
OF_KEYS = "[key]"


class WrongName(Exception):
    """No table can have this name; the text says why."""


class _Tables(Section):
    policies: dict[Name, PolicyTable] = Field(default_factory=dict)
    windows: dict[Name, BackupWindows] = Field(default_factory=dict)


def plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table as JSON keeps it. Raises Mistaken."""
    try:
        packed = orjson.dumps(dict(table))
    except TypeError as error:
        raise Mistaken([Mistake("", None, f"it cannot be kept: {error}")]) from None
    if b"\\u0000" in packed:
        raise Mistaken([Mistake("", None, "no name and no text has a NUL")])
    found: dict[str, Any] = orjson.loads(packed)
    return found


def window(name: str, table: Mapping[str, Any]) -> BackupWindows:
    """The window that the table means. Raises Mistaken, WrongName."""
    return _read(WINDOWS, name, table).windows[name]


def policy(settings: Config, windows: Iterable[str], name: str, table: Mapping[str, Any]) -> PolicyTable:
    """The policy that the table means, where these windows are. Raises Mistaken, WrongName."""
    found = _read(POLICIES, name, table).policies[name]
    there = {"product": settings.products, "window": tuple(windows), "hooks": settings.hooks, "vms.pools": settings.pools}
    wrong = [Mistake(*one) for one in objections(found, there, has_fallback=bool(settings.backup.fallback_network))]
    if wrong:
        raise Mistaken(wrong)
    return found


def _read(section: str, name: str, table: Mapping[str, Any]) -> _Tables:
    try:
        return _Tables.model_validate({section: {name: table}})
    except ValidationError as error:
        found = load.mistakes(error)
        if any(where[-1:] == (OF_KEYS,) and len(where) == 3 for where, _ in found):
            raise WrongName("write letters, digits and _ . -, 63 at most, a letter or digit first") from None
        raise Mistaken(Mistake(".".join(map(str, where[2:])), _at(table, where[2:]), text) for where, text in found) from None


def _at(table: Any, where: Iterable[str | int]) -> Any:
    """What stands there; None where nothing does."""
    for part in where:
        if isinstance(table, Mapping):
            table = table.get(str(part))
        elif isinstance(table, list) and isinstance(part, int) and part < len(table):
            table = table[part]
        else:
            return None
    return table
