"""The picture of a workflow with a run on it."""

import html
from datetime import timedelta
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from orchestrator.web.console import alone
from orchestrator.web.console.models import diagram, standing
from orchestrator.web.console.models.diagram import Diagram
from orchestrator.web.console.models.spoken import spoken
from orchestrator.web.console.pages import Pages
from state import claims, history
from state.claims import Change
from state.run import Phase, Run, Status
from tests.console.conftest import HOSTILE
from tests.console.test_door import a_run as a_row
from tests.console.test_door import signed_in
from tests.console.test_models import NOW, a_run
from tests.web.conftest import NOON, Web
from workflows.assign import ASSIGN
from workflows.catalogue import WORKFLOWS
from workflows.outcome import wake_on_approval

UNDO = {"phase": Phase.UNDO}


def told(*entries: tuple[str, str] | tuple[str, str, str]) -> list[dict[str, Any]]:
    """A history: one entry a minute."""
    return [
        {"step": step, "outcome": outcome, "message": "".join(message), "at": NOW + timedelta(minutes=minute)}
        for minute, (step, outcome, *message) in enumerate(entries, 1)
    ]


GIVEN_UP = (("check", "done"), ("admit", "done"), ("await_moment", "done"), ("guard", "done"), ("secure", "give up", "no VF is free"))


def states(run: Run, *entries: Any) -> tuple[str, str]:
    """Of the first six steps and of what undoes them, a letter each."""
    shown = (standing.steps(run, told(*entries), ASSIGN), standing.undos(run, told(*entries), ASSIGN))
    forward, backward = ("".join(place.state[0] for place in places[:6]) for places in shown)
    return forward, backward


def test_a_run_that_is_undone_is_shown_on_its_way_back() -> None:
    """Where it was given up, what is undone, what is at work and what is to come; what was not begun has nothing to be undone."""
    at_work = a_run(status=Status.RUNNING, step="await_moment", **UNDO)
    assert states(at_work, *GIVEN_UP) == ("ddddfl", "inniii")
    later = a_run(status=Status.RUNNING, step="admit", **UNDO)
    assert states(later, *GIVEN_UP, ("await_moment", "undo failed", "away")) == ("ddddfl", "infiii")
    over = a_run(status=Status.UNDONE, step="admit", due_at=None, **UNDO)
    assert states(over, *GIVEN_UP, ("await_moment", "undone"), ("admit", "undone")) == ("ddddfl", "iuuiii")


def test_a_run_that_is_tried_again_is_shown_anew() -> None:
    """What became of it before is in its history alone."""
    again = a_run(status=Status.READY, step=None)
    assert states(again, *GIVEN_UP, ("admit", "undone"), ("", "retry", "tried again by ada")) == ("llllll", "iiiiii")


def test_a_step_that_is_not_over_says_what_it_waits_for() -> None:
    """For a moment, for a person, or for the next try."""
    waits = a_run(status=Status.WAITING, step="admit", reason="for room")
    waits.waits_on = wake_on_approval(waits.id)
    (_, place, *_) = standing.steps(waits, [], ASSIGN)
    assert (place.state, place.words, place.why) == ("waits", "waits for approval", "for room")
    (_, place, *_) = standing.steps(a_run(status=Status.WAITING, step="admit", attempt=2, reason="AWAY"), [], ASSIGN)
    assert (place.state, place.at) == ("again", NOW)


def picture(run: Run, name: str = "assign-vf", *entries: Any) -> tuple[Diagram, str]:
    drawn = diagram.drawn(run, told(*entries), WORKFLOWS[name])
    return drawn, Pages().draw("_diagram.html", diagram=drawn)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_can_be_drawn(name: str) -> None:
    """With a box for each step and each undo, none on another one; its names fit on a phone; it is said in words too."""
    drawn, svg = picture(a_run(workflow=name), name)
    assert [box.name for box in drawn.steps] == [step.name for step in WORKFLOWS[name].steps]
    for boxes in (drawn.steps, drawn.undos):
        assert all(above.y + above.height < below.y for above, below in pairwise(boxes))
    assert max(len(box.name) for box in drawn.steps) <= 20
    assert max((len(box.name) for box in drawn.undos), default=0) <= 16
    tree = ElementTree.fromstring(svg.strip())
    assert (tree.get("role"), tree.get("aria-labelledby")) == ("img", "diagram-title diagram-said")
    assert all(box.name in (tree.findtext("desc") or "") for box in drawn.steps)
    assert "style" not in svg


def test_a_workflow_alone_is_a_picture_of_its_own() -> None:
    """Whole without a page around it: it names nothing that is elsewhere, but for the name of what it is."""
    svg = alone.picture(ASSIGN)
    tree = ElementTree.fromstring(svg)
    assert (tree.tag, svg.count("//")) == ("{http://www.w3.org/2000/svg}svg", 1)
    assert "UTC" not in svg
    assert all(step.name in svg and step.summary in html.unescape(svg) for step in ASSIGN.steps)


def test_names_and_reasons_are_text() -> None:
    """Whoever names a VM, or writes an error, draws nothing."""
    run = a_run(status=Status.STUCK, step="admit", due_at=None, title=HOSTILE, reason=HOSTILE)
    drawn, svg = picture(run)
    assert drawn.steps[1].place.why == HOSTILE
    tree = ElementTree.fromstring(svg.strip())
    assert not {one.tag for one in tree.iter()} - {"svg", "title", "desc", "g", "line", "path", "rect", "text", "tspan"}
    assert HOSTILE in (tree.findtext("title") or "")


def test_the_page_of_a_run_shows_its_name_as_text(web: Web) -> None:
    """And how it stands: here it was given up, by somebody whose words are no markup either."""
    run = a_row(web)
    with web.store.write() as session:
        taken = claims.claim(session, run.id, now=NOON, lease=timedelta(seconds=9))
        assert taken is not None
        change = Change(Status.REFUSED, Phase.FORWARD, "settle", NOON, None, {}, reason=HOSTILE)
        claims.record(session, taken, change, history.Entry("settle", "give up", HOSTILE), now=NOON)
    signed_in(web)
    for path in (f"/runs/{run.id}", f"/runs/{run.id}/shown", f"/runs/{run.id}/calls"):
        page = web.client.get(path).text
        assert HOSTILE not in page
        assert "<b>" not in page
        assert ('<g class="box failed">' in page) is not path.endswith("calls")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59, "59 s"), (97, "1:37 min"), (3599.6, "1:00 h"), (12_000, "3:20 h"), (187_200, "2 d 4 h")],
)
def test_durations_are_short(seconds: float, words: str) -> None:
    """Two units at most."""
    assert spoken(timedelta(seconds=seconds)) == words
