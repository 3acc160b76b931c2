"""SR-IOV on the hosts of a pool, as [sriov.NAME] of the configuration wants it."""

from typing import Any

from orchestrator import bootstrap
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.actions.failures import WrongInput
from orchestrator.config.load import Loaded
from orchestrator.views import sriov as view
from workflows import disable as disabling
from workflows import enable as enabling
from workflows.wanted import SriovPolicy

Chosen = list[tuple[str, SriovPolicy]]


def chosen(loaded: Loaded, name: str | None, pool: str | None) -> Chosen:
    """The pools and the tables that are meant; WrongInput when there is none."""
    policies = bootstrap.policy(loaded).sriov
    if not policies:
        raise WrongInput(f"{loaded.path} has no table [sriov.NAME]: the README shows one")
    if name is not None and name not in policies:
        raise WrongInput(f"sriov {name!r}: {loaded.path} has no table [sriov.{name}]; it has {', '.join(policies)}")
    wanted = [policy for policy in policies.values() if name in (None, policy.name)]
    places = [place for place in loaded.pools if pool in (None, place)]
    found = [(place, policy) for place in places for policy in wanted if policy.pool in (None, place)]
    if not found:
        raise WrongInput(f"[sriov.{name}] is about pool {wanted[0].pool!r}", option="pool", value=pool)
    return found


def enable(at: Desk, meant: Chosen) -> Proposal:
    """A run for each table and pool that makes it so and keeps it so."""
    requests = [enabling.request(place, policy.name) for place, policy in meant]
    return Proposal(requests, lambda: [enabling.plan(at.access(place).port, policy, at.policy.reboot) for place, policy in meant])


def disable(at: Desk, meant: Chosen, *, force: bool = False) -> Proposal:
    """A run for each that takes it away; *force*: also where halted VMs have VIFs on the network."""
    requests = [disabling.request(place, policy.name, force=force) for place, policy in meant]
    return Proposal(requests, lambda: [disabling.plan(at.access(place).port, policy, force=force) for place, policy in meant])


def status(at: Desk, meant: Chosen) -> list[dict[str, Any]]:
    """How every port stands, held against what is wanted."""
    return [row for place, policy in meant for row in view.rows(at.access(place).port, at.store, [policy])]
