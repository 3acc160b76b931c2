"""What is known of a pool, in the store: read whole, written under the pool's lease, each VM in one transaction with its run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from orchestrator.listener import rules
from orchestrator.listener.causes import Cause
from orchestrator.listener.errors import Deposed
from orchestrator.listener.holdings import Holding, VIFNote
from state import inventory, leases, runs
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

    def write(self, put: Sequence[Holding], gone: Mapping[str, Cause | None], *, now: datetime) -> None:
        """Write and remove rows with the runs that the causes call for; raises `Deposed` when the lease was lost.

        A VM's row is removed in the transaction that creates its run: whatever dies in between, its deletion is followed exactly once.
        """
        for some in _slices(put):
            with self._store.write() as session:
                self._fence(session, now)
                inventory.put(session, [self._row(holding, now) for holding in some])
        for some_gone in _slices(list(gone.items())):
            self._remove(dict(some_gone), now)

    def _remove(self, gone: dict[str, Cause | None], now: datetime) -> None:
        created = []
        with self._store.write() as session:
            self._fence(session, now)
            inventory.remove(session, self._pool, gone)
            for cause in gone.values():
                if cause is not None:
                    run, is_new = runs.create(session, rules.request(self._pool, cause, now), now=now)
                    created += [run.id] if is_new else []
        for run_id in created:
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
            updated_at=now,
        )


def _holding(row: KnownVM) -> Holding:
    return Holding(row.vm, row.ref, row.name, tuple(VIFNote(**vif) for vif in row.vifs), tuple(row.ports))


def _slices(values: Sequence[T]) -> Iterable[Sequence[T]]:
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
