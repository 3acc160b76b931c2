"""Where a VM can run: the checks of a host in xapi's order, and the choice among the hosts that pass.

Every function here is called with the database's lock held.
"""

import random
from collections.abc import Iterable

from orchestrator.simulator import objects, sriov, vfs
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL


def vif_refs(db: Database, row: Row) -> list[str]:
    """The VM's VIFs in order of device."""
    return sorted(row["VIFs"], key=lambda vif: int(db.get("VIF", vif)["device"]))


def sriov_vifs(db: Database, row: Row) -> list[str]:
    """The VM's VIFs that want a VF."""
    return [vif for vif in vif_refs(db, row) if sriov.is_sriov_network(db, db.get("VIF", vif)["network"])]


def assert_can_run(db: Database, vm: str, host: str) -> None:
    """Raise what xapi raises when the VM cannot start on the host now (xapi_vm_helpers.ml: assert_can_boot_here)."""
    if not objects.is_live(db, host):
        raise Failure("HOST_NOT_LIVE")
    if not db.get("host", host)["enabled"]:
        raise Failure("HOST_DISABLED", host)
    row = db.get("VM", vm)
    _assert_sees_disks(db, vm, row, host)
    _assert_sees_networks(db, vm, row, host)
    _assert_vfs(db, row, host)


def _assert_sees_disks(db: Database, vm: str, row: Row, host: str) -> None:
    for vbd in row["VBDs"]:
        vdi = db.get("VBD", vbd)["VDI"]
        if vdi == NULL or not db.exists("VDI", vdi):
            continue
        sr = db.get("VDI", vdi)["SR"]
        if not sees(db, sr, host):
            raise Failure("VM_REQUIRES_SR", vm, sr)


def sees(db: Database, sr: str, host: str) -> bool:
    """Whether the SR is plugged on the host."""
    pbds = (db.get("PBD", pbd) for pbd in db.get("SR", sr)["PBDs"])
    return any(pbd["host"] == host and pbd["currently_attached"] for pbd in pbds)


def _assert_sees_networks(db: Database, vm: str, row: Row, host: str) -> None:
    for vif in vif_refs(db, row):
        network = db.get("VIF", vif)["network"]
        if not db.exists("network", network):
            continue
        pifs = db.get("network", network)["PIFs"]
        here = any(db.get("PIF", pif)["host"] == host for pif in pifs)
        bound = None if pifs else _bound_to(db, network)
        if (pifs and not here) or (bound and bound != host):
            raise Failure("VM_REQUIRES_NETWORK", vm, network)


def _bound_to(db: Database, network: str) -> str | None:
    """The host of an internal network: the one where a VM runs on it (recorded on a running xapi)."""
    for vif in db.get("network", network)["VIFs"]:
        row = db.get("VIF", vif)
        host = db.get("VM", row["VM"])["resident_on"] if db.exists("VM", row["VM"]) else NULL
        if row["currently_attached"] and host != NULL:
            return str(host)
    return None


def _assert_vfs(db: Database, row: Row, host: str) -> None:
    """Every SR-IOV network of the VM must have as many free VFs there as the VM has VIFs (assert_netsriov_available)."""
    wanted: dict[str, int] = {}
    for vif in sriov_vifs(db, row):
        network = db.get("VIF", vif)["network"]
        port = sriov.on_host(db, network, host)
        if port is not None:
            wanted[port] = wanted.get(port, 0) + 1
        if port is None or sriov.capacity(db, port) < wanted[port]:
            raise Failure("NETWORK_SRIOV_INSUFFICIENT_CAPACITY", network)


def passes(db: Database, vm: str, host: str) -> bool:
    """Whether the VM can start on the host now."""
    try:
        assert_can_run(db, vm, host)
    except Failure:
        return False
    return True


def possible(db: Database, vm: str) -> list[str]:
    """VM.get_possible_hosts."""
    return [host for host in db.refs("host") if passes(db, vm, host)]


def choose(db: Database, vm: str, chance: random.Random) -> str:
    """The host VM.start takes: among those with most free VFs on the VM's first SR-IOV network, its affinity, else any.

    Raises NETWORK_SRIOV_INSUFFICIENT_CAPACITY [network] when no host's port could serve that network at all, NO_HOSTS_AVAILABLE
    when those that could are out for another reason (xapi_network_sriov_helpers.ml: group_hosts_by_best_sriov).
    """
    row = db.get("VM", vm)
    wanting = sriov_vifs(db, row)
    groups: list[list[str]] = [db.refs("host")]
    if wanting:
        network = db.get("VIF", wanting[0])["network"]
        groups = _by_best_port(db, network)
        if not groups:
            raise Failure("NETWORK_SRIOV_INSUFFICIENT_CAPACITY", network)
    for group in groups:
        hosts = [host for host in group if passes(db, vm, host)]
        if hosts:
            return str(row["affinity"]) if row["affinity"] in hosts else chance.choice(hosts)
    raise Failure("NO_HOSTS_AVAILABLE")


def _by_best_port(db: Database, network: str) -> list[list[str]]:
    """Hosts by free VFs, most first; then those whose port could be plugged without a reboot. Ports with nothing free are dropped."""
    attached: dict[int, list[str]] = {}
    pluggable: list[str] = []
    for pif in db.get("network", network)["PIFs"]:
        ref = sriov.under(db, pif)
        if ref is None:
            continue
        port = db.get("network_sriov", ref)
        host = db.get("PIF", pif)["host"]
        if db.get("PIF", port["logical_PIF"])["currently_attached"]:
            attached.setdefault(sriov.capacity(db, ref), []).append(host)
        elif port["configuration_mode"] in {"sysfs", "manual"} and not port["requires_reboot"]:
            pluggable.append(host)
    ranked = [attached[free] for free in sorted(attached, reverse=True) if free > 0]
    return [*ranked, pluggable] if pluggable else ranked


def reserve(db: Database, vm: str, host: str) -> None:
    """Promise the VM its host and, for each SR-IOV VIF, the free VF with the lowest PCI address."""
    db.set("VM", vm, scheduled_to_be_resident_on=host)
    for vif in sriov_vifs(db, db.get("VM", vm)):
        port = sriov.on_host(db, db.get("VIF", vif)["network"], host)
        if port is not None:
            vfs.reserve(db, vfs.free(db, sriov.port_of(db, port))[0], vif, vm)


def movable(db: Database, vm: str, hosts: Iterable[str]) -> Failure | None:
    """Why a running VM cannot move to any of the hosts: its own reason if all give the same kind, or NO_HOSTS_AVAILABLE [vm]."""
    reasons: list[Failure] = []
    for host in hosts:
        try:
            assert_can_run(db, vm, host)
        except Failure as reason:
            reasons.append(reason)
        else:
            return None
    own = [reason for reason in reasons if reason.details[0].startswith("VM_REQUIRES")]
    return own[0] if own else Failure("NO_HOSTS_AVAILABLE", vm)
