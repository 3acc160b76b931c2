"""The policies and windows that hold now: those of the configuration file, and beside them those that people wrote into the rows."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from orchestrator import bootstrap
from orchestrator.config import written as tables
from orchestrator.config.load import Loaded
from state import written as rows
from state.store import Session, Store
from state.written import POLICY, WINDOW, WrittenRow
from workflows.policies import Backups
from workflows.policy import Policy, of_run

logger = logging.getLogger(__name__)

FRESH = 1.0  # seconds for which a look is good enough where nobody waits for what was written a moment ago
SECTIONS = {POLICY: tables.POLICIES, WINDOW: tables.WINDOWS}


@dataclass(frozen=True, slots=True)
class Written:
    """A policy or a window that somebody wrote; *why* it does not hold, "" where it does."""

    kind: str
    name: str
    table: Mapping[str, Any]
    revision: str
    by: str
    at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class InForce:
    """All that holds at a moment, which nothing changes any more. *rows*: what people wrote that holds; *amiss*: what of it does not."""

    policy: Policy
    rows: Mapping[tuple[str, str], Written] = field(default_factory=dict)
    amiss: tuple[Written, ...] = ()

    def of(self, kind: str, name: str) -> Written | None:
        """What somebody wrote by this name, whether it holds or not."""
        return self.rows.get((kind, name)) or next((one for one in self.amiss if (one.kind, one.name) == (kind, name)), None)


class InRows:
    """*heard*: whether the log says what does not hold (a command says it itself, where it is asked)."""

    def __init__(self, loaded: Loaded, store: Store, *, heard: bool = False) -> None:
        self._loaded = loaded
        self._store = store
        self._heard = heard
        self._file = bootstrap.policy(loaded)
        self._lock = threading.Lock()
        self._known: tuple[UUID | None, InForce] | None = None
        self._looked = 0.0
        self._is_away = False

    def recent(self) -> InForce:
        """As it held a second ago at most, where the database is there."""
        with self._lock:
            known, age = self._known, time.monotonic() - self._looked
        return known[1] if known is not None and age < FRESH else self.now()

    def now(self) -> InForce:
        """As it holds now; while the database is away, what was known last. Raises what the database does where nothing is known yet."""
        try:
            return self._look()
        except Exception as error:
            with self._lock:
                known, self._looked = self._known, time.monotonic()
                is_news, self._is_away = self._heard and not self._is_away, True
            if known is None:
                raise
            if is_news:
                logger.warning("the policies that people wrote cannot be looked at, what was known last holds: %s", error)
            return known[1]

    def for_run(self, data: Mapping[str, Any]) -> Policy:
        """The policies as they hold for a run with this data: what it names was written before it began, so that it is looked for.

        A run of several policies goes by what they say now, a VM's backup by what they said a second ago at most. Raises what the
        database does where what the run names is not known.
        """
        several = data.get("policies", ())
        names = [*several, *([data["policy"]] if data.get("policy") else [])]
        found = self.now().policy if several else self.recent().policy
        if any(name not in found.backups.policies for name in names):
            found = self._look().policy
        return of_run(found, data)

    def of(self, session: Session) -> InForce:
        """As it holds in the transaction at hand."""
        return in_force(self._loaded, self._file, rows.listed(session))

    def _look(self) -> InForce:
        with self._store.read(within=timedelta()) as session:
            edition = rows.edition(session)
            with self._lock:
                known = self._known
            found = known[1] if known is not None and known[0] == edition else self.of(session)
        with self._lock:
            before, self._known, self._looked, self._is_away = self._known, (edition, found), time.monotonic(), False
        if self._heard and (before is None or before[1] is not found):
            for one in set(map(_line, found.amiss)) - set(map(_line, before[1].amiss if before else ())):
                logger.error("%s", one)
        return found


def in_force(loaded: Loaded, file: Policy, found: Sequence[WrittenRow]) -> InForce:
    """What holds when this is written beside the file's. What cannot be read hurts nobody else."""
    windows, policies = dict(file.backups.windows), dict(file.backups.policies)
    read = list(_read(loaded, windows, policies, found))
    policy = replace(file, backups=Backups(MappingProxyType(policies), MappingProxyType(windows)))
    holds = {(one.kind, one.name): one for one in read if not one.why}
    return InForce(policy, MappingProxyType(holds), tuple(one for one in read if one.why))


def _read(loaded: Loaded, windows: dict[str, Any], policies: dict[str, Any], found: Sequence[WrittenRow]) -> Iterator[Written]:
    """Put what can be read where it belongs, windows first: policies name them."""
    amiss: dict[str, str] = {}
    for row in sorted(found, key=lambda row: row.kind != WINDOW):
        settings: Any = row.settings  # of a newer version it may be anything
        table = settings if isinstance(settings, dict) else {}
        one = Written(row.kind, row.name, table, str(row.revision), row.by, row.at)
        try:
            if row.name in getattr(loaded.settings, SECTIONS[row.kind]):
                one = replace(one, why=f"{loaded.path} has a table [{SECTIONS[row.kind]}.{row.name}], which holds")
            elif row.kind == WINDOW:
                windows[row.name] = tables.window(row.name, settings).backup_window(row.name)
            else:
                policies[row.name] = tables.policy(loaded.settings, windows, row.name, settings).plan(row.name)
        except Exception as error:  # noqa: BLE001 - whatever ails one of them, the others hold
            why = str(error) or type(error).__name__
            wants = str(table.get("window", ""))
            one = replace(one, why=f"its window {wants} does not hold: {amiss[wants]}" if row.kind == POLICY and wants in amiss else why)
        if row.kind == WINDOW and one.why and row.name not in windows:
            amiss[row.name] = one.why
        yield one


def _line(one: Written) -> str:
    return f"{one.kind} {one.name}, written by {one.by}, does not hold: {one.why}"
