"""Whom the policies of a window mean, how long each will take, and in which order they go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workflows import estimates
from workflows.accounts import Ledger
from workflows.objects import VM
from workflows.planning import Candidate
from workflows.policies import BackupPlan, Backups
from workflows.policy import Policy
from workflows.ports import Pool
from workflows.selection import selects
from workflows.services import Catalogue


@dataclass(frozen=True, slots=True)
class Chosen:
    """The VMs that are to be saved, in rank; *left_out*: the policies that are paused, and why."""

    candidates: tuple[Candidate, ...]
    left_out: dict[str, str]


def of_window(backups: Backups, window: str) -> list[BackupPlan]:
    """The policies of the window."""
    return [plan for plan in backups.policies.values() if plan.window == window]


def means(plan: BackupPlan, pool: str) -> bool:
    """Whether the policy means VMs of this pool at all."""
    return not plan.vms.pools or pool in plan.vms.pools


def choose(  # noqa: PLR0913 - what it looks at, and how far it looks
    pool: Pool,
    ledger: Ledger,
    catalogue: Catalogue,
    policy: Policy,
    names: Sequence[str],
    *,
    only: Sequence[str] = (),
    also_paused: bool = False,
) -> Chosen:
    """Look at the whole pool for what these policies mean; *only*: the uuids of the VMs to which it is narrowed.

    A policy that is paused is left out, unless *also_paused*, and one that is not there any more.
    """
    paused = {} if also_paused else catalogue.paused()
    plans = [policy.backups.policies[name] for name in names if name in policy.backups.policies]
    left_out = {plan.name: paused[plan.name] for plan in plans if plan.name in paused}
    vms = [vm for vm in pool.vms() if not only or vm.uuid in only]
    wanted = [(plan, [vm for vm in vms if selects(plan.vms, pool.name, vm)]) for plan in plans if plan.name not in left_out]
    if not any(chosen for _, chosen in wanted):
        return Chosen((), left_out)
    sizes, ports = pool.disk_sizes(), ledger.last_ports()
    found: list[Candidate] = []
    for plan, chosen in wanted:
        known = catalogue.known(plan.name)
        for vm in chosen:
            of_vm, past = sizes.get(vm.uuid, {}), known.get(vm.uuid)
            found.append(
                Candidate(
                    vm=vm.uuid,
                    name=vm.name,
                    policy=plan.name,
                    priority=plan.priority,
                    saved_at=past.saved_at if past else None,
                    takes=estimates.takes(sum(of_vm.values()), past.took if past else ()),
                    host=vm.resident_on,
                    SRs=tuple(of_vm),
                    ports=ports.get(vm.uuid, ()) if _holds(vm) else (),
                )
            )
    return Chosen(tuple(sorted(found, key=lambda one: one.rank)), left_out)


def _holds(vm: VM) -> bool:
    return vm.power_state == "Running" and bool(vm.sriov_vifs)


def hooks_of(backups: Backups, names: Iterable[str]) -> list[str]:
    """The hooks of these policies, each once, in their order."""
    plans = [backups.policies[name] for name in names if name in backups.policies]
    return list(dict.fromkeys(hook for plan in plans for hook in plan.hooks))
