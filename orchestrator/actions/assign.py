"""Giving VMs a VF."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator import names
from orchestrator.actions import desk, moments
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.actions.failures import WrongInput
from orchestrator.actions.verbs import NEXT_HALT
from orchestrator.bootstrap import PoolAccess
from workflows import addressing, assignment_plans
from workflows import assign as workflow
from workflows.outcome import Request
from workflows.plan import Plan


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: VMs and networks by uuid or by name; *device* "" and *mac* "": chosen; *qos_kbps* None: as the policy says."""

    vms: Sequence[str]
    network: str
    vlan_network: str | None = None
    mac: str = ""
    device: str = ""
    qos_kbps: int | None = None
    when: str = NEXT_HALT
    force_shutdown: bool = False


def propose(at: Desk, wanted: Wanted) -> Proposal:
    """A run for each VM. Raises WrongInput, `names.WrongName`."""
    moments.check(at.loaded, wanted.when)
    _check(wanted)
    pairs = [_request(at, written, wanted) for written in wanted.vms]

    def plans() -> list[Plan]:
        now = at.clock()
        return [assignment_plans.of_assignment(access.port, access.ledger, at.policy, request, now) for access, request in pairs]

    requests = [request for _, request in pairs]
    return Proposal(requests, plans, lambda: desk.assert_possible(at.store, list(zip(requests, plans(), strict=True))))


def _check(wanted: Wanted) -> None:
    if wanted.mac and len(wanted.vms) > 1:
        text = f"{len(wanted.vms)} VMs cannot have the same MAC: assign them one by one"
        raise WrongInput(text, option="mac", value=wanted.mac)
    if wanted.device and not wanted.device.isdecimal():
        raise WrongInput("write a number, such as 1", option="device", value=wanted.device)
    try:
        if wanted.mac:
            addressing.normal(wanted.mac)
    except ValueError as error:
        raise WrongInput(str(error), option="mac") from None


def _request(at: Desk, written: str, wanted: Wanted) -> tuple[PoolAccess, Request]:
    """The request for one VM, and its pool; the networks are looked for in that one."""
    port, vm = names.vm(at.ports, written)
    network = names.network([port], wanted.network)[1]
    vlan = names.network([port], wanted.vlan_network)[1] if wanted.vlan_network else None
    wish = workflow.Wish(
        network.uuid, (vlan or network).name, vlan.uuid if vlan else "", mac=wanted.mac,
        device=str(int(wanted.device)) if wanted.device else "", when=wanted.when, force=wanted.force_shutdown, qos_kbps=wanted.qos_kbps,
    )  # fmt: skip
    return at.access(port.name), workflow.request(port.name, vm.uuid, vm.name, wish)
