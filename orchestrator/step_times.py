"""The workflows with a watch on each of their steps: how long it is at work, its waiting left out."""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from workflows.outcome import Outcome
from workflows.workflow import Action, Data, Step, Workflow
from workflows.world import World

Observe = Callable[[str, str, str, float], None]
"""Is told workflow, step, "forward" or "undo", and seconds: after each time that the step was at work, whatever came of it."""


def timed(workflows: Mapping[str, Workflow], observe: Observe) -> dict[str, Workflow]:
    """The same workflows, their steps timed."""
    return {
        name: replace(workflow, steps=tuple(_timed(name, step, observe) for step in workflow.steps)) for name, workflow in workflows.items()
    }


def _timed(workflow: str, step: Step, observe: Observe) -> Step:
    undo = step.undo and _watched(step.undo, functools.partial(observe, workflow, step.name, "undo"))
    return replace(step, action=_watched(step.action, functools.partial(observe, workflow, step.name, "forward")), undo=undo)


def _watched(action: Action, observe: Callable[[float], None]) -> Action:
    @functools.wraps(action)
    def act(world: World, data: Data) -> Outcome:
        began = time.perf_counter()
        try:
            return action(world, data)
        finally:
            observe(time.perf_counter() - began)

    return act
