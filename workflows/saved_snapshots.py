"""The snapshot as a product is given it, made of what the pool says of it."""

from datetime import datetime

from plugins.values import Disk, Snapshot
from workflows.world import World


def read(world: World, snapshot: str) -> Snapshot:
    """The snapshot with its disks and its blueprint. Raises `Gone` when it is not there."""
    blueprint = world.pool.blueprint(snapshot)
    disks = [Disk(number, one["device"], one["uuid"], one["of"], one["name"], one["size"]) for number, one in enumerate(blueprint["disks"])]
    return Snapshot(
        snapshot, blueprint["snapshot"]["name"], datetime.fromisoformat(blueprint["snapshot"]["taken_at"]), tuple(disks), blueprint
    )
