"""Joins the real things, once, and passes them on: there are no globals."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

from orchestrator.broker import Broker
from orchestrator.broker import Unusable as UnusableBroker
from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded
from orchestrator.ledger import PoolLedger
from orchestrator.views import memories
from orchestrator.xapi import doctor
from orchestrator.xapi.client import Client
from orchestrator.xapi.findings import Finding, warn
from orchestrator.xapi.haste import Haste
from orchestrator.xapi.pool import PoolPort
from orchestrator.xapi.turns import Turns
from state.store import Store, Unusable
from workflows.policies import Backups
from workflows.policy import Policy
from workflows.ports import LockedOut, Pool, PoolError

SQLITE = "sqlite:///"


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


def turns(loaded: Loaded) -> dict[str, Turns]:
    """What bounds the calls of steps and jobs into each pool, for one process that has all of them."""
    return {name: Turns(name, pool.calls_at_once) for name, pool in loaded.pools.items()}


def access(loaded: Loaded, store: Store, name: str) -> PoolAccess:
    """One pool of the configuration."""
    client = Client(loaded.pools[name])
    return PoolAccess(name, client, PoolPort(client), PoolLedger(store, name))


def in_haste(of: PoolAccess, patience: timedelta) -> PoolAccess:
    """The same pool by the same session, for somebody who sits there: one that is away is said to be so after *patience*."""
    client = of.client.in_haste(Haste(of.name, patience))
    return PoolAccess(of.name, client, PoolPort(client), of.ledger)


def store(loaded: Loaded, *, upgrade: bool = False) -> Store:
    """The database of the configuration. Raises ConfigError when it cannot be used.

    *upgrade*: one that processes share is brought to this version's schema where it has an older one; else a person is told to do so.
    """
    try:
        return Store(loaded.database_url, upgrade=upgrade)
    except Unusable as error:
        raise ConfigError([f"{loaded.path}: database.url: {error}"]) from None


def broker(loaded: Loaded) -> Broker:
    """The broker of the configuration. Raises ConfigError when it cannot be used."""
    try:
        return Broker(loaded.broker_url, ca_file=loaded.broker_ca_file)
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
        backups=Backups(
            policies={name: table.plan(name) for name, table in loaded.settings.policies.items()},
            windows={name: table.backup_window(name) for name, table in loaded.settings.windows.items()},
        ),
    )


def _changed_since(loaded: Loaded, client: Client, name: str) -> Iterator[Finding]:
    """What is not as the rows say that it was; nothing where there are no rows, or the pool does not answer: that is found by others."""
    url = loaded.database_url
    if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).exists():
        return
    try:
        rows = Store(url, migrate=False)
    except Unusable as error:
        yield warn("database", str(error), "what changed since ports were last accounted for is not known; vfo serve brings it up to date")
        return
    try:
        yield from memories.differences(PoolPort(client), PoolLedger(rows, name))
    finally:
        rows.close()


def _fallback(loaded: Loaded, client: Client, name: str) -> Iterator[Finding]:
    """Whether the pool has the ordinary network that VMs without a VF are to stand on; a pool that does not answer is found by others."""
    wanted = loaded.settings.backup.fallback_network
    if not wanted:
        return
    try:
        fits = [network for network in PoolPort(client).networks() if wanted in (network.uuid, network.name)]
    except PoolError:
        return
    subject, mend = f"network {wanted}", "make it, or write another one: [backup] fallback_network"
    if not fits:
        yield warn(subject, f"[backup] fallback_network: pool {name} has no network of that name or uuid", mend)
    elif len(fits) > 1:
        uuids = ", ".join(network.uuid for network in fits)
        yield warn(subject, f"[backup] fallback_network: pool {name} has {len(fits)} networks of that name: {uuids}", "write the uuid")
    elif fits[0].is_sriov or fits[0].is_parking:
        yield warn(subject, f"[backup] fallback_network: in pool {name} it is no ordinary network", mend)


def examine(loaded: Loaded, name: str, haste: Haste | None = None) -> list[dict[str, Any]]:
    """What the doctor finds of one pool, as plain values, by a login of its own. *haste*: of who sits there and waits for it."""
    client = Client(loaded.pools[name])
    asked = client if haste is None else client.in_haste(haste)
    try:
        found = [*doctor.examine(asked, loaded.pools[name]), *_fallback(loaded, asked, name), *_changed_since(loaded, asked, name)]
        return [{"pool": name, **asdict(finding)} for finding in found]
    finally:
        client.close()
