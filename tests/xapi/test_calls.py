from collections.abc import Callable

import pytest

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi import roles
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import CALLS_OF_A_LOOK, PoolPort
from workflows.ports import Bug


@pytest.mark.parametrize("method", CALLS_OF_A_LOOK)
def test_a_look_makes_every_call_that_a_plan_names(simulated_pool: SimulatedPool, join: Callable[..., Client], method: str) -> None:
    """What `vfo reclaim --dry-run` prints is what a look does: it fails when the pool fails that call. The doctor knows its role."""
    port = PoolPort(join(simulated_pool))
    port.look_at_ports()
    simulated_pool.control.fail(method, ["INTERNAL_ERROR", "told to fail"])
    with pytest.raises(Bug, match="told to fail"):
        port.look_at_ports()
    assert method in roles.CALLS
