"""Putting every VM right that shows marks of ours, by those marks alone, without anybody else at work."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.actions import desk, recovery
from orchestrator.actions.desk import Desk
from orchestrator.actions.place import Place
from orchestrator.bootstrap import PoolAccess
from state import audit, runs
from state.audit import Act
from state.run import ACTIVE, Run, Status
from state.store import Session, Store
from workflows import bring_back, recovering, recovering_plans
from workflows.outcome import Request
from workflows.plan import Plan

OURS = ("prepare-backup", "release-backup", "put-right")


@dataclass(frozen=True, slots=True)
class Marks:
    """What is to be put right. *known*: runs of backups that are active or stuck; *wanted*: what no run is at."""

    known: Sequence[Run]
    wanted: Sequence[Request]


def look(at: Desk) -> Marks:
    """What the rows know and what the pools show."""
    known = [run for access in at.pools for run in _known(at.store, access.name)]
    wanted = [request for access in at.pools for request in _vms(at, access, known)]
    wanted += [request for access in at.pools for request in _hosts(at.store, access)]
    return Marks(known, wanted)


def plans(at: Desk, wanted: Sequence[Request]) -> list[tuple[Request, Plan]]:
    """What would be done for each."""
    now = at.clock()

    def planned(request: Request) -> Plan:
        there = at.access(request.pool)
        return recovering_plans.of_recovering(there.port, at.policy.backup, request, now, there.ledger.homes)

    return [(request, planned(request)) for request in wanted]


def work(at: Desk, marks: Marks) -> list[Run]:
    """Do all of it in this process, beside whoever else works; the runs, as they stand when nothing more is to be done now."""
    now = at.clock()
    ids = [run.id for run, _ in at.store.do(lambda session: take_up(session, at.place, marks, now=now))]
    done = recovery.work(at.loaded, at.store, at.pools, ids)
    following = {run.id for access in at.pools for run in _known(at.store, access.name)} - {run.id for run in done}
    if following:  # a snapshot that came to be meanwhile
        done += recovery.work(at.loaded, at.store, at.pools, list(following))
    return done


def take_up(session: Session, at: Place, marks: Marks, *, now: datetime) -> list[tuple[Run, bool]]:
    """All runs that it comes to, and whether each is new; those that are stuck are tried again. In the transaction at hand."""
    known: list[tuple[Run, bool]] = []
    for run in marks.known:
        try:
            stuck = run.status is Status.STUCK
            known.append((runs.retry(session, run.id, now=now, by=f"{at.by} (vfo recover)") if stuck else run, False))
        except runs.Impossible:  # somebody else has dealt with it meanwhile
            continue
    for run, _ in known:
        audit.add(session, Act(at.by, at.how, "recover", run.title, details={"run": str(run.id), "pool": run.pool}), now=now)
    there = {run.id for run, _ in known}
    return known + [(run, new) for run, new in desk.begin(session, at, marks.wanted, now=now) if run.id not in there]


def _known(store: Store, pool: str) -> list[Run]:
    return [run for run in _unfinished(store, pool) if run.workflow in OURS]


def _unfinished(store: Store, pool: str) -> Collection[Run]:
    with store.read() as session:
        return runs.listed(session, statuses=ACTIVE | {Status.STUCK}, pool=pool, limit=1_000_000)


def _vms(at: Desk, access: PoolAccess, known: Sequence[Run]) -> list[Request]:
    at_work = {run.data["vm"] for run in known if run.pool == access.name}
    return recovering.requests(access.name, access.port.marked(), at_work, at.clock())


def _hosts(store: Store, access: PoolAccess) -> list[Request]:
    """Hosts that a reboot left out of service; what a run that is active or stuck is at, it will see to itself."""
    at_work = {str(run.id) for run in _unfinished(store, access.name)}
    return bring_back.requests(access.name, access.port.hosts(), access.port.marked(), at_work)
