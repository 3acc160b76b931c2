"""The one way in which steps do something that takes long."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from plugins.errors import RetryLater
from workflows.outcome import Wait, wake_on_task
from workflows.ports import Refused
from workflows.tasks import Failed, Pending, Succeeded, TaskOutcome, Vanished, carried_out, over, tidied
from workflows.world import World

BEGUN = {"task:start": "task-1"}


@dataclass
class Scene:
    """A pool with one task that stands so, and an object that is so or not; what was asked of them in order."""

    state: TaskOutcome | None = None
    so: list[bool] = field(default_factory=lambda: [False])
    name: str = "lab"
    asked: list[str] = field(default_factory=list)

    @property
    def pool(self) -> "Scene":
        return self

    def task(self, ref: str) -> TaskOutcome:
        self.asked.append(f"task {ref}")
        assert self.state is not None
        return self.state

    def begin(self) -> str:
        self.asked.append("begin")
        return f"task-{self.asked.count('begin') + 1}"

    def is_so(self) -> bool:
        self.asked.append("look")
        return self.so.pop(0) if len(self.so) > 1 else self.so[0]

    def carry_out(self, data: dict[str, Any]) -> Wait | None:
        return carried_out(cast("World", self), data, "start", self.begin, self.is_so)


def test_what_is_so_already_is_not_begun() -> None:
    """A look is all it costs."""
    scene, data = Scene(so=[True]), {}
    assert scene.carry_out(data) is None
    assert (scene.asked, data) == (["look"], {})


def test_what_is_not_so_is_begun_and_waited_for() -> None:
    """The task is noted, and its end wakes the run."""
    scene, data = Scene(), {}
    waiting = scene.carry_out(data)
    assert isinstance(waiting, Wait)
    assert (waiting.on, data) == (wake_on_task("lab", "task-2"), {"task:start": "task-2"})


@pytest.mark.parametrize("so", [True, False])
def test_what_is_at_work_is_waited_for_even_if_it_looks_so(so: bool) -> None:
    """A snapshot shows before all its disks are in it: the object is not looked at while its task works."""
    scene, data = Scene(Pending(0.5), [so]), dict(BEGUN)
    waiting = scene.carry_out(data)
    assert isinstance(waiting, Wait)
    assert (waiting.on, scene.asked, data) == (wake_on_task("lab", "task-1"), ["task task-1"], BEGUN)


@pytest.mark.parametrize("state", [Succeeded(""), Failed(Refused("VM_BAD_POWER_STATE")), Vanished()])
def test_what_is_so_when_its_task_has_ended_is_done(state: TaskOutcome) -> None:
    """However that ended: the object is judged. Asking an ended task takes it out of the pool."""
    scene, data = Scene(state, [True]), dict(BEGUN)
    assert scene.carry_out(data) is None
    assert (scene.asked, data) == (["task task-1", "look"], {})


def test_a_look_from_before_the_task_was_asked_does_not_decide() -> None:
    """The step may hand over what it has just seen: it is looked at again before the task's end is held against the object."""
    scene, data = Scene(Failed(Refused("VM_BAD_POWER_STATE")), [False, True]), dict(BEGUN)
    assert scene.carry_out(data) is None
    assert scene.asked == ["task task-1", "look", "look"]


def test_a_task_that_failed_raises_its_error() -> None:
    """It is not begun again by itself."""
    scene, data = Scene(Failed(Refused("OPERATION_BLOCKED"))), dict(BEGUN)
    with pytest.raises(Refused, match="OPERATION_BLOCKED"):
        scene.carry_out(data)
    assert ("begin" in scene.asked, data) == (False, {})


def test_a_task_that_succeeded_without_effect_is_tried_again_later() -> None:
    """The object may have been changed back by somebody."""
    scene, data = Scene(Succeeded("")), dict(BEGUN)
    with pytest.raises(RetryLater, match="not so yet"):
        scene.carry_out(data)
    assert "begin" not in scene.asked


def test_a_task_that_is_gone_says_nothing_so_it_is_begun_again() -> None:
    """A restart of the toolstack forgot it, with its work undone (story 48)."""
    scene, data = Scene(Vanished()), dict(BEGUN)
    waiting = scene.carry_out(data)
    assert isinstance(waiting, Wait)
    assert ("again" in waiting.message, data) == (True, {"task:start": "task-2"})


def test_the_task_of_what_was_seen_to_be_so_leaves_the_pool_when_there_is_time_for_it() -> None:
    """Not at once, and once; without a task nothing is asked."""
    scene, data = Scene(Succeeded("")), dict[str, Any](BEGUN)
    for _ in range(2):
        over(data, "start")
    assert (scene.asked, data) == ([], {"tasks_over": ["task-1"]})
    for _ in range(2):
        tidied(cast("World", scene), data)
    assert (scene.asked, data) == (["task task-1"], {})
