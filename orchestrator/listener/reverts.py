"""Tells a VM that was reverted to a snapshot from one whose owner took a VIF away, by what a client can see. Pure.

VM.revert destroys every VIF and VBD of the VM and makes those of the snapshot, with other uuids and references; the VM itself stays, and
its `parent` is the snapshot then (seen on a running xapi). Whoever takes a VIF off a VM leaves the rest of it alone.
"""

from orchestrator.listener import records
from orchestrator.listener.holdings import Holding, VIFNote
from orchestrator.listener.mirror import Mirror

REVERTING = frozenset({"revert", "reverting"})


def under_way(mirror: Mirror, ref: str) -> bool:
    """Whether the VM is being reverted: an answer may come from the middle of it, when VIFs are gone and not made anew yet."""
    vm = mirror.vms[ref]
    point = mirror.vms.get(vm.parent)
    return any(not REVERTING.isdisjoint(one.current_operations.values()) for one in (vm, point) if one is not None)


def lost(before: Holding, mirror: Mirror, ref: str) -> tuple[VIFNote, ...]:
    """The VIFs that took VFs *before* and that the snapshot, to which the VM was reverted, did not have; none unless it is certain."""
    if not _was_reverted(before, mirror, ref):
        return ()
    there = {(vif.MAC.lower(), _network(mirror, vif)) for vif in mirror.vifs_of(ref)}
    return tuple(note for note in before.vifs if (note.MAC.lower(), note.network) not in there)


def _was_reverted(before: Holding, mirror: Mirror, ref: str) -> bool:
    """Whether nothing is left of what the VM consisted of, and it consists of what its parent, a snapshot of it, does."""
    vm = mirror.vms[ref]
    point = mirror.vms.get(vm.parent)
    if before.ref != ref or not before.vbds or point is None or not point.is_a_snapshot or point.snapshot_of != ref:
        return False
    left = {*before.vbds, *before.all_vifs}.intersection((*vm.VBDs, *(vif.uuid for vif in mirror.vifs_of(ref))))
    return not left and bool(vm.VBDs) and len(vm.VBDs) == len(point.VBDs) and _places(mirror, ref) == _places(mirror, vm.parent)


def _places(mirror: Mirror, ref: str) -> list[tuple[str, str, str]]:
    """Device, MAC and network of each VIF."""
    return sorted((vif.device, vif.MAC.lower(), vif.network) for vif in mirror.vifs_of(ref))


def _network(mirror: Mirror, vif: records.VIF) -> str:
    found = mirror.networks.get(vif.network)
    return found.uuid if found else ""
