"""What the tests of backups share: a stage with their policy, the requests, and what somebody else does in the middle."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from state.run import Run, Status
from tests.workflows.stage import Stage
from workflows import prepare
from workflows.objects import VM
from workflows.outcome import Outcome, Request
from workflows.policy import BackupPolicy, Policy
from workflows.prepare import PREPARE
from workflows.put_right import PUT_RIGHT
from workflows.release_backup import RELEASE
from workflows.workflow import Data, Workflow
from workflows.world import World

Stages = Callable[..., Stage]
ORDINARY = "Pool-wide network associated with eth0"
FLOWS = (PREPARE, RELEASE, PUT_RIGHT)


def staged(stages: Stages, policy: dict[str, Any] | None = None, **fields: Any) -> Stage:
    """A stage with this policy of backups; an ordinary network is there to fall back on."""
    backup = BackupPolicy(**{"fallback_network": ORDINARY, **(policy or {})})
    return stages(policy=Policy(backup=backup), **{"hosts": 2, "vms": 2, **fields})


def request(stage: Stage, mode: str = "offline", vm: VM | None = None, retention: timedelta = timedelta()) -> Request:
    """Prepare the VM, by default the first one that holds a VF; held for 12 hours."""
    return prepare.request("lab", vm or stage.with_vf(), mode=mode, hold=timedelta(hours=12), retention=retention)


def meanwhile(stage: Stage, flow: str, step: str, act: Callable[[World, Data], object]) -> None:
    """Somebody does something in the pool right before the step acts for the first time."""
    done: list[object] = []

    def wrapped(action: Callable[[World, Data], Outcome]) -> Callable[[World, Data], Outcome]:
        def interfered(world: World, data: Data) -> Outcome:
            if not done:
                done.append(True)
                act(world, data)
            return action(world, data)

        interfered.__name__, interfered.__doc__ = action.__name__, action.__doc__
        return interfered

    table: Workflow = stage.workflows[flow]
    steps = [dataclasses.replace(one, action=wrapped(one.action)) if one.name == step else one for one in table.steps]
    stage.workflows[flow] = dataclasses.replace(table, steps=tuple(steps))


def ended(stage: Stage, run: Run, status: Status = Status.DONE) -> Run:
    """The run, which must have ended so, once all that followed it has ended as well."""
    stage.finish_all()
    assert run.status is status, "\n".join(stage.story(run.id))
    return run


def snapshots(stage: Stage) -> set[str]:
    """The names of all snapshots in the pool."""
    return {row["name_label"] for row in stage.look().records["VM"].values() if row["is_a_snapshot"]}


def until_at_work(stage: Stage, run_id: UUID, step: str) -> None:
    """Turn the run until it waits for a task of the pool at the step."""
    for _ in range(200):
        run = stage.at(run_id)
        waits = (run.waits_on or "").startswith("task:")
        if waits and run.step == step:
            return
        if waits:
            stage._await_task(run)
        stage.turn(run_id)
    raise AssertionError(f"it never waits at {step}: {stage.story(run_id)}")
