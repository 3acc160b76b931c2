"""Let go of what was promised to a VM: by the run that has it now, and by the one that had it before."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from workflows.world import World


def let_go(world: World, vm: str, before: str | None = None) -> None:
    """Nothing is promised to the VM (a uuid) by this run any more, nor by the run *before*, which it took the VM over from.

    That one may be read from the pool, where anybody may write: what is no run's id is passed over.
    """
    world.ledger.keep(vm, world.run_id)
    try:
        earlier = UUID(before) if before else None
    except ValueError:
        return
    if earlier is not None:
        world.ledger.keep(vm, earlier)


def taken_over(data: Mapping[str, Any]) -> set[str]:
    """The runs (ids) whose promises the run with this *data* keeps for the VM, and lets go of when it has brought that home."""
    return {str(data[name]) for name in ("blocked_by", "taken_from") if data.get(name)}
