"""A workflow is a table of steps: this module holds the table's shape, checks it, and draws it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise, zip_longest
from typing import Any

from workflows.outcome import Outcome
from workflows.world import World

Data = dict[str, Any]
Action = Callable[[World, Data], Outcome]

PATIENCE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table.

    *action* looks, acts only where needed, and looks again: it may run twice. *undo* takes back what it did, backwards from the last
    step begun. *timeout* is the wall-clock time that the step may take, its waiting included, before the run gives up on it;
    None: it waits as long as it takes.

    *joined*: once done it is recorded together with the next step, which follows at once; a guest that is down waits for one commit less.
    Only for a step that notes nothing which a later one could not find again: a worker that dies meanwhile begins with this step again.
    The next one has no undo of its own, since the row does not say yet that it was begun. Where that hangs on the run's data a function of
    them says whether it is joined: then the next one must have nothing to undo.
    """

    action: Action
    undo: Action | None = None
    timeout: timedelta | None = PATIENCE
    joined: bool | Callable[[Data], bool] = False

    def is_joined(self, data: Data) -> bool:
        """Whether it is recorded together with the next step, by what it left in the run's *data*."""
        return self.joined(data) if callable(self.joined) else self.joined

    @property
    def name(self) -> str:
        """The name under which the step's result is recorded."""
        return self.action.__name__

    @property
    def summary(self) -> str:
        """What the step does: the first line of its docstring."""
        return (self.action.__doc__ or "").strip().splitlines()[0]


@dataclass(frozen=True, slots=True)
class Workflow:
    """A named table of steps; *summary* says in a line what the run is for."""

    name: str
    summary: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"workflow {self.name!r}: it needs steps, each with a name of its own, and has {names}")
        for step, following in zip_longest(self.steps, self.steps[1:]):
            if step.joined and (following is None or (following.undo and not callable(step.joined))):
                raise ValueError(f"workflow {self.name!r}: step {step.name} is joined to the next, which is to be there and have no undo")

    def position(self, step_name: str) -> int | None:
        """Where the step stands in the table; None when this version of the workflow has no such step."""
        return next((index for index, step in enumerate(self.steps) if step.name == step_name), None)


def mermaid(workflow: Workflow) -> str:
    """The workflow as a Mermaid state diagram: forward steps, what undoes them, and the four ends."""
    lines = ["stateDiagram-v2", f"    [*] --> {workflow.steps[0].name}"]
    lines += [f"    {first} --> {second}" for first, second in pairwise([*(step.name for step in workflow.steps), "done"])]
    lines += [f"    {step.name} --> {step.undo.__name__}: given up or cancelled" for step in workflow.steps if step.undo]
    undoing = [step.undo.__name__ for step in reversed(workflow.steps) if step.undo]
    lines += [f"    {first} --> {second}" for first, second in pairwise([*undoing, "undone"])]
    lines += [f"    {workflow.steps[0].name} --> refused: nothing was touched"]
    ends = ["done", "refused", *(["undone"] if undoing else []), "stuck"]
    lines += [f"    {workflow.steps[-1].name} --> stuck: a person is needed"]
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join(lines)
