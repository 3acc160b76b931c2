"""Who did what."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from orchestrator.actions.place import Place
from state import audit
from state.audit import Asked, Audit

AT_ONCE = 1000


def listed(at: Place, asked: Asked, *, limit: int) -> list[dict[str, Any]]:
    """The acts, newest first, as plain values."""
    with at.store.read() as session:
        return [row(act) for act in audit.listed(session, asked, limit=limit)]


def every(at: Place, asked: Asked, at_once: int = AT_ONCE) -> Iterator[dict[str, Any]]:
    """As `listed`, however many there are: *at_once* are read, so that no transaction is open for long."""
    while found := listed(at, asked, limit=at_once):
        yield from found
        asked = replace(asked, before=found[-1]["seq"])


def row(act: Audit) -> dict[str, Any]:
    """One act as plain values."""
    return {name: getattr(act, name) for name in ("seq", "at", "who", "how", "what", "thing", "outcome", "details")}
