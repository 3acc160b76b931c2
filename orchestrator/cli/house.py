"""What the commands open: the configuration, the rows, the pools; closed again when the command ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.failures import WrongInput

if TYPE_CHECKING:
    from orchestrator.bootstrap import PoolAccess
    from orchestrator.config.load import Loaded
    from state.store import Store


def configuration(path: Path, pool: str | None = None) -> Loaded:
    """The configuration; WrongInput when *pool* is not one of its pools."""
    from orchestrator.config.load import load

    loaded = load(path)
    if pool is not None and pool not in loaded.pools:
        raise WrongInput(f"--pool {pool!r}: {path} has no pool of that name; it has {', '.join(loaded.pools)}")
    return loaded


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
