"""What the tests of backups by policy share: a stage with a policy, the request of a window, and how a backup ended."""

from datetime import timedelta
from uuid import UUID, uuid4

from plugins.values import WindowOpening
from state import backups as rows
from state.backups import Backup
from state.run import Run, Status
from tests.workflows import backups
from tests.workflows.backups import Stages
from tests.workflows.stage import Stage
from workflows import back_up
from workflows.objects import VM
from workflows.outcome import Request
from workflows.policies import BackupPlan, Backups
from workflows.policy import BackupPolicy, Policy

MODES = ("online", "offline", "failover")
HOURS = timedelta(hours=2)


def staged(stages: Stages, mode: str = "offline", backup: dict[str, object] | None = None, **fields: object) -> Stage:
    """A stage with a policy "nightly", its product, and one plugin that has every hook; *fields* are the policy's, *backup* [backup]'s."""
    plan = BackupPlan(**{"name": "nightly", "product": "nas", "mode": mode, "hooks": ("app",), **fields})  # type: ignore[arg-type]
    policy = BackupPolicy(**{"fallback_network": backups.ORDINARY, **(backup or {})})  # type: ignore[arg-type]
    return stages(policy=Policy(backup=policy, backups=Backups({"nightly": plan})), hosts=2, vms=2)


def request(stage: Stage, vm: VM | None = None, run_id: UUID | None = None) -> Request:
    """Back up the VM, by default the first one that holds a VF, as a window of two hours would have it."""
    opening = WindowOpening(uuid4(), "night", "lab", stage.now, stage.now + HOURS)
    return back_up.request(vm or stage.with_vf(), stage.policy.backups.policies["nightly"], opening, run_id or uuid4())


def ended(stage: Stage, wanted: Request) -> Run:
    """The run of the request, once it and all that followed have ended."""
    run_id = stage.submit(wanted)
    stage.finish_all()
    return stage.at(run_id)


def at_work(stage: Stage, step: str) -> Run:
    """A run that waits at this step, its children having gone as far as they could."""
    run_id = stage.submit(request(stage))
    for _ in range(200):
        if stage.at(run_id).step == step and stage.at(run_id).status is Status.WAITING:
            return stage.at(run_id)
        for run in stage.runs():
            if run.due_at is not None:
                stage.settle(run.id)
        due = [run.due_at for run in stage.runs() if run.due_at is not None]
        stage.now = max(stage.now, min(due))
    raise AssertionError(f"it never waits at {step}: {stage.story(run_id)}")


def line(stage: Stage, run: Run) -> Backup:
    """The line of the catalogue, which must be the only one."""
    with stage.store.read() as session:
        found = rows.since(session, stage.now - timedelta(days=30))
    assert [one.id for one in found] == [run.id]
    return found[0]


def saved(stage: Stage, run: Run) -> None:
    """The VM is saved, and nothing of ours is left in the pool or in our rows."""
    assert run.status is Status.DONE, stage.story(run.id)
    assert line(stage, run).status == "saved", line(stage, run).reason
    assert stage.complaints() == []
