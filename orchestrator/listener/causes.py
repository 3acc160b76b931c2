"""What happened in the pool that a workflow should follow, told from what was known and what is. Pure."""

from dataclasses import dataclass, replace

from orchestrator.listener import holdings
from orchestrator.listener.holdings import Holding, VIFNote
from orchestrator.listener.mirror import Mirror
from orchestrator.listener.topology import Topology


@dataclass(frozen=True, slots=True)
class VmDestroyed:
    """A VM that had VIFs on SR-IOV networks is gone; *was* is what was known of it.

    Its ports are those that it held VFs of last; when that is not known, all that could have given it some.
    """

    was: Holding


@dataclass(frozen=True, slots=True)
class VmReverted:
    """A VM was reverted to a snapshot that has not the VIFs *missing*, which took VFs; *was* is what was known of it."""

    was: Holding
    missing: tuple[VIFNote, ...]


Cause = VmDestroyed | VmReverted


def of_vm(before: Holding, mirror: Mirror, topology: Topology) -> Cause | None:
    """What happened to a VM that was known, when no longer anything is to be remembered of it.

    Only a uuid that is nowhere in the pool any more is a destroyed VM: one that became a template, or that a restored database gave
    another reference, is still there. We destroy no VM with VFs ourselves, so nothing that we write to a pool is a cause.
    """
    if mirror.vm_ref(before.vm) is not None:
        return None
    return VmDestroyed(before if before.ports else replace(before, ports=holdings.possible_ports(mirror, topology, before.vifs)))
