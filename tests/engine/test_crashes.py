"""The process dies at every place of a workflow that notes, acts and undoes: the world ends up right, each thing done once."""

import pytest

from plugins.errors import GiveUp
from state.run import Status
from tests.engine import crashes
from tests.engine.machine import Machine, step, workflow
from workflows.outcome import DONE, Outcome, Wait
from workflows.workflow import Data, Workflow
from workflows.world import World


class Shelf:
    """A small world outside: boxes on a shelf, and how often each was moved; and the steps that move them."""

    def __init__(self, *, give_up: bool = False) -> None:
        self.boxes = {"one": "left", "two": "left"}
        self.moves: list[str] = []
        self.give_up = give_up

    def move(self, box: str, to: str) -> None:
        """Move a box that is elsewhere."""
        assert self.boxes[box] != to
        self.boxes[box] = to
        self.moves.append(f"{box} {to}")

    def note(self, _: World, data: Data) -> Outcome:
        """Before anything is touched: where the boxes are."""
        data["were"] = dict(self.boxes)
        return DONE

    def to_the_right(self, _: World, data: Data) -> Outcome:
        """Look, and move what is not there yet."""
        for box in data["were"]:
            if self.boxes[box] != "right":
                self.move(box, "right")
        return DONE

    def put_back(self, _: World, data: Data) -> Outcome:
        """Look, and move back what is not where the note says."""
        for box, where in data["were"].items():
            if self.boxes[box] != where:
                self.move(box, where)
        return DONE

    def settle(self, _: World, data: Data) -> Outcome:
        """Wait for the third look."""
        data["looks"] = data.get("looks", 0) + 1
        return DONE if data["looks"] > 2 else Wait(f"look {data['looks']}")

    def decide(self, _: World, __: Data) -> Outcome:
        """Give up, if that is what the test wants."""
        if self.give_up:
            raise GiveUp("wrong shelf")
        return DONE


def careful(shelf: Shelf) -> Workflow:
    """Note, record, then act: looks before each act, and puts back what the note says."""
    return workflow(
        step("note", shelf.note),
        step("act", shelf.to_the_right, undo=shelf.put_back),
        step("settle", shelf.settle),
        step("decide", shelf.decide, undo=lambda *_: DONE),
    )


FORWARD = crashes.of(careful(Shelf()))
BACK = [*FORWARD, *crashes.of_undo(careful(Shelf()))]


@pytest.mark.parametrize("crash", FORWARD, ids=str)
@pytest.mark.parametrize("times", [1, 3])
def test_a_crash_anywhere_on_the_way_changes_nothing(machine: Machine, crash: crashes.Crash, times: int) -> None:
    """The run is done, every box was moved exactly once, every step recorded exactly once."""
    shelf, deadly = Shelf(), crashes.Crash(crash.step, crash.when, times=times)
    run_id = machine.submit(*deadly.into(careful(shelf)).steps)
    run = crashes.survive(machine, run_id)
    assert deadly.deaths == times
    assert (run.status, shelf.boxes) == (Status.DONE, {"one": "right", "two": "right"})
    assert shelf.moves == ["one right", "two right"]
    assert [name for name, outcome in machine.story(run_id) if outcome == "done"] == ["note", "act", "settle", "decide"]


@pytest.mark.parametrize("crash", BACK, ids=str)
def test_a_crash_anywhere_on_the_way_back_changes_nothing(machine: Machine, crash: crashes.Crash) -> None:
    """The run is undone, and every box is where it was, having gone there and back once."""
    shelf, deadly = Shelf(give_up=True), crashes.Crash(crash.step, crash.when, undo=crash.undo)
    run_id = machine.submit(*deadly.into(careful(shelf)).steps)
    run = crashes.survive(machine, run_id)
    assert deadly.deaths == 1 or crash == crashes.Crash("decide", "after")
    assert (run.status, run.reason, shelf.boxes) == (Status.UNDONE, "wrong shelf", {"one": "left", "two": "left"})
    assert shelf.moves == ["one right", "two right", "one left", "two left"]


def test_the_helper_finds_a_careless_workflow(machine: Machine) -> None:
    """A step that notes and acts in one go loses its note in a crash between the two: the helper must see that."""
    shelf = Shelf()

    def note_and_act(_: World, data: Data) -> Outcome:
        data["were"] = {box: where for box, where in shelf.boxes.items() if where == "left"}
        for box in data["were"]:
            shelf.move(box, "right")
        return DONE

    careless = workflow(step("note_and_act", note_and_act))
    run = crashes.survive(machine, machine.submit(*crashes.Crash("note_and_act", "after").into(careless).steps))
    assert run.data["were"] == {}
