"""Making VMs ready for a backup product, and saying that it is done with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator import names
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.actions.place import Place
from orchestrator.config import durations
from state import audit, runs
from state.audit import Act
from state.run import ACTIVE, Run, Status
from state.store import Session
from workflows import backup_plans, release_plans
from workflows import prepare as preparing
from workflows import release_backup as releasing
from workflows.backup_modes import AUTO
from workflows.plan import Plan


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: VMs by uuid or by name; *hold* and *keep* are durations ("12h"), None: as the configuration says."""

    vms: Sequence[str]
    mode: str = AUTO
    hold: str | None = None
    keep: str | None = None


def prepare(at: Desk, wanted: Wanted) -> Proposal:
    """A run for each VM. Raises WrongInput, `names.WrongName`."""
    settings = at.loaded.settings.backup
    hold = _duration("hold", wanted.hold, settings.hold)
    keep = _duration("keep", wanted.keep, settings.retention)
    found = [names.vm(at.ports, written) for written in dict.fromkeys(wanted.vms)]
    asked = [(port, vm, preparing.request(port.name, vm, mode=wanted.mode, hold=hold, retention=keep)) for port, vm in found]

    def plans() -> list[Plan]:
        return [backup_plans.of_preparing(port, at.policy.backup, request, vm) for port, vm, request in asked]

    return Proposal([request for _, _, request in asked], plans)


def held(at: Desk, vms: Sequence[str]) -> list[Run]:
    """The runs that hold snapshots of these VMs, which may be gone or renamed by now. Raises WrongInput, NotSo, `names.WrongName`."""
    return [run for written in dict.fromkeys(vms) for run in _held(at, written)]


def plan(run: Run) -> Plan:
    """What a run that holds a snapshot does once it is released."""
    return release_plans.of_held(f"{run.workflow} of {run.title} (run {run.id})", run.data)


def release(at: Desk, held_by: Sequence[Run]) -> None:
    """The product is done with them. Raises NotSo."""
    for run in held_by:
        at.store.do(lambda session, run=run: let_go(session, at.place, run, now=at.clock()))  # type: ignore[misc]


def let_go(session: Session, at: Place, run: Run, *, now: datetime) -> Run:
    """As `release` for one, in the transaction at hand. Raises NotSo."""
    try:
        released = runs.approve(session, run.id, now=now, by=at.by)
    except runs.Impossible as error:
        raise NotSo(f"run {run.id}: {error}") from None
    audit.add(session, Act(at.by, at.how, "backup-release", run.title, details={"run": str(run.id), "pool": run.pool}), now=now)
    return released


def is_over_for_the_product(run: Run) -> bool:
    """Whether all that is left is to keep the snapshot for its retention."""
    return bool(run.step == "retain" and run.reason)


def _duration(option: str, written: str | None, default: timedelta) -> timedelta:
    try:
        return default if written is None else durations.parse(written)
    except ValueError as error:
        raise WrongInput(str(error), option=option, value=written) from None


def _held(at: Desk, written: str) -> list[Run]:
    """The rows are asked before the pool."""
    active = [run for access in at.pools for run in _active(at, access.name)]
    found = [run for run in active if written in (run.data["vm"], run.data["vm_name"])]
    if not found:
        uuid = names.vm(at.ports, written)[1].uuid
        found = [run for run in active if run.data["vm"] == uuid]
    which = {run.data["vm"]: run.pool for run in found}
    if len(which) > 1:
        said = ", ".join(f"{uuid} (pool {name})" for uuid, name in which.items())
        raise WrongInput(f"VM {written!r}: {len(which)} fit: {said}: write the uuid of the one that is meant")
    stuck = next((run for run in found if run.status is Status.STUCK), None)
    if stuck is not None:
        raise NotSo(f"VM {written!r}: run {stuck.id} ({stuck.workflow}) is stuck: {stuck.reason}; next: {stuck.next_command}")
    holding = [run for run in found if run.workflow == releasing.NAME]
    if holding:
        return holding
    if found:
        raise NotSo(f"VM {written!r} is being prepared: `vfo run {found[0].id} cancel` gives that up")
    raise NotSo(f"VM {written!r}: nothing of it is held for a backup")


def _active(at: Desk, pool: str) -> list[Run]:
    with at.store.read() as session:
        listed = runs.listed(session, statuses=ACTIVE | {Status.STUCK}, pool=pool, limit=1_000_000)
    return [run for run in listed if run.workflow in (preparing.NAME, releasing.NAME)]
