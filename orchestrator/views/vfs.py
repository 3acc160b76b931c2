"""The VFs of a pool, port by port: what there is, who has it, what is missing."""

from dataclasses import asdict
from typing import Any

from workflows import accounting, oddities
from workflows.accounts import Ledger, PortAccount
from workflows.ports import Pool, PortLook


def ports(pool: Pool, ledger: Ledger) -> list[dict[str, Any]]:
    """Look at the pool's ports now; one row of plain JSON each, in order of their names.

    *total* of a port that is not known yet is what can be seen of it. *leaked* VFs are held as such by stuck runs; *missing* ones are
    unaccounted for at this look alone, which is no proof yet. *odd* is what is not as it was and no leak (see `workflows.oddities`).
    """
    return [_row(pool.name, look, ledger.account(look)) for look in sorted(pool.look_at_ports(), key=lambda look: look.name)]


def _row(pool: str, look: PortLook, account: PortAccount) -> dict[str, Any]:
    lost = accounting.missing(look, account)
    return {
        "pool": pool,
        "port": look.port,
        "name": look.name,
        "network": look.network,
        "mode": look.mode,
        "attached": look.attached,
        "total": account.total or look.remaining + len(look.users),
        "free": look.remaining,
        "promised": account.promised,
        "leaked": account.leaked,
        "missing": max(0, lost - account.leaked) if not look.in_flight else None,
        "in_flight": list(look.in_flight),
        "users": [{"vm": user.vm, "name": user.vm_name, "vif": user.vif, "device": user.device} for user in look.users],
        "odd": [asdict(oddity) for oddity in oddities.of_port(look, account)],
        "at": look.at,
    }
