"""What we keep of a pool's VFs beside the pool's own truth, in rows; satisfies `workflows.ports.Ledger`."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from state import inventory, ports, promises
from state.store import Session, Store
from workflows.ports import PortAccount, PortLook


def _utc_now() -> datetime:
    return datetime.now(UTC)


class PoolLedger:
    """The ledger of one pool. Every call is one transaction; a call that finds nothing to change writes nothing."""

    def __init__(self, store: Store, pool: str, clock: Callable[[], datetime] = _utc_now) -> None:
        self._store = store
        self._pool = pool
        self._clock = clock

    def forget_vm(self, vm: str) -> tuple[str, ...]:
        """Remove what we keep of a VM that is gone; says what was removed, in words."""
        with self._store.read() as session:
            if inventory.get(session, self._pool, vm) is None and not promises.to(session, self._pool, vm):
                return ()
        with self._store.write() as session:
            known = inventory.get(session, self._pool, vm)
            promised = promises.to(session, self._pool, vm)
            inventory.remove(session, self._pool, [vm])
            promises.remove(session, self._pool, vm)
        words = [f"VIF {vif.get('device', '?')} ({vif.get('MAC', '?')}) of VM {known.name}" for vif in known.vifs] if known else []
        words += [f"VM {known.name}"] if known and not words else []
        words += [f"the promise of {sum(promised.values())} VFs to VM {known.name if known else vm}"] if promised else []
        return tuple(words)

    def last_ports(self) -> dict[str, tuple[str, ...]]:
        """The VMs (uuids) with VIFs that take VFs, each with the ports that give it VFs or last did; those that changed last first."""
        with self._store.read() as session:
            known = inventory.known(session, self._pool).values()
        return {row.vm: tuple(row.ports) for row in sorted(known, key=lambda row: row.updated_at, reverse=True)}

    def learn(self, look: PortLook) -> PortAccount:
        """Take a look into account; the account after it.

        Only a look that can be trusted changes anything. The total is what the PCI records say where they can tell (sysfs: exactly
        that; else at most that), otherwise the most VFs ever accounted for at once. A new epoch begins anew. What runs hold as leaked
        they hold until they have looked again themselves.
        """
        with self._store.read() as session:
            row = ports.get(session, self._pool, look.port)
            if _learned(row, look, self._pool) is row:
                return self._account(session, row, look)
        with self._store.write() as session:
            row = ports.get(session, self._pool, look.port)
            after = _learned(row, look, self._pool)
            if after is not None and after is not row:
                ports.put(session, after)
            return self._account(session, after, look)

    def account(self, look: PortLook) -> PortAccount:
        """The account as `learn` would leave it; nothing is kept."""
        with self._store.read() as session:
            return self._account(session, _learned(ports.get(session, self._pool, look.port), look, self._pool), look)

    def holders(self, port: str) -> tuple[UUID, ...]:
        """The runs that hold leaked VFs of the port, the oldest first."""
        with self._store.read() as session:
            return tuple(held.run_id for held in ports.leaks(session, self._pool) if held.port == port)

    def let_go(self, run_id: UUID) -> None:
        """The run holds no VF as leaked any more, of any port."""
        with self._store.read() as session:
            if not any(held.run_id == run_id for held in ports.leaks(session, self._pool)):
                return
        with self._store.write() as session:
            ports.let_go(session, self._pool, run_id)

    def hold_leaks(self, port: str, wanted: int, run_id: UUID) -> int:
        """Make *run_id* the holder of up to *wanted* leaked VFs that no other run of the port holds; 0 releases. How many it holds."""
        if not wanted:
            with self._store.read() as session:
                if not any(held.port == port and held.run_id == run_id for held in ports.leaks(session, self._pool)):
                    return 0
        with self._store.write() as session:
            others = ports.leaked(session, self._pool, port, besides=run_id)
            mine = max(0, wanted - others)
            ports.hold(session, ports.LeakHold(pool=self._pool, port=port, run_id=run_id, count=mine, since=self._clock()))
            return mine

    def promise(self, look: PortLook, vm: str, count: int, run_id: UUID) -> bool:
        """Promise *count* VFs of the port to the VM, if they are there besides what is promised to others; whether they are.

        A VF that the VM holds at the look is there for it: it is promised before it is taken off. A promise to the same VM on the same
        port is replaced, whichever run gave it.
        """
        with self._store.write() as session:
            promised = promises.on(session, self._pool, look.port)
            promised.pop(vm, None)
            if count > look.remaining + _held(look, vm) - _outstanding(look, promised):
                return False
            row = promises.Promise(pool=self._pool, port=look.port, vm=vm, count=count, run_id=run_id, since=self._clock())
            promises.put(session, row)
            return True

    def promised_to(self, vm: str) -> Mapping[str, int]:
        """What is promised to the VM: port uuid to number of VFs."""
        with self._store.read() as session:
            return promises.to(session, self._pool, vm)

    def keep(self, vm: str) -> None:
        """What was promised to the VM is promised no more."""
        if not self.promised_to(vm):
            return
        with self._store.write() as session:
            promises.remove(session, self._pool, vm)

    def _account(self, session: Session, row: ports.PortRow | None, look: PortLook) -> PortAccount:
        """What the rows say; the total of a port that is not known, or known from another epoch only, counts for nothing."""
        total = row.total if row is not None and row.epoch == look.epoch else 0
        promised = _outstanding(look, promises.on(session, self._pool, look.port))
        leaked = ports.leaked(session, self._pool, look.port)
        most, changed = ((row.most or 0), (row.changed or "")) if row is not None else (0, "")
        return PortAccount(total=total, leaked=leaked, promised=promised, most=most, changed=changed)


def _held(look: PortLook, vm: str) -> int:
    """How many VFs of the port the VM holds at the look."""
    return sum(user.vm == vm for user in look.users)


def _outstanding(look: PortLook, promised: Mapping[str, int]) -> int:
    """How many of the port's free VFs are promised: what a VM holds already of its promise is not free, and is not counted twice."""
    return sum(max(0, count - _held(look, vm)) for vm, count in promised.items())


def _learned(row: ports.PortRow | None, look: PortLook, pool: str) -> ports.PortRow | None:
    """The port's row after the look; the same object when the look teaches nothing."""
    if look.in_flight or not look.attached:
        return row
    known = row.total if row is not None and row.epoch == look.epoch else 0
    total = max(known, look.remaining + len(look.users))
    if look.records is not None:
        total = look.records if look.mode == "sysfs" else min(total, look.records)
    most, changed = max(total, (row.most or row.total) if row else 0), _changed(row, look)
    here: dict[str, Any] = {
        "name": look.name,
        "epoch": look.epoch,
        "total": total,
        "most": most,
        "addresses": list(look.addresses),
        "changed": changed,
    }
    if row is not None and all(getattr(row, name) == value for name, value in here.items()):
        return row
    return ports.PortRow(pool=pool, port=look.port, updated_at=look.at, **here)


def _changed(row: ports.PortRow | None, look: PortLook) -> str:
    """What people should know of the port's last epoch: that it had another name, or that its VFs have other addresses since."""
    if row is None:
        return ""
    if (row.epoch, row.name) == (look.epoch, look.name):
        return row.changed or ""
    said = [f"it was called {row.name} before"] if row.name != look.name else []
    before, now = row.addresses or [], list(look.addresses)
    if before and now and not set(before) & set(now):
        said.append(f"the PCI addresses of its VFs changed: they began at {before[0]}, and begin at {now[0]} now")
    return "; ".join(said)
