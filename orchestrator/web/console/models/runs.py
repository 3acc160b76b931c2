"""Runs as they are shown: where each stands on its workflow's table, what a person may do to it, and all that happened. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.actions.verbs import Verb
from orchestrator.web.console.models import standing
from orchestrator.web.console.models.standing import Place
from state.run import ACTIVE, Phase, Run, Status
from state.runs import RETRIABLE
from workflows.workflow import Workflow

TONES = {
    Status.READY: "accent",
    Status.RUNNING: "accent",
    Status.WAITING: "plan",
    Status.DONE: "good",
    Status.REFUSED: "warn",
    Status.UNDONE: "warn",
    Status.STUCK: "bad",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A run in a list. *tone* is a colour's name, *done* and *steps* say how far it is; 0 of 0: its workflow is not known here."""

    id: str
    workflow: str
    title: str
    pool: str
    status: str
    tone: str
    step: str
    reason: str
    done: int
    steps: int
    updated_at: datetime
    next_command: str
    awaits_approval: bool


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step of the table, where it stands and where its undo does. *message*: the last that was said of it."""

    number: int
    name: str
    summary: str
    undo: str
    place: Place
    undone: Place
    message: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """One run with everything; *may*: what a person may ask of it now, by the word that it is asked with."""

    line: Line
    run: Mapping[str, Any]
    steps: tuple[StepLine, ...]
    may: tuple[str, ...]
    cancels: bool


def line(run: Run, workflow: Workflow | None) -> Line:
    """The run as a line."""
    steps = len(workflow.steps) if workflow else 0
    return Line(
        id=str(run.id),
        workflow=run.workflow,
        title=run.title,
        pool=run.pool,
        status=run.status.value,
        tone=TONES[run.status],
        step=run.step or "",
        reason=run.reason,
        done=steps if run.status is Status.DONE else _position(run, workflow),
        steps=steps,
        updated_at=run.updated_at,
        next_command=run.next_command,
        awaits_approval=standing.awaits_approval(run),
    )


def _position(run: Run, workflow: Workflow | None) -> int:
    return (workflow.position(run.step) or 0) if workflow and run.step else 0


def may(run: Run) -> tuple[str, ...]:
    """What may be asked of it: as `state.runs` would let it."""
    found = [Verb.APPROVE] if standing.awaits_approval(run) else []
    found += [Verb.RETRY] if run.status in RETRIABLE else []
    open_to_end = run.status in ACTIVE or run.status is Status.STUCK
    found += [Verb.CANCEL] if open_to_end and run.phase is Phase.FORWARD and not run.cancel_requested else []
    return tuple(found)


def shown(run: Run, detail: Mapping[str, Any], workflow: Workflow | None) -> Shown:
    """The run with its steps and history; *detail* is `views.runs.detail`."""
    return Shown(
        line=line(run, workflow),
        run=detail,
        steps=tuple(_steps(run, detail["history"], workflow)) if workflow else (),
        may=may(run),
        cancels=run.cancel_requested and run.status in ACTIVE,
    )


def _steps(run: Run, history: Sequence[Mapping[str, Any]], workflow: Workflow) -> list[StepLine]:
    last = {entry["step"]: entry["message"] for entry in history}
    places = zip(workflow.steps, standing.steps(run, history, workflow), standing.undos(run, history, workflow), strict=True)
    return [
        StepLine(number, step.name, step.summary, step.undo.__name__ if step.undo else "", place, undo, last.get(step.name, ""))
        for number, (step, place, undo) in enumerate(places, 1)
    ]
