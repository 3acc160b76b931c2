"""Joins the real things, once, and passes them on: there are no globals."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NoReturn, cast

from orchestrator.broker import Broker
from orchestrator.broker import Unusable as UnusableBroker
from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded
from orchestrator.ledger import PoolLedger
from orchestrator.xapi import doctor
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from state.store import Store, Unusable
from workflows.policy import Policy
from workflows.ports import LockedOut, Pool


@dataclass(frozen=True, slots=True)
class PoolAccess:
    """One configured pool: the client all threads share, and the two ports through which steps reach it."""

    name: str
    client: Client
    port: PoolPort
    ledger: PoolLedger


@contextlib.contextmanager
def pools(loaded: Loaded, store: Store, only: str | None = None) -> Iterator[list[PoolAccess]]:
    """The configured pools, or the one named; nobody is logged in before the first call, everybody is logged out at the end."""
    opened = [access(loaded, store, name) for name in loaded.pools if only in (None, name)]
    try:
        yield opened
    finally:
        for one in opened:
            one.client.close()


def access(loaded: Loaded, store: Store, name: str) -> PoolAccess:
    """One pool of the configuration."""
    client = Client(loaded.pools[name])
    return PoolAccess(name, client, PoolPort(client), PoolLedger(store, name))


def store(loaded: Loaded) -> Store:
    """The database of the configuration. Raises ConfigError when it cannot be used."""
    try:
        return Store(loaded.database_url)
    except Unusable as error:
        raise ConfigError([f"{loaded.path}: database.url: {error}"]) from None


def broker(loaded: Loaded) -> Broker:
    """The broker of the configuration. Raises ConfigError when it cannot be used."""
    try:
        return Broker(loaded.settings.broker.url)
    except UnusableBroker as error:
        raise ConfigError([f"{loaded.path}: broker.url: {error}"]) from None


class _AbsentPool:
    """A pool that runs are about and that the configuration does not have: whatever is asked of it, a person must mend it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, asked: str) -> NoReturn:
        if asked.startswith("_"):
            raise AttributeError(asked)
        raise LockedOut(
            "POOL_NOT_CONFIGURED", (self.name,), f"pool {self.name!r} is not in the configuration: add it again, or cancel the run"
        )


def absent(name: str) -> Pool:
    """The pool that the configuration does not have."""
    return cast("Pool", _AbsentPool(name))


def policy(loaded: Loaded) -> Policy:
    """What the steps are told of the configuration."""
    return Policy(
        reclaim=loaded.settings.reclaim.policy(),
        backup=loaded.settings.backup.policy(),
        reboot=loaded.settings.reboot.policy(),
        sriov={name: wanted.policy(name) for name, wanted in loaded.settings.sriov.items()},
        assignment=loaded.settings.assignment.policy(),
        maintenance={name: window.window() for name, window in loaded.settings.maintenance.items()},
    )


def examine(loaded: Loaded, name: str) -> list[dict[str, Any]]:
    """What the doctor finds of one pool, as plain values."""
    client = Client(loaded.pools[name])
    try:
        return [{"pool": name, **asdict(finding)} for finding in doctor.examine(client, loaded.pools[name])]
    finally:
        client.close()
