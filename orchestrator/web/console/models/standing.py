"""How a run stands on its workflow's table: of each step and each undo what became of it, since when, and why. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from state.run import ACTIVE, Phase, Run, Status
from workflows.outcome import wake_on_approval
from workflows.release_backup import NAME as HOLDING
from workflows.workflow import Workflow

Entry = Mapping[str, Any]
AGAIN = "tried again by "  # `state.runs.retry`


@dataclass(frozen=True, slots=True)
class Place:
    """A step, or an undo. *state*: a word for programs, *words*: for people. *at*: when it came to that; *took*: how long that was."""

    state: str
    words: str
    at: datetime | None = None
    took: timedelta | None = None
    why: str = ""


LATER = Place("later", "not reached")
NONE = Place("idle", "")


def awaits_approval(run: Run) -> bool:
    """Whether it waits for a person's consent. One that holds a snapshot waits for its product, which says so by itself."""
    asks = run.status is Status.WAITING and run.waits_on == wake_on_approval(run.id)
    return asks and run.workflow != HOLDING and not run.approved_by


def steps(run: Run, history: Sequence[Entry], workflow: Workflow) -> list[Place]:
    """Of each step, in its order."""
    here, failed = _position(run, workflow), _given_up(run, history, workflow)
    took = _took(run, history)
    found = []
    for index, step in enumerate(workflow.steps):
        entry = _last(history, step.name, ("done", "finish"))
        done = Place("done", "done", entry["at"] if entry is not None else None, took.get(step.name))
        if run.status is Status.DONE:
            found.append(done if here is None or index <= here else Place("skipped", "not needed"))
        elif failed is not None:
            position, why, at = failed
            found.append(done if index < position else Place("failed", "given up", at, why=why) if index == position else LATER)
        elif here is None or index > here:
            found.append(LATER)
        else:
            found.append(done if index < here else _here(run))
    return found


def undos(run: Run, history: Sequence[Entry], workflow: Workflow) -> list[Place]:
    """What undoes each step; of a step without an undo, and of a run that was not given up, nothing."""
    failed = _given_up(run, history, workflow)
    if failed is None or run.phase is not Phase.UNDO:
        return [NONE] * len(workflow.steps)
    since, here = _since(history), _position(run, workflow)
    found = []
    for index, step in enumerate(workflow.steps):
        entry = _last(since, step.name, ("undone", "undo failed"))
        if step.undo is None or index > failed[0]:
            found.append(NONE)
        elif run.status in ACTIVE and index == here:
            found.append(_here(run))
        elif run.status in ACTIVE and here is not None and index < here:
            found.append(Place("next", "to be undone"))
        elif entry is None:
            found.append(NONE)
        else:
            is_undone = entry["outcome"] == "undone"
            why = "" if is_undone else entry["message"]
            found.append(Place("undone" if is_undone else "failed", "undone" if is_undone else "failed", entry["at"], why=why))
    return found


def _here(run: Run) -> Place:
    """The step, or the undo, that the run is at."""
    since = run.step_began_at
    begun = " since" if since is not None else ""
    if run.status is Status.STUCK:
        return Place("stuck", "stuck", run.finished_at or run.updated_at, why=run.reason)
    if run.status is Status.READY:
        return Place("ready", "is next", since, why=run.reason)
    if run.status is Status.WAITING and run.attempt:
        return Place("again", "tries again", run.due_at, why=run.reason)
    if run.status is Status.WAITING:
        return Place("waits", "waits for approval" if awaits_approval(run) else f"waits{begun}", since, why=run.reason)
    return Place("now", f"at work{begun}", since)


def _position(run: Run, workflow: Workflow) -> int | None:
    return workflow.position(run.step) if run.step else None


def _given_up(run: Run, history: Sequence[Entry], workflow: Workflow) -> tuple[int, str, datetime] | None:
    """At which step, why and when, of a run that goes or went backwards."""
    if run.phase is not Phase.UNDO and run.status is not Status.REFUSED:
        return None
    entry = next((one for one in reversed(history) if one["outcome"] == "give up"), None)
    position = workflow.position(entry["step"]) if entry is not None else None
    if entry is None or position is None:
        return (_position(run, workflow) or 0, run.reason, run.updated_at)
    return position, entry["message"], entry["at"]


def _since(history: Sequence[Entry]) -> Sequence[Entry]:
    """What was recorded after the run was given up."""
    last = max((index for index, one in enumerate(history) if one["outcome"] == "give up"), default=-1)
    return history[last + 1 :]


def _last(history: Sequence[Entry], step: str, outcomes: Sequence[str]) -> Entry | None:
    return next((one for one in reversed(history) if one["step"] == step and one["outcome"] in outcomes), None)


def _took(run: Run, history: Sequence[Entry]) -> dict[str, timedelta]:
    """How long each step took that is done: since the one before it was, or since a person took the run up again."""
    before, found = run.created_at, {}
    for entry in history:
        if entry["outcome"] in ("done", "finish"):
            found[entry["step"]] = entry["at"] - before
        if entry["outcome"] in ("done", "finish", "undone", "stuck") or entry["message"].startswith(AGAIN):
            before = entry["at"]
    return found
