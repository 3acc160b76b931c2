"""Writing policies and windows into the rows, where every process takes them up; those of the configuration file stay as they are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from orchestrator.actions.desk import Desk
from orchestrator.actions.failures import NotSo, Outdated, WrongInput, WrongTable
from orchestrator.config import durations
from orchestrator.config import written as tables
from orchestrator.config.errors import Mistaken
from orchestrator.config.load import Loaded
from orchestrator.views.windows import spans
from orchestrator.written import SECTIONS, InForce, Written
from state import audit, backups, openings
from state import written as rows
from state.audit import Act
from state.store import Session
from state.written import POLICY, WINDOW, WrittenRow
from workflows import choosing
from workflows.policies import Backups

ABSENT = object()


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be written: a *kind* ("policy" or "window"), its name and its table, as JSON keeps it."""

    kind: str
    name: str
    table: Mapping[str, Any]


def write(session: Session, at: Desk, said: Said, revision: str | None, *, now: datetime) -> dict[str, Any]:
    """Write it, in the transaction at hand. *revision*: the one that it changes; None: there is none yet. Raises WrongInput, Outdated."""
    rows.take_turn(session, by=at.by, now=now)
    before = at.in_rows.of(session)
    supposed(at.loaded, before, said)
    one = _current(before, said, revision)
    row = WrittenRow(kind=said.kind, name=said.name, settings=dict(said.table), revision=uuid4(), by=at.by, at=now)
    rows.put(session, row)
    changed = changes(one, said.table)
    details = {"new": one is None, "revision": str(row.revision), "changed": _shown(one, said.table, changed)}
    audit.add(session, Act(at.by, at.how, f"write-{said.kind}", f"{said.kind} {said.name}", details=details), now=now)
    _look_from_now_on(session, at, before, at.in_rows.of(session), now)
    return {
        "name": said.name, "created": one is None, "changed": changed, "revision": str(row.revision), "by": row.by, "at": row.at
    }  # fmt: skip


def remove(session: Session, at: Desk, kind: str, name: str, revision: str | None, *, now: datetime) -> dict[str, Any]:
    """Forget it, in the transaction at hand. *revision* None: whichever there is. Raises WrongInput, Outdated, NotSo."""
    rows.take_turn(session, by=at.by, now=now)
    before = at.in_rows.of(session)
    one = before.of(kind, name)
    if one is None:
        raise WrongInput(_nothing(at.loaded, kind, name), option="name", value=name)
    if revision is not None and revision != one.revision:
        raise Outdated(_changed_by(one), one.revision)
    if kind == WINDOW and one.name not in at.loaded.settings.windows and (users := _users(before, name)):
        raise NotSo(f"window {name!r} is used by {_in_words(users)}: change or remove {'it' if len(users) == 1 else 'them'} first")
    rows.remove(session, kind, name)
    if kind == POLICY and (kind, name) in before.rows:
        backups.resume(session, name)
    audit.add(session, Act(at.by, at.how, f"remove-{kind}", f"{kind} {name}", details={"table": dict(one.table)}), now=now)
    return {"name": name, "removed": True}


def prepared(kind: str, name: str, table: Mapping[str, Any]) -> Said:
    """What is to be written, of a table as somebody gave it. Raises WrongTable."""
    try:
        return Said(kind, name, tables.plain(table))
    except Mistaken as error:
        raise WrongTable(f"{SECTIONS[kind]}.{name}", error.mistakes) from None


def supposed(loaded: Loaded, now: InForce, said: Said) -> InForce:
    """What would be in force with it. Raises WrongInput."""
    section = SECTIONS[said.kind]
    if said.name in getattr(loaded.settings, section):
        raise WrongInput(f"{loaded.path} has a table [{section}.{said.name}]: change it there, or take another name", option="name",
                         value=said.name)  # fmt: skip
    windows, policies = dict(now.policy.backups.windows), dict(now.policy.backups.policies)
    try:
        if said.kind == WINDOW:
            windows[said.name] = tables.window(said.name, said.table).backup_window(said.name)
        else:
            policies[said.name] = tables.policy(loaded.settings, windows, said.name, said.table).plan(said.name)
    except tables.WrongName as error:
        raise WrongInput(str(error), option="name", value=said.name) from None
    except Mistaken as error:
        raise WrongTable(f"{section}.{said.name}", error.mistakes) from None
    backups_ = Backups(MappingProxyType(policies), MappingProxyType(windows))
    return replace(now, policy=replace(now.policy, backups=backups_))


def assert_current(at: Desk, said: Said, revision: str | None) -> Written | None:
    """The one that would be changed. Raises Outdated."""
    return _current(at.in_force, said, revision)


