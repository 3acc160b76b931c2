"""VMs as far as VFs go: what each has, what it may have and why not, what is going on about it."""

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.actions import assign, backup
from orchestrator.actions.desk import Desk
from orchestrator.bootstrap import PoolAccess
from orchestrator.views import runs as run_view
from state import runs
from state.run import ACTIVE, Run, Status
from state.store import Session
from workflows.objects import VM
from workflows.ports import PortLook


def rows(access: PoolAccess) -> list[dict[str, Any]]:
    """Every VM of the pool, by name, from one reading of it and one look at its ports. Plain JSON."""
    held = _held(access.port.look_at_ports())
    return [row(access.name, vm, held.get(vm.uuid, [])) for vm in access.port.vms()]


def _held(looks: Iterable[PortLook]) -> dict[str, list[dict[str, str]]]:
    """The VFs that VMs (uuids) have, or that are reserved for them as they start."""
    found: dict[str, list[dict[str, str]]] = {}
    for look in looks:
        for user in (*look.users, *look.starting):
            found.setdefault(user.vm, []).append({"port": look.port, "name": look.name, "vif": user.vif, "device": user.device})
    return found


def row(pool: str, vm: VM, vfs: Sequence[dict[str, str]]) -> dict[str, Any]:
    """One VM. *vfs*: which of its VIFs has a VF of which port. *lost*: VFs that its record names and nothing has any more."""
    return {
        "pool": pool,
        "uuid": vm.uuid,
        "name": vm.name,
        "power_state": vm.power_state,
        "host": vm.resident_on,
        "tags": sorted(vm.tags),
        "vifs": [
            {"uuid": vif.uuid, "device": vif.device, "MAC": vif.MAC, "network": vif.network, "network_name": vif.network_name,
             "attached": vif.currently_attached}
            for vif in vm.sriov_vifs
        ],
        "vfs": list(vfs),
        "lost": sum(held.gone for held in vm.held),
        "blocked": dict(sorted(vm.blocked_operations.items())),
    }  # fmt: skip


def detail(at: Desk, access: PoolAccess, uuid: str) -> dict[str, Any]:
    """One VM, with what assigning a VF of each SR-IOV network and preparing it for a backup would come to. Raises `Gone`.

    *may*: each network with the reasons against it, none: it may. *backup*: how it would be prepared, or why not.
    """
    vm = access.port.vm(uuid)
    looks = access.port.look_at_ports()
    networks = [network for network in access.port.networks() if network.is_sriov]
    may = []
    for network in networks:
        (plan,) = assign.propose(at, assign.Wanted([vm.uuid], network.uuid)).plans()
        free = sum(look.remaining for look in looks if look.attached and network.uuid in look.networks)
        may.append({"network": network.uuid, "network_name": network.name, "free": free, "refusals": list(plan.refusals)})
    (prepared,) = backup.prepare(at, backup.Wanted([vm.uuid])).plans()
    with at.store.read() as session:
        at_work = [run_view.row(run) for run in of_vm(session, access.name, vm.uuid)]
    return {
        **row(access.name, vm, _held(looks).get(vm.uuid, [])),
        "may": may,
        "backup": {"refusals": list(prepared.refusals), "sentences": list(prepared.sentences)},
        "stays": _stays(vm),
        "runs": at_work,
    }


def of_vm(session: Session, pool: str, uuid: str) -> list[Run]:
    """The runs that are active, or need a person, about the VM."""
    found = runs.listed(session, statuses=ACTIVE | {Status.STUCK}, pool=pool, limit=100_000)
    return [run for run in found if run.subject == f"vm:{uuid}"]


def _stays(vm: VM) -> list[str]:
    """Why it cannot be moved, suspended or checkpointed: what a VF is to a hypervisor."""
    attached: Sequence[str] = [vif.device for vif in vm.sriov_vifs if vif.currently_attached]
    if not attached:
        return []
    return [f"it holds VFs (VIF {', '.join(attached)}): no live migration, suspend or checkpoint until they are released"]
