"""Takes the refused runs of `[[assign]]` rules up again, once nothing stands against them any more.

A run of a rule is asked for once. What refused it may pass: a VF comes free, somebody unblocks the VM or ends its HA protection. So each is
planned anew now and then, which changes nothing and writes nothing, and only a run that would not be refused again is taken up.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from state import refusals, runs
from state.refusals import Refused
from state.store import Store
from workflows import assign, assignment_plans, release
from workflows.accounts import Ledger
from workflows.objects import VM, Network, PoolFacts
from workflows.outcome import Request
from workflows.policy import Policy
from workflows.ports import Gone, Pool, PortLook
from workflows.tagged import Rule

log = logging.getLogger(__name__)

AT_ONCE = 8
"""How many are taken up in one look: many may wait for the one VF that came free, and each that finds it taken is two entries more."""


class SecondLooks:
    """One pool's. *retry* takes a run up again; it may raise `runs.Impossible`."""

    def __init__(self, store: Store, rules: Iterable[Rule], policy: Policy, retry: Callable[[UUID], object]) -> None:
        self._store = store
        self._rules = tuple(rules)
        self._policy = policy
        self._retry = retry

    def look(self, pool: Pool, ledger: Ledger, now: datetime) -> None:
        """Take up what would not be refused now, those first that were refused longest ago. May raise PoolError."""
        refused = self._refused(pool.name)
        if not refused:
            return
        seen = _Once(pool)
        tags = {vm.uuid: vm.tags for vm in seen.vms()}
        free = (run for run in refused if run.data["rule"] in tags.get(run.data["vm"], ()) and self._is_free(seen, ledger, run, now))
        for run, _ in zip(free, range(AT_ONCE), strict=False):
            log.info("%s: nothing stands any more against the VF that a rule gives it; it was refused: %s", run.title, run.reason)
            try:
                self._retry(run.id)
            except runs.Impossible as error:
                log.debug("run %s is not taken up again: %s", run.id, error)

    def _refused(self, pool: str) -> list[Refused]:
        """The refused runs of rules that there still are; a VM that a VF was taken from since is given none again."""
        rules = {(rule.tag, rule.goes_on) for rule in self._rules if rule.pool in (None, pool)}
        if not rules:
            return []
        with self._store.read() as session:
            asked = refusals.standing(session, pool, assign.NAME, {tag for tag, _ in rules})
            found = [run for run in asked if _rule(run) in rules]
            taken = runs.had(session, pool, release.NAME, {f"vm:{run.data['vm']}" for run in found})
        return [run for run in found if f"vm:{run.data['vm']}" not in taken]

    def _is_free(self, seen: "_Once", ledger: Ledger, run: Refused, now: datetime) -> bool:
        request = Request(run.workflow, run.pool, run.subject, run.title, dict(run.data))
        return not assignment_plans.of_assignment(cast("Pool", seen), ledger, self._policy, request, now).refusals


def _rule(run: Refused) -> tuple[str, str]:
    return run.data.get("rule", ""), run.data.get("network_name", "")


class _Once:
    """A pool whose heavy readings are taken once for all plans of a look."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._vms: tuple[VM, ...] | None = None
        self._rest: tuple[PoolFacts, tuple[Network, ...], tuple[PortLook, ...]] | None = None

    def __getattr__(self, asked: str) -> Any:
        return getattr(self._pool, asked)

    def vms(self) -> tuple[VM, ...]:
        """All real VMs."""
        if self._vms is None:
            self._vms = self._pool.vms()
        return self._vms

    def vm(self, uuid: str) -> VM:
        """One of them; `Gone` when it is none."""
        found = next((vm for vm in self.vms() if vm.uuid == uuid), None)
        if found is None:
            raise Gone("UUID_INVALID", ("VM", uuid))
        return found

    def facts(self) -> PoolFacts:
        """The pool itself."""
        return self._others()[0]

    def networks(self) -> tuple[Network, ...]:
        """All networks."""
        return self._others()[1]

    def look_at_ports(self) -> tuple[PortLook, ...]:
        """A look at every port."""
        return self._others()[2]

    def _others(self) -> tuple[PoolFacts, tuple[Network, ...], tuple[PortLook, ...]]:
        if self._rest is None:
            self._rest = (self._pool.facts(), self._pool.networks(), self._pool.look_at_ports())
        return self._rest
