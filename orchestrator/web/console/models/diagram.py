"""The picture of a workflow, with a run on it: its steps downwards, what undoes them upwards beside them, and its ends. Pure.

Widths are shares of the room that there is and heights are pixels, so that letters are as large on a phone as on a desk.
"""

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from orchestrator.web.console.models import standing
from orchestrator.web.console.models.spoken import spoken
from orchestrator.web.console.models.standing import Place
from state.run import Run, Status
from workflows.workflow import Workflow

PILL, GAP, LINE = 30, 18, 14
TWO_LINES, ONE_LINE = 42, 28
WORTH_SAYING = timedelta(seconds=0.1)
LETTERS, LETTERS_OF_UNDO, LINES = 23, 16, 4
MARKS = {
    "done": "✓", "now": "▶", "waits": "‖", "again": "↻", "ready": "▷", "stuck": "!", "failed": "✕", "undone": "↩", "next": "…",
    "skipped": "-",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """A step or an undo, from *y* on. *mark*: a sign of its state beside the colour; *lines*: why it stands so."""

    name: str
    summary: str
    mark: str
    place: Place
    took: str
    lines: tuple[str, ...]
    y: int
    height: int

    @property
    def middle(self) -> int:
        """Where lines to its side end."""
        return self.y + self.height // 2


@dataclass(frozen=True, slots=True)
class End:
    """Where a run begins or ends. *is_here*: this one did."""

    text: str
    y: int
    is_here: bool
    tone: str = ""
    at: datetime | None = None

    @property
    def middle(self) -> int:
        """Where lines to its side end."""
        return self.y + PILL // 2


@dataclass(frozen=True, slots=True)
class Arrow:
    """Straight down or up, from one height to another. *is_gone*: the run went that way."""

    begins: int
    ends: int
    is_gone: bool


@dataclass(frozen=True, slots=True)
class Diagram:
    """*branches*: pairs of a step and its undo; *up*: the way of the undos. *said*: all of it in words."""

    height: int
    title: str
    said: str
    start: End
    refused: End
    undone: End | None
    done: End
    stuck: End
    steps: tuple[Box, ...]
    undos: tuple[Box, ...]
    branches: tuple[tuple[Box, Box], ...]
    down: tuple[Arrow, ...]
    up: tuple[Arrow, ...]


def drawn(run: Run, history: Sequence[Mapping[str, Any]], workflow: Workflow) -> Diagram:
    """The workflow with this run on it."""
    forward, backward = standing.steps(run, history, workflow), standing.undos(run, history, workflow)
    undone = End("undone", PILL + GAP // 2, run.status is Status.UNDONE, "warn", run.finished_at)
    has_undos = any(step.undo for step in workflow.steps)
    y = PILL + GAP + (undone.y if has_undos else 0)
    steps, branches = list[Box](), list[tuple[Box, Box]]()
    for step, place, undo in zip(workflow.steps, forward, backward, strict=True):
        box = _box(step.name, step.summary, place, y, LETTERS, str(len(steps) + 1))
        height = box.height
        if step.undo is not None:
            shorter = dataclasses.replace(undo, words=undo.words.removesuffix(" since"))
            back = _box(step.undo.__name__, "", shorter, y, LETTERS_OF_UNDO, "")
            branches.append((box, back))
            height = max(height, back.height)
        steps.append(box)
        y += height + GAP
    undos = tuple(back for _, back in branches)
    start = End("start", 0, is_here=True, at=run.created_at)
    done = End("done", y, run.status is Status.DONE, "good", run.finished_at)
    return Diagram(
        height=y + PILL + 2,
        title=f"{workflow.name} of {run.title}",
        said=_said(run, steps, undos),
        start=start,
        refused=End("refused", 0, run.status is Status.REFUSED, "warn", run.finished_at),
        undone=undone if has_undos else None,
        done=done,
        stuck=End("stuck" if run.status is Status.STUCK else "from anywhere: stuck", y, run.status is Status.STUCK, "bad"),
        steps=tuple(steps),
        undos=undos,
        branches=tuple(branches),
        down=_down(start, steps, done),
        up=_up(undone, undos),
    )


def blank(workflow: Workflow) -> Diagram:
    """The workflow alone."""
    never = datetime.min.replace(tzinfo=UTC)
    nobody = Run(workflow=workflow.name, pool="", subject="", title="", created_at=never, updated_at=never)
    made = drawn(nobody, (), workflow)
    said = " ".join(f"Step {number}, {box.name}: {box.summary}" for number, box in enumerate(made.steps, 1))
    plain = tuple(dataclasses.replace(box, place=Place("plain", "")) for box in made.steps)
    start = dataclasses.replace(made.start, at=None)
    return dataclasses.replace(made, title=f"{workflow.name}: {workflow.summary}", said=said, start=start, steps=plain)


def _box(name: str, summary: str, place: Place, y: int, letters: int, number: str) -> Box:
    lines = tuple(textwrap.wrap(place.why, letters, max_lines=LINES, placeholder=" …")) if place.why else ()
    height = (TWO_LINES if place.words and place.state != "later" else ONE_LINE) + LINE * len(lines)
    took = spoken(place.took) if place.took is not None and place.took >= WORTH_SAYING else ""
    return Box(name, summary, MARKS.get(place.state, number), place, took, lines, y, height)


def _down(start: End, steps: Sequence[Box], done: End) -> tuple[Arrow, ...]:
    arrows = [Arrow(start.y + PILL, steps[0].y, steps[0].place.state != "later")]
    for above, below in pairwise(steps):
        arrows.append(Arrow(above.y + above.height, below.y, below.place.state not in ("later", "skipped")))
    return (*arrows, Arrow(steps[-1].y + steps[-1].height, done.y, done.is_here and steps[-1].place.state == "done"))


def _up(undone: End, undos: Sequence[Box]) -> tuple[Arrow, ...]:
    if not undos:
        return ()
    arrows = [Arrow(undos[0].y, undone.y + PILL, undone.is_here)]
    for above, below in pairwise(undos):
        is_gone = below.place.state != "idle" and above.place.state not in ("idle", "next")
        arrows.append(Arrow(below.y, above.y + above.height, is_gone))
    return tuple(arrows)


def _said(run: Run, steps: Sequence[Box], undos: Sequence[Box]) -> str:
    """The picture for who does not see it: the list of the steps says more of each."""
    said = [f"The run is {run.status.value}."]
    for number, box in enumerate(steps, 1):
        said.append(f"Step {number}, {box.name}: {box.place.words}{f', {box.place.why}' if box.place.why else ''}.")
    said += [f"Undo {box.name}: {box.place.words}." for box in undos if box.place.words]
    return " ".join(said)
