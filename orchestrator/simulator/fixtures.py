"""pytest fixtures that ship with the package: a simulated pool for a test. Nothing is imported before a test asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.simulator import SimulatedPool


@pytest.fixture
def make_simulated_pool() -> Iterator[Callable[..., SimulatedPool]]:
    """Make started pools: `make_simulated_pool(hosts=2, vms=0, speed=0.01)`; they stop with the test."""
    from orchestrator.simulator import SimulatedPool

    made: list[SimulatedPool] = []

    def make(*args: Any, **fields: Any) -> SimulatedPool:
        made.append(SimulatedPool(*args, **fields).start())
        return made[-1]

    yield make
    for pool in made:
        pool.stop()


@pytest.fixture
def simulated_pool(make_simulated_pool: Callable[..., SimulatedPool]) -> SimulatedPool:
    """A started pool of three hosts with twelve VMs, six of them running with a VF; it stops with the test."""
    return make_simulated_pool()
