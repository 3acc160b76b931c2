"""Accounts for every port of a pool at the start and on a slow timer, in the process that listens to the pool."""

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from uuid import UUID

from orchestrator import reconcile
from orchestrator.bootstrap import PoolAccess
from orchestrator.engine.engine import Engine
from orchestrator.listener.second_looks import SecondLooks
from state import ports, runs
from state.clock import of_machine
from state.run import Status
from state.store import Store
from workflows import clean_up, cures, leftovers, reclaim, release_halted
from workflows.policy import Policy, ReclaimPolicy
from workflows.ports import PoolError
from workflows.tagged import Rule

logger = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(seconds=15)
LOOK_UP = timedelta(seconds=2)
DEFAULTS = ReclaimPolicy()


class Reconciler:
    """One pool's. *every*: how often; after a failure it tries again sooner. *is_ours*: whether this process listens to the pool.

    *counted*: told of what was counted of the pool, each time.

    *rules*: those that give VMs VFs, with the policy by which their refused runs are looked at again.

    Two processes that reconcile at once, while the one takes over from the other, do no harm: a port has one run at a time.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the four things it joins, when, the policy, and who else looks
        self,
        access: PoolAccess,
        store: Store,
        engine: Engine,
        counted: Callable[[str, reconcile.Accounts], None],
        every: timedelta,
        is_ours: Callable[[], bool],
        policy: ReclaimPolicy = DEFAULTS,
        rules: tuple[Iterable[Rule], Policy] = ((), Policy()),
    ) -> None:
        self._access = access
        self._store = store
        self._engine = engine
        self._counted = counted
        self._every = every
        self._is_ours = is_ours
        self._policy = policy
        self._second_looks = SecondLooks(store, *rules, partial(engine.retry, by="the reconciler: nothing stands against it any more"))

    def run(self, stop: threading.Event) -> None:
        """Reconcile until *stop* is set."""
        pause = timedelta()
        while not stop.wait(pause.total_seconds()):
            pause = self._pause()

    def _pause(self) -> timedelta:
        """Reconcile where it is ours to do; how long until the next look."""
        if not self._is_ours():
            return LOOK_UP
        return self._every if self._reconciled() else min(AGAIN_AFTER, self._every)

    def _reconciled(self) -> bool:
        try:
            for promise in self._access.ledger.withdraw_orphans():
                logger.info("pool %s: kept for nobody any more: %s", self._access.name, promise)
            accounts = reconcile.accounts(self._access.port, self._access.ledger)
            self._counted(self._access.name, accounts)
            reconcile.settle(self._access.name, accounts, self._access.ledger, self._engine.submit, self._retry)
            self._retry_those_at_rest(accounts)
            self._retry_those_of_lost_ports(accounts)
            self._clean_up()
            self._follow_the_halted()
            self._second_looks.look(self._access.port, self._access.ledger, of_machine())
        except PoolError as error:
            logger.warning("pool %s: its ports could not be accounted for: %s", self._access.name, error)
            return False
        except Exception:  # the database may be away for a moment
            logger.exception("pool %s: its ports could not be accounted for", self._access.name)
            return False
        return True

    def _retry_those_at_rest(self, accounts: reconcile.Accounts) -> None:
        """Take up the runs that are stuck because no look could be trusted, or for want of a cure, where that is otherwise now."""
        with self._store.read() as session:
            stuck = runs.listed(session, statuses={Status.STUCK}, pool=self._access.name)
        for run in stuck:
            evidence = (run.evidence or {}) if run.workflow == reclaim.NAME else {}
            at_rest = "in_flight" in evidence and reconcile.at_rest(run.data, accounts)
            if at_rest or cures.has_more_to_try(evidence, self._policy.allow):
                self._retry(run.id)

    def _retry_those_of_lost_ports(self, accounts: reconcile.Accounts) -> None:
        """Take up the runs that hold leaked VFs of ports that are no more: SR-IOV was disabled there, or enabled anew, and the VFs went."""
        there = {look.port for look, _ in accounts}
        with self._store.read() as session:
            holders = [held.run_id for held in ports.leaks(session, self._access.name) if held.port not in there]
        for run_id in dict.fromkeys(holders):
            self._retry(run_id)

    def _clean_up(self) -> None:
        """Submit a run for whatever a run that is over left behind; one that needed a person for the same is not followed by another."""
        found = leftovers.see(self._access.port)
        with self._store.read() as session:
            wanted = clean_up.everything(found, partial(runs.is_over, session), of_machine())
            wanted = [request for request in wanted if not runs.failed_on(session, request)]
        for request in wanted:
            self._engine.submit(request)

    def _follow_the_halted(self) -> None:
        """Where the policy says that VMs which stay halted lose their VFs: a run for each that is halted, parked until then."""
        if self._policy.halted_longer_than is None:
            return
        wanted = [
            release_halted.request(self._access.name, vm, of_machine()) for vm in self._access.port.vms() if release_halted.concerns(vm)
        ]
        with self._store.read() as session:
            wanted = [request for request in wanted if not runs.failed_on(session, request)]
        for request in wanted:
            self._engine.submit(request)

    def _retry(self, run_id: UUID) -> None:
        """Take a stuck run up again because its port changed; one that a person took up meanwhile is left alone."""
        try:
            self._engine.retry(run_id, by="the reconciler: its port has changed")
        except runs.Impossible as error:
            logger.debug("run %s is not taken up again: %s", run_id, error)
