from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from state.store import Store
from tests.listener import watched
from tests.listener.watched import Watched
from tests.listener.wire import Wire
from tests.services import sqlite

Start = Callable[..., SimulatedPool]
Watch = Callable[..., Watched]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    store = sqlite.store(tmp_path / "vfo.sqlite3")
    yield store
    store.close()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start simulated pools; they stop with the test."""
    with ExitStack() as stack:
        yield lambda **fields: stack.enter_context(SimulatedPool(**fields))


@pytest.fixture
def pool(start: Start) -> SimulatedPool:
    """Three hosts and twelve VMs, half of them running with a VF."""
    return start()


@pytest.fixture
def wire(pool: SimulatedPool) -> Iterator[Wire]:
    """A network that can be held and cut, to the pool."""
    with Wire(pool.url) as wire:
        yield wire


@pytest.fixture
def watch(store: Store, start: Start) -> Iterator[Watch]:
    """Start listeners; they stop before the pool does."""
    watching: list[Watched] = []

    def begin(pool: SimulatedPool, *args: Any, **more: Any) -> Watched:
        watching.append(Watched(pool, store, *args, **more))
        return watching[-1]

    yield begin
    for one in watching:
        one.stop()


@pytest.fixture
def other(pool: SimulatedPool) -> Iterator[Client]:
    """Another client of the pool."""
    client = watched.client_of(pool)
    yield client
    client.close()
