"""Finds VMs whose VIFs are on our parking network while no run has them, after a revert, an import or a loss: they are put right."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from orchestrator.listener import holdings
from orchestrator.listener.errors import Deposed
from orchestrator.listener.mirror import Change, Mirror
from state import holds, leases, several
from state.leases import Lease
from state.run import Run
from state.store import Session, Store
from workflows import put_right
from workflows.outcome import Request

log = logging.getLogger(__name__)


class Desk(Protocol):
    """Where runs are asked for."""

    def ask(self, wanted: Sequence[Request], *, now: datetime) -> Collection[str]:
        """Create the runs, but for VMs that a run has for itself: it brings them home. The subjects of those that were left out."""


class Displaced:
    """One pool's. A VM is asked for once as long as it stays displaced: a copy whose original is there is left parked."""

    def __init__(self, pool: str, desk: Desk, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._desk = desk
        self._clock = clock
        self._asked: set[str] = set()

    def settle_all(self, mirror: Mirror) -> None:
        """Look at every VM, after a load."""
        self._settle(mirror, {vif.VM for vif in mirror.vifs.values()})

    def settle(self, mirror: Mirror, changes: Iterable[Change]) -> None:
        """Look at the VMs that changed, or whose VIFs did."""
        owners = {getattr(change.after, "VM", "") for change in changes if change.kind == "vif"}
        self._settle(mirror, owners | {change.ref for change in changes if change.kind == "vm"})

    def _settle(self, mirror: Mirror, vms: Iterable[str]) -> None:
        parking = {ref for ref, network in mirror.networks.items() if holdings.PARKING in network.other_config}
        if not parking:
            return
        wanted = {}
        for ref in vms:
            vm = mirror.vms.get(ref)
            if vm is None or not holdings.is_real(vm):
                continue
            request = put_right.request(self._pool, vm.uuid, vm.name_label)
            if not any(vif.network in parking for vif in mirror.vifs_of(ref)):
                self._asked.discard(request.subject)
            elif request.subject not in self._asked:
                wanted[request.subject] = request
        if wanted:
            self._asked |= wanted.keys() - set(self._desk.ask(list(wanted.values()), now=self._clock()))


class StoreDesk:
    """In the store, under the pool's lease; *publish* is told the id of every run that was created."""

    def __init__(self, store: Store, lease: Lease, duration: timedelta, publish: Callable[[UUID], None]) -> None:
        self._store = store
        self._lease = lease
        self._duration = duration
        self._publish = publish

    def ask(self, wanted: Sequence[Request], *, now: datetime) -> Collection[str]:
        """Create the runs, but for VMs that a run has for itself; raises `Deposed` when the lease was lost."""
        with self._store.read() as session:
            held = holds.of_pool(session, wanted[0].pool)
        left = [request for request in wanted if request.subject not in held]
        if left:
            self._create(left, now)
        return [request.subject for request in wanted if request.subject in held]

    def _create(self, wanted: Sequence[Request], now: datetime) -> None:
        def create(session: Session) -> list[tuple[Run, bool]]:
            if not leases.renew(session, self._lease, now=now, duration=self._duration):
                raise Deposed(f"the lease {self._lease.name} was taken over by another listener")
            return several.create(session, wanted, now=now)

        for run, is_new in self._store.do(create):
            if is_new:
                log.info("%s has its VIFs on our parking network, and no run has it: it is put right", run.title)
                self._publish(run.id)
