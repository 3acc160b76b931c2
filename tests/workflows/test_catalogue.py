from pathlib import Path

import pytest

import workflows
from workflows import workflow
from workflows.catalogue import WORKFLOWS
from workflows.outcome import DONE
from workflows.workflow import Step, Workflow

PAGE = (Path(workflows.__file__).parent / "README.md").read_text()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_has_its_page_with_its_diagram(name: str) -> None:
    """The page names every step and shows the diagram as the table draws it today."""
    assert f"## {name}\n" in PAGE
    assert workflow.mermaid(WORKFLOWS[name]) in PAGE
    assert all(f"**{step.name}**" in PAGE for step in WORKFLOWS[name].steps)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_step_says_what_it_does(name: str) -> None:
    """The first line of a step's docstring is what people are shown."""
    assert all(step.summary for step in WORKFLOWS[name].steps)


def test_two_steps_of_one_name_are_refused() -> None:
    """Results are recorded under the step's name, so it must be one step's alone."""

    def act(world: object, data: object) -> object:
        """Act."""
        return DONE

    with pytest.raises(ValueError, match="a name of its own"):
        Workflow("twice", "", (Step(act), Step(act)))  # type: ignore[arg-type]


def test_a_diagram_shows_what_undoes_a_step() -> None:
    """Undoing runs backwards, and ends undone."""

    def act(world: object, data: object) -> object:
        """Act."""
        return DONE

    def unact(world: object, data: object) -> object:
        """Take it back."""
        return DONE

    drawn = workflow.mermaid(Workflow("two-way", "", (Step(act, undo=unact),)))  # type: ignore[arg-type]
    assert "act --> unact: given up or cancelled" in drawn
    assert "unact --> undone" in drawn
