"""The arithmetic of VFs: the only way a client can see that one is lost.

XenAPI never says which VF is reserved for whom (PCI.scheduled_to_be_attached_to and VIF.reserved_pci are internal to xapi), so a
leaked VF shows only as a difference: a port's VFs, less those that are free, less those that somebody uses.
"""

from typing import Any

from workflows.accounts import PortAccount
from workflows.ports import PortLook


def missing(look: PortLook, account: PortAccount) -> int:
    """How many VFs of the port are neither free nor used at this look."""
    return max(0, account.total - look.remaining - len(look.users))


def figures(look: PortLook, account: PortAccount) -> dict[str, Any]:
    """One look as evidence: plain JSON, every number that the arithmetic used."""
    return {
        "at": look.at.isoformat(),
        "port": look.port,
        "name": look.name,
        "total": account.total,
        "remaining": look.remaining,
        "in_use": len(look.users),
        "users": [f"{user.vm_name} ({user.vm}) device {user.device}" for user in look.users],
        "missing": missing(look, account),
        "virtual_functions_recorded": look.records,
        "mode": look.mode,
        "epoch": look.epoch,
    }


def in_words(look: PortLook, account: PortAccount) -> str:
    """One look as a sentence: what is free, used, held as leaked by runs, and missing beyond that."""
    lost = missing(look, account)
    leaked = min(lost, account.leaked)
    parts = [f"{look.remaining} free", f"{len(look.users)} in use"]
    parts += [f"{leaked} leaked (held by another run)"] * bool(leaked) + [f"{lost - leaked} missing"] * bool(lost - leaked)
    if account.total < look.remaining + len(look.users):  # never accounted for since its VFs came, and in motion now
        return f"{look.name}: {' + '.join(parts)}; how many VFs it has is not known before its numbers come to rest"
    return f"{look.name}: {account.total} VFs = {' + '.join(parts)}"
