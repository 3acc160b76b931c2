"""How SR-IOV stands, held against what the configuration wants: what `vfo sriov status` shows."""

from collections.abc import Iterable
from typing import Any

from orchestrator.views.care import Care, care
from state.store import Store
from workflows import sriov
from workflows.ports import Pool
from workflows.sriov import Sight
from workflows.wanted import SriovPolicy


def rows(pool: Pool, store: Store, policies: Iterable[SriovPolicy]) -> list[dict[str, Any]]:
    """One row of plain values for each [sriov.NAME] of the pool. Looks at the pool anew."""
    looks = {look.port: look for look in pool.look_at_ports()}
    free = {port: look.remaining for port, look in looks.items()}
    total = {port: look.remaining + len(look.users) for port, look in looks.items()}
    return [_row(sriov.see(pool, policy), care(store, pool.name, policy), pool.name, (free, total)) for policy in policies]


def _row(sight: Sight, cared: Care, pool: str, vfs: tuple[dict[str, int], dict[str, int]]) -> dict[str, Any]:
    free, total = vfs
    return {
        "pool": pool,
        "name": sight.policy.name,
        "network": sight.policy.network,
        "is_so": sight.is_so and all(target.host.live for target in sight.targets),
        "kept": cared.kept,
        "why": cared.why,
        "run": cared.run,
        "refusals": list(sriov.refusals(sight)),
        "ports": [
            {
                "host": target.host.name,
                "device": target.nic.device,
                "state": str(target.state) if target.host.live else "its host is away",
                "mode": target.nic.mode,
                "vlans": sorted(tag for tag, _ in target.nic.tagged),
                "free": free.get(target.nic.sriov or "", 0),
                "total": total.get(target.nic.sriov or "", 0),
            }
            for target in sight.targets
        ],
    }
