"""Policies of backups: whom each means, writing one, pausing one, and saving its VMs now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from orchestrator import names
from orchestrator.actions import products, windows, writing
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.actions.place import Place
from orchestrator.bootstrap import PoolAccess
from orchestrator.config.load import Loaded
from orchestrator.plugged import Plugged
from orchestrator.services import Lines
from orchestrator.views import timeline
from orchestrator.views import windows as view
from orchestrator.xapi.glance import Glance
from plugins.errors import GiveUp, RetryLater
from plugins.values import BackupVM, WindowOpening
from state import audit, backups, runs
from state.audit import Act
from state.backups import Backup, Pause
from state.run import Run, Status
from state.store import Session, Store
from state.written import POLICY
from workflows import backup_modes, choosing, keep_window
from workflows.choosing import Chosen
from workflows.objects import VM
from workflows.outcome import Request
from workflows.plan import Plan
from workflows.policies import BackupPlan, Limits
from workflows.policy import Policy, of_run
from workflows.ports import PoolError

WELL = ("saved", "skipped")
AMISS = ("failed", "refused", "missed")


def find(loaded: Loaded, policy: Policy, name: str) -> BackupPlan:
    """The policy of that name. Raises WrongInput."""
    there = policy.backups.policies
    if name not in there:
        raise WrongInput(
            f"policy {name!r}: there is none of that name, in {loaded.path} or written; there are {', '.join(there) or 'none'}"
        )
    return there[name]


def listed(at: Desk) -> list[dict[str, Any]]:
    """Every policy, and who paused it."""
    paused = _paused(at.store)
    return [_row(at, plan, paused.get(name)) for name, plan in at.policy.backups.policies.items()]


def amiss(at: Desk) -> list[dict[str, Any]]:
    """The policies that somebody wrote and that do not hold, and why: they are never run."""
    return writing.amiss(at, POLICY)


def shown(at: Desk, name: str) -> dict[str, Any]:
    """One policy, its table, and under *meant* the VMs that it means now, the most overdue first. Raises WrongInput."""
    plan = find(at.loaded, at.policy, name)
    row = {**_row(at, plan, _paused(at.store).get(name)), "table": writing.table(at, POLICY, name)}
    meant = [(access.name, _chosen(at, access, name, paused=True).candidates) for access in at.pools]
    return {**row, "meant": [line for place, found in meant for line in view.meant(place, found)]}


def table(at: Desk, name: str) -> dict[str, Any]:
    """Its table, as it was written. Raises WrongInput."""
    find(at.loaded, at.policy, name)
    return writing.table(at, POLICY, name)


def write(at: Desk, name: str, table: Mapping[str, Any], *, revision: str | None = None) -> dict[str, Any]:
    """Write a new policy into the rows, or change the one of this *revision*. Raises WrongInput, Outdated."""
    now = at.clock()
    return at.store.do(lambda session: set_written(session, at, name, table, revision=revision, now=now))


def set_written(
    session: Session, at: Desk, name: str, table: Mapping[str, Any], *, revision: str | None = None, now: datetime
) -> dict[str, Any]:  # fmt: skip
    """As `write`, in the transaction at hand."""
    return writing.write(session, at, writing.prepared(POLICY, name, table), revision, now=now)


def remove(at: Desk, name: str, revision: str | None = None) -> dict[str, Any]:
    """Forget a policy that somebody wrote; who is at work for it goes on. *revision* None: whichever. Raises WrongInput, Outdated."""
    now = at.clock()
    return at.store.do(lambda session: set_removed(session, at, name, revision, now=now))


def set_removed(session: Session, at: Desk, name: str, revision: str | None = None, *, now: datetime) -> dict[str, Any]:
    """As `remove`, in the transaction at hand."""
    return writing.remove(session, at, POLICY, name, revision, now=now)


def proposed(at: Desk, name: str, table: Mapping[str, Any], *, revision: str | None = None) -> dict[str, Any]:
    """What a policy would mean and do, and nothing is written. Raises as `write` does."""
    said = writing.prepared(POLICY, name, table)
    glances = [replace(access, port=Glance(access.client)) for access in at.pools]
    then = replace(at, known=writing.supposed(at.loaded, at.in_force, said), pools=glances)
    one, plan = writing.assert_current(at, said, revision), then.policy.backups.policies[name]
    meant, plans, unseen = list[dict[str, Any]](), list[Plan](), dict[str, str]()
    with products.plugged(at.loaded, at.store) as made:
        for access in glances:
            try:
                rows = _lines(then, made, access, plan, paused=True)
            except PoolError as error:
                unseen[access.name] = str(error)
                continue
            meant += rows
            plans.append(_in_words(plan, access.name, rows))
    seen = replace(then, pools=[access for access in glances if access.name not in unseen])
    return {
        **_row(then, plan, _paused(at.store).get(name)), "table": dict(said.table), "meant": meant, "plans": list(map(asdict, plans)),
        "unseen": unseen, **windows.prospect(seen, plan), "created": one is None, "changed": writing.changes(one, said.table),
    }  # fmt: skip


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
    return _in_words(plan, access.name, _lines(at, made, access, plan, only=only))


def _lines(
    at: Desk, made: Plugged, access: PoolAccess, plan: BackupPlan, *, only: Sequence[str] = (), paused: bool = False
) -> list[dict[str, Any]]:  # fmt: skip
    """The VMs that it would save, each with the mode ("": not now) and why."""
    vms = {vm.uuid: vm for vm in access.port.vms()}
    found = []
    for row in view.meant(access.name, _chosen(at, access, plan.name, only=only, paused=paused).candidates):
        if row["vm"] in vms:
            mode, why = _mode(at, made, access.name, plan, vms[row["vm"]])
            found.append({**row, "mode": mode, "why": why})
    return found


def _in_words(plan: BackupPlan, pool: str, rows: Sequence[Mapping[str, Any]]) -> Plan:
    said = []
    for row in rows:
        mode = f"mode {row['mode']}: {row['why']}" if row["mode"] else f"but not now: {row['why']}"
        last = f"last saved {row['saved_at']:%Y-%m-%d %H:%M} UTC" if row["saved_at"] else "never saved"
        said.append(f"save {row['name']} by {plan.product}, {mode}; {timeline.minutes(row['takes'])}; {last}")
    return Plan(f"policy {plan.name}, pool {pool}: {len(said)} VMs", tuple(said))


def _mode(at: Desk, made: Plugged, pool: str, plan: BackupPlan, vm: VM) -> tuple[str, str]:
    """In which mode, and why; the product is asked what it needs of the VM, as the run will ask it."""
    asked = BackupVM(uuid4(), pool, vm.uuid, vm.name, plan.name, plan.product, plan.window, vm.power_state)
    try:
        needs = made.calls.needs(plan.product, asked) if plan.mode == backup_modes.AUTO else None
    except (GiveUp, RetryLater) as error:
        return "", str(error)
    data = {"policy": plan.name, **({"needs": needs.no_vf_during} if needs else {})}
    mode = backup_modes.choose(plan.mode, vm, of_run(at.policy, data).backup)
    return mode.name, mode.why


def _row(at: Desk, plan: BackupPlan, paused: tuple[str, datetime] | None) -> dict[str, Any]:
    return {**view.policy(plan, paused), **writing.origin(at, POLICY, plan.name)}
