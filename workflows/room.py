"""Where a VM can have its VFs again: hosts whose ports have as many as its VIFs want, besides what is promised to others."""

from uuid import UUID

from workflows.accounts import Ledger
from workflows.ports import PortLook
from workflows.workflow import Data
from workflows.world import World


def promise(world: World, data: Data, host: str | None) -> bool:
    """Promise the VM all VFs that its noted VIFs want on the host; whether they are there. Nothing stays promised when they are not."""
    wanted = _wanted(world, data).get(host or "")
    return wanted is not None and _promise(world.ledger, data["vm"], wanted, world.run_id)


def in_motion(world: World, data: Data, host: str) -> str:
    """Why the numbers of its ports there cannot be trusted at this moment (a VM that starts is counted twice); "" when they can."""
    moving = [reason for look, _ in _wanted(world, data).get(host, ()) for reason in look.in_flight]
    return "; ".join(moving)


def hosts(world: World, data: Data) -> list[str]:
    """The hosts with room, the one where it ran first, then those with more free VFs first."""
    found = _wanted(world, data)
    room = {host: _least_room(world.ledger, data["vm"], wanted) for host, wanted in found.items()}
    order = sorted(found, key=lambda host: (host != data.get("host"), -room[host], host))
    return [host for host in order if room[host] >= 0]


def _wanted(world: World, data: Data) -> dict[str, list[tuple[PortLook, int]]]:
    """For every host that leads to all networks of the noted VIFs: its ports with the number of VFs wanted of each."""
    vifs = [vif for vif in data["vifs"] if vif.get("on_sriov", True)]
    found: dict[str, list[tuple[PortLook, int]]] = {}
    for look in world.pool.look_at_ports():
        count = sum(vif["network"] in (look.network, *look.networks) for vif in vifs)
        if look.attached and count:
            found.setdefault(look.host, []).append((look, count))
    return {host: wanted for host, wanted in found.items() if sum(count for _, count in wanted) >= len(vifs)}


def _least_room(ledger: Ledger, vm: str, wanted: list[tuple[PortLook, int]]) -> int:
    """How many VFs would be left on the tightest of the ports; below 0: too few."""
    mine = ledger.promised_to(vm)
    return min(look.remaining - max(0, ledger.account(look).promised - mine.get(look.port, 0)) - count for look, count in wanted)


def _promise(ledger: Ledger, vm: str, wanted: list[tuple[PortLook, int]], run_id: UUID) -> bool:
    if all(ledger.promise(look, vm, count, run_id) for look, count in wanted):
        return True
    ledger.keep(vm, run_id)
    return False
