"""`vfo workflow`: the workflows, as tables and as diagrams."""

from typing import Annotated

import typer

from orchestrator.cli.options import AsJson

app = typer.Typer(name="workflow", help="The workflows: what they do, step by step.", no_args_is_help=True)


@app.command("list")
def list_workflows(*, as_json: AsJson = False) -> None:
    """List the workflows."""
    from orchestrator.cli import output
    from workflows.catalogue import WORKFLOWS

    rows = [{"name": w.name, "summary": w.summary, "steps": [step.name for step in w.steps]} for w in WORKFLOWS.values()]
    if as_json:
        output.json(rows)
    else:
        output.table(["workflow", "what it is for"], [[row["name"], row["summary"]] for row in rows])


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The workflow's name.")],
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid state diagram.")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="As a picture.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a workflow: its steps, what each does and what undoes it."""
    from orchestrator.cli import output
    from orchestrator.cli.failures import WrongInput
    from workflows import workflow
    from workflows.catalogue import WORKFLOWS

    if as_json + mermaid + svg > 1:
        raise WrongInput("--json, --mermaid and --svg: choose one of them")
    if name not in WORKFLOWS:
        raise WrongInput(f"workflow {name!r}: there is none of that name; there are {', '.join(WORKFLOWS)}")
    found = WORKFLOWS[name]
    steps = [
        {
            "step": step.name,
            "summary": step.summary,
            "undo": step.undo.__name__ if step.undo else None,
            "timeout_seconds": step.timeout.total_seconds() if step.timeout else None,
        }
        for step in found.steps
    ]
    if as_json:
        output.json({"name": found.name, "summary": found.summary, "steps": steps})
    elif mermaid:
        typer.echo(workflow.mermaid(found))
    elif svg:
        from orchestrator.web.console import alone

        typer.echo(alone.picture(found))
    else:
        typer.echo(f"{found.name}: {found.summary}\n")
        rows = [[str(number), row["step"], row["summary"], row["undo"] or "-"] for number, row in enumerate(steps, 1)]
        output.table(["", "step", "what it does", "undone by"], rows)
