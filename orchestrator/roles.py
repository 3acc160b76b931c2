"""The roles of a process: which parts of the machine it runs. All of them in one process, or each in as many as wanted."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.config.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.config.load import Loaded


class Role(StrEnum):
    """What a process does.

    *listener*: follows the pools, accounts for their ports and keeps SR-IOV as it is wanted; of several the one with a pool's lease.
    *scheduler*: opens windows; of several the one with the lease. *worker*: takes runs through their steps, with the products' jobs; it
    finds the runs that are due, so that nothing waits for a message that was lost. *console*: serves the web console and the REST API,
    as [console] says; of several each by itself.
    """

    LISTENER = "listener"
    SCHEDULER = "scheduler"
    WORKER = "worker"
    CONSOLE = "console"


ALL = frozenset(Role)
WORKING = ALL - {Role.CONSOLE}
"""Those without which nothing is done."""


def chosen(named: Collection[Role], loaded: Loaded) -> frozenset[Role]:
    """The roles of a process of which these were named; all when none is, but for a console that is not enabled.

    ConfigError where those left out could not reach this one.
    """
    roles = frozenset(named) or (ALL if loaded.settings.console.enabled else WORKING)
    if Role.CONSOLE in named and not loaded.settings.console.enabled:
        raise ConfigError([f"{loaded.path}: console.enabled = false: it is what --role console is for"])
    if roles >= WORKING:
        return roles
    asked, alone = " ".join(f"--role {role}" for role in sorted(roles)), []
    if loaded.database_url.startswith("sqlite:"):
        alone.append(f'{loaded.path}: database.url: SQLite is for one process: for {asked} write "postgresql+psycopg://USER@HOST/NAME"')
    if loaded.broker_url.startswith("embedded:"):
        alone.append(f'{loaded.path}: broker.url: embedded:// is within one process: for {asked} write "amqp://USER@HOST/VHOST"')
    if alone:
        raise ConfigError([*alone, "or leave --role out: one process has all roles"])
    return roles


def in_words(roles: Collection[Role]) -> str:
    """The roles as people read them, in the order in which an event goes through them."""
    return ", ".join(role.value for role in Role if role in roles)
