"""The picture of a workflow as a file of its own, for whoever has no console at hand."""

from html import escape

from orchestrator.web.console.models import diagram
from orchestrator.web.console.pages import STATIC, Pages
from workflows.workflow import Workflow

WIDTH, EDGE = 440, 10


def picture(workflow: Workflow) -> str:
    """SVG, in the colours of the console, light or dark as its reader is; nothing outside of it is needed.

    It is no page: the style that it carries, for want of one beside it, is what no template of a page may have.
    """
    drawn = diagram.blank(workflow)
    colours = (STATIC / "base.css").read_text().partition("*, *::before")[0]
    lines = [line for line in (STATIC / "runs.css").read_text().splitlines() if line.startswith(".diagram")]
    style = "\n".join([colours, "svg { font-family: system-ui, sans-serif } .ground { fill: var(--surface) }", *lines])
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 2 * EDGE}" height="{drawn.height + 2 * EDGE}">',
        f'<style>{escape(style)}</style><rect class="ground" width="100%" height="100%"/>',
        f'<svg x="{EDGE}" y="{EDGE}" width="{WIDTH}" height="{drawn.height}" overflow="visible">',
        Pages().draw("_diagram.html", diagram=drawn),
        "</svg>",
        "</svg>",
    ])  # fmt: skip
