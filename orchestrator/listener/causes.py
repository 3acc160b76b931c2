"""What happened in the pool that a workflow should follow, told from what was known and what is. Pure."""

from dataclasses import dataclass

from orchestrator.listener.holdings import Holding
from orchestrator.listener.mirror import Mirror


@dataclass(frozen=True, slots=True)
class VmDestroyed:
    """A VM that had VIFs on SR-IOV networks is gone; *was* is what was known of it."""

    was: Holding


Cause = VmDestroyed


def of_vm(before: Holding, mirror: Mirror) -> Cause | None:
    """What happened to a VM that was known, when no longer anything is to be remembered of it.

    Only a uuid that is nowhere in the pool any more is a destroyed VM: one that became a template, or that a restored database gave
    another reference, is still there. We destroy no VM with VFs ourselves, so nothing that we write to a pool is a cause.
    """
    return VmDestroyed(before) if mirror.vm_ref(before.vm) is None else None
