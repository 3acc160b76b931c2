"""Which workflow follows which cause. Pure."""

from dataclasses import asdict
from datetime import datetime

from orchestrator.listener.causes import Cause
from workflows import reclaim
from workflows.outcome import Request


def request(pool: str, cause: Cause, seen_at: datetime) -> Request:
    """The run that is wanted because of the cause; its data is plain JSON and says all that is known of what is gone."""
    was = cause.was
    return Request(
        workflow=reclaim.NAME,
        pool=pool,
        subject=f"vm:{was.vm}",
        title=f"VM {was.name}",
        data={
            "vm": was.vm,
            "vm_name": was.name,
            "vifs": [asdict(vif) for vif in was.vifs],
            "ports": list(was.ports),
            "seen_at": seen_at.isoformat(),
        },
    )
