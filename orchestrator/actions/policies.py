"""Policies of backups: whom each means, pausing one, and saving its VMs now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from orchestrator import names
from orchestrator.actions import products
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.actions.place import Place
from orchestrator.bootstrap import PoolAccess
from orchestrator.config.load import Loaded
from orchestrator.plugged import Plugged
from orchestrator.services import Lines
from orchestrator.views import timeline
from orchestrator.views import windows as view
from plugins.errors import GiveUp, RetryLater
from plugins.values import BackupVM, WindowOpening
from state import audit, backups, runs
from state.audit import Act
from state.backups import Backup, Pause
from state.run import Run, Status
from state.store import Session, Store
from workflows import backup_modes, choosing, keep_window
from workflows.choosing import Chosen
from workflows.objects import VM
from workflows.outcome import Request
from workflows.plan import Plan
from workflows.policies import BackupPlan, Limits
from workflows.policy import Policy, of_run

WELL = ("saved", "skipped")
AMISS = ("failed", "refused", "missed")


def find(loaded: Loaded, policy: Policy, name: str) -> BackupPlan:
    """The policy of that name. Raises WrongInput."""
    there = policy.backups.policies
    if name not in there:
        raise WrongInput(f"policy {name!r}: {loaded.path} has no table [policies.{name}]; it has {', '.join(there) or 'none'}")
    return there[name]


def listed(at: Desk) -> list[dict[str, Any]]:
    """Every policy, and who paused it."""
    paused = _paused(at.store)
    return [view.policy(plan, paused.get(name)) for name, plan in at.policy.backups.policies.items()]


def shown(at: Desk, name: str) -> dict[str, Any]:
    """One policy, and under *meant* the VMs that it means now, the most overdue first. Raises WrongInput."""
    plan = find(at.loaded, at.policy, name)
    row = view.policy(plan, _paused(at.store).get(name))
    meant = [(access.name, _chosen(at, access, name, paused=True).candidates) for access in at.pools]
    return {**row, "meant": [line for place, found in meant for line in view.meant(place, found)]}


def pause(at: Desk, name: str) -> dict[str, Any]:
    """Begin nobody by it until it is resumed; how it stands then. Raises WrongInput."""
    find(at.loaded, at.policy, name)
    now = at.clock()
    return at.store.do(lambda session: set_paused(session, at.place, name, now=now))


def resume(at: Desk, name: str) -> dict[str, Any]:
    """Go on with one that was paused; how it stands then. Raises WrongInput."""
    now = at.clock()
    stood = at.store.do(lambda session: set_resumed(session, at.place, name, now=now))
    if stood is None:  # one that the configuration does not have any more may be resumed
        find(at.loaded, at.policy, name)
    return stood or stands(None, name)


def set_paused(session: Session, at: Place, name: str, *, now: datetime) -> dict[str, Any]:
    """As `pause`, in the transaction at hand, of a policy that there is. One that is paused already stays as it is."""
    backups.pause(session, name, by=at.by, now=now)
    audit.add(session, Act(at.by, at.how, "pause-policy", f"policy {name}"), now=now)
    return stands(backups.paused(session).get(name), name)


def set_resumed(session: Session, at: Place, name: str, *, now: datetime) -> dict[str, Any] | None:
    """As `resume`, in the transaction at hand; None when it was not paused."""
    if not backups.resume(session, name):
        return None
    audit.add(session, Act(at.by, at.how, "resume-policy", f"policy {name}"), now=now)
    return stands(None, name)


def stands(pause: Pause | None, name: str) -> dict[str, Any]:
    """Whether it is paused, by whom and since when."""
    return {"policy": name, "paused": pause is not None, "by": pause.by if pause else None, "at": pause.at if pause else None}


def run(at: Desk, name: str, vms: Sequence[str] = ()) -> Proposal:
    """Save its VMs now, or only these of them, by uuid or name: a run for each pool. Raises WrongInput, NotSo, `names.WrongName`."""
    plan = find(at.loaded, at.policy, name)
    if (paused := _paused(at.store).get(name)) is not None:
        raise NotSo(f"policy {name!r} is paused by {paused[0]} since {paused[1]:%Y-%m-%d %H:%M} UTC: `vfo policy resume {name}` first")
    only = _only(at, name, vms)

    def plans() -> list[Plan]:
        with products.plugged(at.loaded, at.store) as made:
            return [_plan(at, made, access, plan, only[access.name]) for access in at.pools if access.name in only]

    return Proposal([_request(at, place, plan, uuids) for place, uuids in only.items()], plans)


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of runs that saved VMs of a policy. *amiss*: the last line of each VM that is not well; *well*: whether all are."""

    amiss: Sequence[Backup]
    well: bool


