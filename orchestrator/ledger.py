"""What we keep of a pool's VFs beside the pool's own truth, in rows; satisfies `workflows.accounts.Ledger`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from orchestrator import fence
from state import alone, inventory, ports, promises, runs
from state.clock import of_machine
from state.run import ACTIVE, Status
from state.store import Session, Store
from workflows.accounts import PortAccount
from workflows.ports import PortLook
from workflows.promised import taken_over

T = TypeVar("T")

EVERY = 1_000_000
PLACE = ("uuid", "device", "MAC", "network")


class PoolLedger:
    """The ledger of one pool. Every call is one transaction; a call that finds nothing to change writes nothing."""

    def __init__(self, store: Store, pool: str, clock: Callable[[], datetime] = of_machine) -> None:
        self._store = store
        self._pool = pool
        self._clock = clock

    def forget_vm(self, vm: str) -> tuple[str, ...]:
        """Remove what we keep of a VM that is gone; says what was removed, in words."""
        with self._store.read() as session:
            if inventory.get(session, self._pool, vm) is None and not promises.to(session, self._pool, vm):
                return ()

        def forget(session: Session) -> tuple[inventory.KnownVM | None, dict[str, int]]:
            found = inventory.get(session, self._pool, vm), promises.to(session, self._pool, vm)
            inventory.remove(session, self._pool, [vm])
            promises.remove(session, self._pool, vm)
            return found

        known, promised = self._do(forget)
        words = [f"VIF {vif.get('device', '?')} ({vif.get('MAC', '?')}) of VM {known.name}" for vif in known.vifs] if known else []
        words += [f"VM {known.name}"] if known and not words else []
        words += [f"the promise of {sum(promised.values())} VFs to VM {known.name if known else vm}"] if promised else []
        return tuple(words)

    def homes(self, vm: str) -> tuple[dict[str, Any], ...]:
        """The VIFs that the VM was last seen to have on SR-IOV networks, as notes ("uuid", "device", "MAC", "network", what was set)."""
        with self._store.read() as session:
            known = inventory.get(session, self._pool, vm)
        vifs = known.vifs if known else []
        return tuple({**(vif.get("settings") or {}), **{name: vif[name] for name in PLACE}} for vif in vifs if vif.get("network"))

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

        def learn(session: Session) -> PortAccount:
            self._alone_at(session, look.port)
            row = ports.get(session, self._pool, look.port)
            after = _learned(row, look, self._pool)
            if after is not None and after is not row:
                ports.put(session, after)
            return self._account(session, after, look)

        return self._do(learn)

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
        self._do(lambda session: ports.let_go(session, self._pool, run_id))

    def hold_leaks(self, port: str, wanted: int, run_id: UUID) -> int:
        """Make *run_id* the holder of up to *wanted* leaked VFs that no other run of the port holds; 0 releases. How many it holds."""
        if not wanted:
            with self._store.read() as session:
                if not any(held.port == port and held.run_id == run_id for held in ports.leaks(session, self._pool)):
                    return 0

        def hold(session: Session) -> int:
            self._alone_at(session, port)
            others = ports.leaked(session, self._pool, port, besides=run_id)
            mine = max(0, wanted - others)
            ports.hold(session, ports.LeakHold(pool=self._pool, port=port, run_id=run_id, count=mine, since=self._clock()))
            return mine

        return self._do(hold)

    def promise(self, look: PortLook, vm: str, count: int, run_id: UUID) -> bool:
        """Promise *count* VFs of the port to the VM, if they are there besides what is promised to others; whether they are.

        A VF that the VM holds at the look, or that is reserved for it as it starts, is there for it: it is promised before it is taken off.
        What the run promised the VM of the port before is replaced; what other runs promised the VM is no less there for it.
        """

        def promise(session: Session) -> bool:
            self._alone_at(session, look.port)
            promised = promises.on(session, self._pool, look.port)
            promised.pop(vm, None)
            if count > look.remaining + look.taken_by(vm) - _outstanding(look, promised):
                return False
            row = promises.Promise(pool=self._pool, port=look.port, vm=vm, count=count, run_id=run_id, since=self._clock())
            promises.put(session, row)
            return True

        return self._do(promise)

    def promised_to(self, vm: str, by: UUID | None = None) -> Mapping[str, int]:
        """What is promised to the VM, by that run only if one is named: port uuid to number of VFs."""
        with self._store.read() as session:
            return promises.to(session, self._pool, vm, by=by)

    def keep(self, vm: str, by: UUID | None = None) -> None:
        """What was promised to the VM, by that run only if one is named, is promised no more."""
        if not self.promised_to(vm, by):
            return
        self._do(lambda session: promises.remove(session, self._pool, vm, by=by))

    def withdraw_orphans(self) -> tuple[str, ...]:
        """Withdraw what runs promised that have ended since, and that no other run has taken over; what that was, in words.

        A stuck run keeps its promises. Where a person gives it up and its workflow undoes nothing they would be kept for nobody.
        """
        with self._store.read() as session:
            if not promises.of_pool(session, self._pool):
                return ()

        def withdraw(session: Session) -> list[promises.Promise]:
            # who is over is asked first: a run that takes over is there from the moment on at which the one before it ends
            over = [row for row in promises.of_pool(session, self._pool) if runs.is_over(session, row.run_id) is not False]
            alive = runs.listed(session, statuses=ACTIVE | {Status.STUCK}, pool=self._pool, limit=EVERY) if over else ()
            kept = {run_id for run in alive for run_id in taken_over(run.data)}
            return [row for row in over if str(row.run_id) not in kept and promises.withdraw(session, row)]

        withdrawn = self._do(withdraw)
        return tuple(f"{row.count} VFs of port {row.port} that run {row.run_id} promised to VM {row.vm}" for row in withdrawn)

    def _do(self, work: Callable[[Session], T]) -> T:
        """A transaction that counts only while the run that wants it is this thread's: what a paused worker still writes is old."""
        return self._store.do(fence.fenced(work))

    def _alone_at(self, session: Session, port: str) -> None:
        """What is counted of the port stays so until the transaction ends."""
        alone.at(session, f"port {port} of {self._pool}")

    def _account(self, session: Session, row: ports.PortRow | None, look: PortLook) -> PortAccount:
        """What the rows say; the total of a port that is not known, or known from another epoch only, counts for nothing."""
        total = row.total if row is not None and row.epoch == look.epoch else 0
        promised = _outstanding(look, promises.on(session, self._pool, look.port))
        leaked = ports.leaked(session, self._pool, look.port)
        most, changed = ((row.most or 0), (row.changed or "")) if row is not None else (0, "")
        return PortAccount(total=total, leaked=leaked, promised=promised, most=most, changed=changed)


def _outstanding(look: PortLook, promised: Mapping[str, int]) -> int:
    """How many of the port's free VFs are promised: what a VM has already of its promise is not free, and is not counted twice."""
    return sum(max(0, count - look.taken_by(vm)) for vm, count in promised.items())


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
