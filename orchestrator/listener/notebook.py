"""What is known of a pool, in the store: read whole, written under the pool's lease, each VM in one transaction with its run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from orchestrator.listener import rules
from orchestrator.listener.causes import Cause
from orchestrator.listener.errors import Deposed
from orchestrator.listener.holdings import Holding, VIFNote
from orchestrator.listener.settlement import Settlement
from state import inventory, leases, several
from state.inventory import KnownVM
from state.leases import Lease
from state.store import Session, Store

T = TypeVar("T")

AT_ONCE = 200
"""VMs a transaction: after a week's absence thousands are written, and nobody else can write meanwhile."""


class StoreNotebook:
    """*publish* is told the id of every run that was created, when it is committed; a run whose message is lost is found by the sweeper."""

    def __init__(self, store: Store, pool: str, lease: Lease, duration: timedelta, publish: Callable[[UUID], None]) -> None:
        self._store = store
        self._pool = pool
        self._lease = lease
        self._duration = duration
        self._publish = publish

    def read(self) -> dict[str, Holding]:
        """Every VM that is known, by uuid."""
        with self._store.read() as session:
            return {uuid: _holding(row) for uuid, row in inventory.known(session, self._pool).items()}

    def write(self, found: Settlement, *, now: datetime) -> None:
        """Write and remove rows with the runs that the causes call for; raises `Deposed` when the lease was lost.

        A VM's row is changed in the transaction that creates its run: whatever dies in between, what happened is followed exactly once.
        """
        for some in _slices(found.put):
            rows = [self._row(holding, now) for holding in some]
            self._write(partial(inventory.put, vms=rows), [found.reverted.get(holding.vm) for holding in some], now)
        for uuids in _slices(list(found.gone)):
            remove = partial(inventory.remove, pool=self._pool, vms=uuids)
            self._write(remove, [found.gone[uuid] or found.reverted.get(uuid) for uuid in uuids], now)

    def _write(self, change: Callable[[Session], None], causes: Iterable[Cause | None], now: datetime) -> None:
        """A transaction under the lease, with the runs for the causes; they are published after it."""
        wanted = [rules.request(self._pool, cause, now) for cause in causes if cause is not None]

        def write(session: Session) -> list[UUID]:
            self._fence(session, now)
            change(session)
            made = several.create(session, wanted, now=now)
            return [run.id for run, is_new in made if is_new]

        for run_id in self._store.do(write):
            self._publish(run_id)

    def _fence(self, session: Session, now: datetime) -> None:
        if not leases.renew(session, self._lease, now=now, duration=self._duration):
            raise Deposed(f"the lease {self._lease.name} was taken over by another listener")

    def _row(self, holding: Holding, now: datetime) -> KnownVM:
        return KnownVM(
            pool=self._pool,
            vm=holding.vm,
            ref=holding.ref,
            name=holding.name,
            vifs=[asdict(vif) for vif in holding.vifs],
            ports=list(holding.ports),
            vbds=list(holding.vbds),
            all_vifs=list(holding.all_vifs),
            updated_at=now,
        )


def _holding(row: KnownVM) -> Holding:
    vifs = tuple(VIFNote(**vif) for vif in row.vifs)
    return Holding(row.vm, row.ref, row.name, vifs, tuple(row.ports), tuple(row.vbds or ()), tuple(row.all_vifs or ()))


def _slices(values: Sequence[T]) -> Iterable[Sequence[T]]:
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
