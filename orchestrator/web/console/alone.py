"""The picture of a workflow as a file of its own, for whoever has no console at hand."""

from orchestrator.web.console.models import diagram
from orchestrator.web.console.pages import STATIC, Pages
from workflows.workflow import Workflow


def picture(workflow: Workflow) -> str:
    """SVG, in the colours of the console, light or dark as its reader is; nothing outside of it is needed."""
    colours = (STATIC / "base.css").read_text().partition("*, *::before")[0]
    lines = (STATIC / "runs.css").read_text().splitlines()
    style = "\n".join([colours, "svg { font-family: system-ui, sans-serif }", *(line for line in lines if line.startswith(".diagram"))])
    return Pages().draw("diagram.svg", diagram=diagram.blank(workflow), style=style)
