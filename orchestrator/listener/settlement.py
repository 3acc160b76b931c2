"""The difference between what is known and what the mirror shows, as rows to write, rows to remove and causes. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.listener import causes, holdings, reverts
from orchestrator.listener.causes import Cause, VmReverted
from orchestrator.listener.holdings import Holding
from orchestrator.listener.mirror import Mirror
from orchestrator.listener.topology import Topology

MANY = 20


@dataclass(slots=True)
class Settlement:
    """*put*: rows that are new or changed. *gone*: the uuids of rows to remove, each with its cause; None for those that are no cause.

    *later*: uuids of VMs that have lost VIFs. A VM.destroy destroys the VIFs before the VM, and an answer may come from between: what
    such a VM had must be remembered until the next answer has said whether the VM went as well, and a VM that is being reverted until
    that is over. *reverted*: of the VMs (uuids) in *put* and *gone*, those that lost VIFs to a revert.
    """

    put: list[Holding] = field(default_factory=list)
    gone: dict[str, Cause | None] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    reverted: dict[str, Cause] = field(default_factory=dict)

    @property
    def destroyed(self) -> list[Cause]:
        """The VMs that are gone."""
        return [cause for cause in self.gone.values() if cause is not None]

    def is_doubtful(self, known: int) -> bool:
        """Whether so many of the *known* VMs are destroyed that the pool should be asked again before it is believed."""
        destroyed = len(self.destroyed)
        return destroyed > MANY and destroyed * 4 > known


def settle(
    known: Mapping[str, Holding],
    mirror: Mirror,
    topology: Topology,
    vms: Iterable[str],
    awaited: Collection[str] = (),
) -> Settlement:
    """Compare what is *known* of the *vms* (uuids) with the mirror; *awaited* are those that the settlement before put off."""
    result = Settlement()
    for uuid in vms:
        before, ref = known.get(uuid), mirror.vm_ref(uuid)
        now = holdings.holding(mirror, topology, ref, before) if ref is not None else None
        if before is not None and ref is not None and _has_lost_vifs(before, mirror, ref):
            if uuid not in awaited or reverts.under_way(mirror, ref):
                result.later.add(uuid)
                continue
            if missing := reverts.lost(before, mirror, ref):
                result.reverted[uuid] = VmReverted(before, missing)
        if now is not None and now != before:
            result.put.append(now)
        elif now is None and before is not None:
            result.gone[uuid] = causes.of_vm(before, mirror, topology)
    return result


def concerned(known: Mapping[str, Holding], mirror: Mirror, topology: Topology) -> set[str]:
    """Every VM (uuid) that is known, or has a VIF that takes a VF."""
    owners = {vif.VM for vif in mirror.vifs.values() if topology.leads_to_vfs(vif.network)}
    return {*known, *(mirror.vms[ref].uuid for ref in owners if ref in mirror.vms)}


def _has_lost_vifs(before: Holding, mirror: Mirror, ref: str) -> bool:
    """Whether a VIF is gone; one that only moved to another network is there."""
    there = {vif.uuid for vif in mirror.vifs_of(ref)}
    return any(vif.uuid not in there for vif in before.vifs)
