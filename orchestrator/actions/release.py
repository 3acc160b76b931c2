"""Taking VFs from VMs."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator import names
from orchestrator.actions import desk, moments
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.actions.failures import WrongInput
from orchestrator.actions.verbs import NEXT_HALT
from workflows import assignment_plans
from workflows import release as workflow
from workflows.plan import Plan


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: VMs by uuid or by name, of each only these VIFs (by uuid, device or MAC; none named: all that take a VF)."""

    vms: Sequence[str]
    vifs: Sequence[str] = ()
    when: str = NEXT_HALT
    force_shutdown: bool = False


def propose(at: Desk, wanted: Wanted) -> Proposal:
    """A run for each VM. Raises WrongInput, `names.WrongName`."""
    moments.check(at.loaded, wanted.when)
    found = [names.vm(at.ports, written) for written in wanted.vms]
    requests = [workflow.request(port.name, vm, wanted.vifs, wanted.when, force=wanted.force_shutdown) for port, vm in found]

    def plans() -> list[Plan]:
        now = at.clock()
        return [assignment_plans.of_release(port, at.policy, request, now) for (port, _), request in zip(found, requests, strict=True)]

    def check() -> None:
        planned = list(zip(requests, plans(), strict=True))
        against = [(vm, request) for (_, vm), (request, plan) in zip(found, planned, strict=True) if plan.refusals]
        # a VIF that is not there may be one that a run has taken away just now
        unknown = [line for vm, request in against if not desk.at_work(at.store, request) for line in workflow.unknown(vm, wanted.vifs)]
        if unknown:
            raise WrongInput("\n".join(f"--vif: {line}" for line in unknown))
        desk.assert_possible(at.store, planned)

    return Proposal(requests, plans, check)
