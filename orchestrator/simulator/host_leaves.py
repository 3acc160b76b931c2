"""Hosts that leave the pool: alive by pool.eject, dead by host.destroy."""

from orchestrator.simulator import hosts, objects, vms
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.registry import Messages


def eject(call: Call, host: str) -> None:
    """pool.eject: a live member without guests; it is a pool of its own then, and not ours any more."""
    with call.db.lock:
        hosts.live(call, host)
        _assert_can_leave(call.db, host)
        remove(call.db, host)
    call.server.power(host, on=False)


def destroy(call: Call, host: str) -> None:
    """host.destroy: a dead member without guests."""
    with call.db.lock:
        call.handle("host", host)
        _assert_can_leave(call.db, host)
        if objects.is_live(call.db, host):
            raise Failure("HOST_IS_LIVE", host)
        remove(call.db, host)


def _assert_can_leave(db: Database, host: str) -> None:
    if host == objects.coordinator_of(db):
        raise Failure("HOST_CANNOT_DESTROY_SELF", host)
    if hosts.guests(db, host):
        raise Failure("HOST_HAS_RESIDENT_VMS", host)


def remove(db: Database, host: str) -> None:
    """Destroy the host's record and all that belongs to it: ports, VFs, PBDs, its control domain."""
    row = db.get("host", host)
    for pif in row["PIFs"]:
        for sriov in db.get("PIF", pif)["sriov_logical_PIF_of"]:
            db.destroy("network_sriov", sriov)
    for pif in row["PIFs"]:
        for vlan in db.get("PIF", pif)["VLAN_slave_of"]:
            db.destroy("VLAN", vlan)
    for vm in row["resident_VMs"]:
        vms.remove(db, vm)
    for cls, field in (("PIF", "PIFs"), ("PCI", "PCIs"), ("PBD", "PBDs"), ("host_cpu", "host_CPUs"), ("PUSB", "PUSBs")):
        for ref in row[field]:
            db.destroy(cls, ref)
    db.destroy("host_metrics", row["metrics"])
    db.destroy("host", host)


MESSAGES: Messages = {"pool.eject": eject, "host.destroy": destroy}
