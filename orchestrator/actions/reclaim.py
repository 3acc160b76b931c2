"""Accounting for every port now, whatever the events said, and cleaning up what runs left behind."""

from functools import partial

from orchestrator.actions.desk import Desk, Proposal
from orchestrator.bootstrap import PoolAccess
from state import runs
from workflows import clean_up, leftovers, put_right, reclaim_plans, recovering_plans
from workflows.outcome import Request
from workflows.plan import Plan
from workflows.reclaim import request_for_port


def propose(at: Desk, *, unknown: bool = False) -> Proposal:
    """A run for each port and for each thing that was left behind; *unknown*: of runs too that the database does not know."""
    looks = {access.name: access.port.look_at_ports() for access in at.pools}
    left = {access.name: _leftovers(at, access, unknown=unknown) for access in at.pools}

    def plans() -> list[Plan]:
        found = []
        for access in at.pools:
            found += [reclaim_plans.of_port(look, access.ledger.account(look), at.policy.reclaim) for look in looks[access.name]]
            found += [_of_leftover(at, access, request) for request in left[access.name]]
        return found

    wanted: list[Request] = []
    for access in at.pools:
        wanted += [request_for_port(access.name, look.port, look.name) for look in looks[access.name]]
        wanted += left[access.name]
    return Proposal(wanted, plans)


def _leftovers(at: Desk, access: PoolAccess, *, unknown: bool) -> list[Request]:
    found = leftovers.see(access.port)
    with at.store.read() as session:
        return clean_up.everything(found, partial(runs.is_over, session), at.clock(), unknown_too=unknown)


def _of_leftover(at: Desk, access: PoolAccess, request: Request) -> Plan:
    if request.workflow == put_right.NAME:
        return recovering_plans.of_putting_right(access.port, at.policy.backup, request, at.clock(), access.ledger.homes)
    return clean_up.plan(request)
