"""Which workflow follows which cause. Pure."""

from datetime import datetime

from orchestrator.listener.causes import Cause, VmReverted
from orchestrator.listener.holdings import VIFNote
from workflows import put_right, reclaim
from workflows.outcome import Request


def request(pool: str, cause: Cause, seen_at: datetime) -> Request:
    """The run that is wanted because of the cause; its data is plain JSON and says all that is known of what is gone."""
    was = cause.was
    if isinstance(cause, VmReverted):
        return put_right.request(pool, was.vm, was.name, [{**vif.settings, **_place(vif)} for vif in cause.missing])
    return Request(
        workflow=reclaim.NAME,
        pool=pool,
        subject=f"vm:{was.vm}",
        title=f"VM {was.name}",
        data={
            "vm": was.vm,
            "vm_name": was.name,
            "vifs": [_place(vif) for vif in was.vifs],
            "ports": list(was.ports),
            "seen_at": seen_at.isoformat(),
        },
    )


def _place(vif: VIFNote) -> dict[str, str]:
    return {"uuid": vif.uuid, "device": vif.device, "MAC": vif.MAC, "network": vif.network}