def judge(store: Store, name: str, pools: Collection[str]) -> Judged:
    """Who was not saved by the latest run of the policy in each of these pools, and whether all that should be saved is."""
    with store.read() as session:
        ended = runs.listed(session, statuses=tuple(Status), limit=10_000)
    mine = {run.pool: run for run in reversed(ended) if run.subject == f"policy:{name}" and run.pool in pools}
    return judge_runs(store, name, mine)


def judge_runs(store: Store, name: str, mine: Mapping[str, Run]) -> Judged:
    """As `judge`, by these runs of the policy, one in each pool."""
    if not mine:
        return Judged((), well=True)
    with store.read() as session:
        began = min(run.created_at for run in mine.values())
        lines = [line for line in backups.since(session, began, policy=name) if line.pool in mine]
    last = {line.vm: line for line in lines}.values()
    well = not any(run.data.get(status, 0) for run in mine.values() for status in AMISS)
    return Judged([line for line in last if line.status not in WELL], well)


def _paused(store: Store) -> Mapping[str, tuple[str, datetime]]:
    with store.read() as session:
        return {name: (row.by, row.at) for name, row in backups.paused(session).items()}


def _chosen(at: Desk, access: PoolAccess, name: str, *, only: Sequence[str] = (), paused: bool = False) -> Chosen:
    """Whom the policy means; with *paused* also when it is."""
    lines = Lines(at.store, access.name)
    return choosing.choose(access.port, access.ledger, lines, at.policy, [name], only=only, also_paused=paused)


def _only(at: Desk, name: str, written: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The pools in which somebody is to be saved, each with the VMs to which it is narrowed."""
    meant = {access.name: [one.vm for one in _chosen(at, access, name).candidates] for access in at.pools}
    if not written:
        if not any(meant.values()):
            raise NotSo(f"policy {name!r} means no VM of {', '.join(meant)}: `vfo policy show {name}` says whom it asks for")
        return {place: () for place, vms in meant.items() if vms}
    found: dict[str, tuple[str, ...]] = {}
    for word in dict.fromkeys(written):
        port, one = names.vm(at.ports, word)
        if one.uuid not in meant[port.name]:
            text = f"policy {name!r} does not mean it: `vfo policy show {name}` lists whom it means"
            raise WrongInput(text, option="vm", value=word)
        found[port.name] = (*found.get(port.name, ()), one.uuid)
    return found


def _request(at: Desk, pool: str, plan: BackupPlan, only: Sequence[str]) -> Request:
    window = at.policy.backups.windows.get(plan.window)
    opening = WindowOpening(uuid4(), plan.name, pool, at.clock(), None)
    return keep_window.request(opening, [plan.name], limits=window.limits if window else Limits(), only=only, by=at.by)


def _plan(at: Desk, made: Plugged, access: PoolAccess, plan: BackupPlan, only: Sequence[str]) -> Plan:
    """Whom it would save, in which mode, and how long that takes by estimate."""
    vms = {vm.uuid: vm for vm in access.port.vms()}
    said = []
    for one in _chosen(at, access, plan.name, only=only).candidates:
        if one.vm in vms:
            mode = _mode(at, made, access.name, plan, vms[one.vm])
            last = f"last saved {one.saved_at:%Y-%m-%d %H:%M} UTC" if one.saved_at else "never saved"
            said.append(f"save {one.name} by {plan.product}, {mode}; {timeline.minutes(one.takes.total_seconds())}; {last}")
    return Plan(f"policy {plan.name}, pool {access.name}: {len(said)} VMs", tuple(said))


def _mode(at: Desk, made: Plugged, pool: str, plan: BackupPlan, vm: VM) -> str:
    """In which mode, and why; the product is asked what it needs of the VM, as the run will ask it."""
    asked = BackupVM(uuid4(), pool, vm.uuid, vm.name, plan.name, plan.product, plan.window, vm.power_state)
    try:
        needs = made.calls.needs(plan.product, asked) if plan.mode == backup_modes.AUTO else None
    except (GiveUp, RetryLater) as error:
        return f"but not now: {error}"
    data = {"policy": plan.name, **({"needs": needs.no_vf_during} if needs else {})}
    mode = backup_modes.choose(plan.mode, vm, of_run(at.policy, data).backup)
    return f"mode {mode.name}: {mode.why}"
