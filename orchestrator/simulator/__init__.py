"""A pool that speaks XenAPI over HTTP and behaves like xapi: for tests, demos and plugin authors, without a host or a card."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.simulator.control import Control, ControlError
    from orchestrator.simulator.simulated_pool import SimulatedPool
    from orchestrator.simulator.world import World

__all__ = ["Control", "ControlError", "SimulatedPool", "World"]

_HOMES = {"SimulatedPool": "simulated_pool", "World": "world", "Control": "control", "ControlError": "control"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: naming the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
