"""What happens in the rows, for people to be told of."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson

from plugins.values import WindowOpening
from state import backups, claims, leases, openings, runs
from state.backups import Backup
from state.claims import Change
from state.openings import Opening
from state.run import Phase, Run, Status
from state.store import Store
from workflows import keep_window
from workflows.outcome import Request, wake_on_approval
from workflows.policies import Limits


def run(store: Store, at: datetime, workflow: str = "assign-vf", subject: str = "vm:1") -> Run:
    """A run that a worker has."""
    with store.write() as session:
        made, _ = runs.create(session, Request(workflow, "lab", subject, "VM web", {}), now=at)
    return claimed(store, made.id, at)


def claimed(store: Store, run_id: UUID, at: datetime) -> Run:
    """A worker takes the run."""
    with store.write() as session:
        taken = claims.claim(session, run_id, now=at, lease=timedelta(minutes=1))
    assert taken is not None
    return taken


def ends(store: Store, taken: Run, at: datetime, status: Status = Status.STUCK, evidence: dict[str, Any] | None = None,
         reason: str = "the guest does not shut down") -> None:  # fmt: skip
    """It ends so."""
    change = Change(status, Phase.FORWARD, "shut_down", at, None, taken.data, reason=reason,
                    next_command=f"vfo run {taken.id} retry", evidence=evidence or {"seen": 1})  # fmt: skip
    with store.write() as session:
        assert claims.record(session, taken, change, None, now=at)


def retried(store: Store, run_id: UUID, at: datetime, by: str = "ann") -> Run:
    """Somebody tries it again, and a worker takes it."""
    with store.write() as session:
        runs.retry(session, run_id, now=at, by=by)
    return claimed(store, run_id, at)


def waits(store: Store, taken: Run, at: datetime, reason: str = "") -> None:
    """It waits for a person's word."""
    said = reason or f"xen2 must be rebooted. To approve: `vfo run {taken.id} approve`"
    change = Change(Status.WAITING, Phase.FORWARD, "reboot", at, at + timedelta(minutes=10), {},
                    waits_on=wake_on_approval(taken.id), reason=said)  # fmt: skip
    with store.write() as session:
        assert claims.record(session, taken, change, None, now=at)


def present(store: Store, at: datetime, *, heard: datetime | None = None, lasts: float = 35) -> None:
    """A process says what it is, in the place of what was said before: that it heard the pool then."""
    said = {"process": "here:1", "roles": ["listener", "worker"], "heard": {"lab": heard.isoformat()} if heard else {}, "lag": {}}
    with store.write() as session:
        row = session.get(leases.LeaseRow, "process:1")
        if row is not None:
            leases.release(session, leases.Lease(row.name, row.holder, row.epoch), now=at)
        assert leases.acquire(session, "process:1", orjson.dumps(said).decode(), now=at, duration=timedelta(seconds=lasts))


def window(store: Store, opens: datetime, at: datetime, **statuses: str) -> UUID:
    """The window "nightly" was kept, with these VMs; it ends now."""
    opening = WindowOpening(uuid4(), "nightly", "lab", opens, opens + timedelta(hours=8))
    with store.write() as session:
        made, _ = runs.create(session, keep_window.request(opening, ["gold"], limits=Limits()), now=opens)
        for name, status in statuses.items():
            backups.put(session, Backup(
                id=uuid4(), pool="lab", vm=name, vm_name=name, policy="gold", product="nas", window="nightly", opened_at=opens,
                status=status, reason="" if status == "saved" else "the disk is full", began_at=opens, ended_at=at, size=1 << 30,
            ))  # fmt: skip
    taken = claimed(store, made.id, at)
    with store.write() as session:
        assert claims.record(session, taken, Change(Status.DONE, Phase.FORWARD, "close_window", at, None, taken.data), None, now=at)
    return made.id


def skipped(store: Store, opens: datetime, at: datetime) -> None:
    """The window "nightly" opened while nobody was there."""
    with store.write() as session:
        openings.note(session, Opening(window="nightly", pool="lab", opens_at=opens, closes_at=opens + timedelta(hours=8),
                                       status="skipped: nobody was there when it opened", noted_at=at))  # fmt: skip
