"""What the commands open: the configuration, the rows, the pools; closed again when the command ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.failures import WrongInput

if TYPE_CHECKING:
    from orchestrator.actions.desk import Desk
    from orchestrator.actions.place import Place
    from orchestrator.bootstrap import PoolAccess
    from orchestrator.config.load import Loaded
    from state.store import Store


def configuration(path: Path, pool: str | None = None) -> Loaded:
    """The configuration; WrongInput when *pool* is not one of its pools."""
    from orchestrator.config.load import load

    loaded = load(path)
    if pool is not None and pool not in loaded.pools:
        raise WrongInput(f"{path} has no pool of that name; it has {', '.join(loaded.pools)}", option="pool", value=pool)
    return loaded


def person() -> str:
    """Who types, as the system knows them."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


@contextlib.contextmanager
def place(path: Path) -> Iterator[Place]:
    """Where the person who types does what no pool is needed for."""
    from orchestrator.actions.place import Place
    from orchestrator.config.load import load

    with rows(load(path, need_pools=False)) as store:
        yield Place(store, person())


@contextlib.contextmanager
def rows(loaded: Loaded) -> Iterator[Store]:
    """The database."""
    from orchestrator import bootstrap

    store = bootstrap.store(loaded)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def pools(loaded: Loaded, store: Store, only: str | None = None) -> Iterator[list[PoolAccess]]:
    """The configured pools, or the one, each logged in to when it is first asked."""
    from orchestrator import bootstrap

    with bootstrap.pools(loaded, store, only) as opened:
        yield opened


@contextlib.contextmanager
def desk(path: Path, pool: str | None = None) -> Iterator[Desk]:
    """Where the person who types asks for something: configuration, database and the pools, or the one."""
    from orchestrator.actions.desk import Desk

    loaded = configuration(path, pool)
    with rows(loaded) as store, pools(loaded, store, pool) as opened:
        yield Desk(loaded, store, opened, person())