def _current(now: InForce, said: Said, revision: str | None) -> Written | None:
    one = now.of(said.kind, said.name)
    if one is None and revision is not None:
        raise Outdated(f"{said.kind} {said.name!r} is not there any more: somebody has removed it", None)
    if one is not None and revision is None:
        raise Outdated(f"{said.kind} {said.name!r} is there already, written by {_when(one)}: say which revision is to be changed, or take "
                       "another name", one.revision)  # fmt: skip
    if one is not None and revision != one.revision:
        raise Outdated(_changed_by(one), one.revision)
    return one


def changes(one: Written | None, table: Mapping[str, Any]) -> list[str]:
    """The keys that are not as they were, as "vms.tags"."""
    before, after = dict(_flat(one.table if one else {})), dict(_flat(table))
    return sorted(key for key in before.keys() | after.keys() if before.get(key, ABSENT) != after.get(key, ABSENT))


def amiss(at: Desk, kind: str) -> list[dict[str, Any]]:
    """What was written and does not hold, and why: it is never run."""
    return [
        {"name": one.name, "why": one.why, "by": one.by, "at": one.at, "revision": one.revision, "table": dict(one.table)}
        for one in at.in_force.amiss
        if one.kind == kind
    ]


def origin(at: Desk, kind: str, name: str) -> dict[str, Any]:
    """Who wrote what is in force, and when; nobody where it stands in the file."""
    one = at.in_force.rows.get((kind, name))
    return {"written_by": one and one.by, "written_at": one and one.at, "revision": one and one.revision}


def table(at: Desk, kind: str, name: str) -> dict[str, Any]:
    """The table of what is in force, as it was written."""
    one = at.in_force.rows.get((kind, name))
    return dict(one.table) if one is not None else _of_file(at.loaded, kind, name)


def _of_file(loaded: Loaded, kind: str, name: str) -> dict[str, Any]:
    found: BaseModel = getattr(loaded.settings, SECTIONS[kind])[name]
    table: dict[str, Any] = _plainly(found.model_dump(exclude_unset=True))
    return table


def _plainly(value: Any) -> Any:
    """As people write it."""
    if isinstance(value, dict):
        return {key: _plainly(one) for key, one in value.items() if one is not None}
    if isinstance(value, frozenset):
        return spans(value)
    if isinstance(value, list | tuple):
        return [_plainly(one) for one in value]
    return durations.written(value) if isinstance(value, timedelta) else value


def _look_from_now_on(session: Session, at: Desk, before: InForce, after: InForce, now: datetime) -> None:
    """What a window would have opened for while no policy used it is nobody's: no opening was slept through."""
    for window in after.policy.backups.windows.values():
        for pool in at.loaded.pools:
            begins = _is_kept(after, window.name, pool) and not _is_kept(before, window.name, pool)
            if begins and openings.last(session, window.name, pool, now=now) is not None:
                openings.watch(session, window.name, pool, window.window.moments, since=window.window.opened(now) or now, now=now)


def _is_kept(held: InForce, window: str, pool: str) -> bool:
    known = held.policy.backups
    return window in known.windows and any(choosing.means(plan, pool) for plan in choosing.of_window(known, window))


def _users(held: InForce, window: str) -> list[str]:
    """The policies that name the window, those that do not hold too."""
    holding = [plan.name for plan in choosing.of_window(held.policy.backups, window)]
    return sorted({*holding, *(one.name for one in held.amiss if one.kind == POLICY and one.table.get("window") == window)})


def _nothing(loaded: Loaded, kind: str, name: str) -> str:
    if name in getattr(loaded.settings, SECTIONS[kind]):
        return f"it stands in {loaded.path}: take the table [{SECTIONS[kind]}.{name}] out there"
    return f"nobody wrote a {kind} of that name: `vfo {kind} list` shows those there are"


def _changed_by(one: Written) -> str:
    return f"{one.kind} {one.name!r} was changed meanwhile, by {_when(one)}: look at it again"


def _when(one: Written) -> str:
    return f"{one.by} at {one.at:%Y-%m-%d %H:%M} UTC"


def _in_words(names: Iterable[str]) -> str:
    found = list(names)
    return f"{'policy' if len(found) == 1 else 'policies'} {', '.join(found)}"


def _flat(table: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _shown(one: Written | None, table: Mapping[str, Any], changed: Iterable[str]) -> dict[str, Any]:
    """Each key that is not as it was: what stood there, and what stands there now; null: nothing."""
    before, after = dict(_flat(one.table if one else {})), dict(_flat(table))
    return {key: [before.get(key), after.get(key)] for key in changed}
