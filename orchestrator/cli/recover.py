"""`vfo recover`: put every VM right that shows marks of ours, by those marks alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from state.run import Run
    from workflows.outcome import Request
    from workflows.plan import Plan


def recover(
    *,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Find every VM and snapshot with a mark of ours and put it right, without `vfo serve` and with an empty database too.

    Runs that a crash left, or that are stuck, go on. It works on all of them itself and waits for their ends; the exit code is 1 when
    a person is still needed.
    """
    from orchestrator.actions import recover as action
    from orchestrator.cli import house, output

    with house.desk(config, pool) as desk:
        marks = action.look(desk)
        if dry_run:
            _show(marks.known, action.plans(desk, marks.wanted), as_json=as_json)
            return
        runs = action.work(desk, marks)
    rows = [_row(run) for run in runs]
    if as_json:
        output.json(rows)
    elif rows:
        output.table(
            ["run", "pool", "about", "status", "why"], [[str(r["run"])[:8], r["pool"], r["title"], r["status"], r["reason"]] for r in rows]
        )
    else:
        output.console().print("Nothing of ours is in the pool: there is nothing to put right.")
    if any(row["status"] in ("stuck", "refused") for row in rows):
        raise typer.Exit(1)


def _show(known: Sequence[Run], planned: Sequence[tuple[Request, Plan]], *, as_json: bool) -> None:
    """Exit code 1 when some of it would be refused."""
    from dataclasses import asdict, replace

    from orchestrator.cli import output, start
    from workflows.plan import Plan

    if not as_json:
        begun = [Plan(f"{run.pool}: {run.workflow} of {run.title} (run {run.id} goes on)", ()) for run in known]
        start.show([*begun, *(replace(plan, title=f"{request.pool}: {plan.title}") for request, plan in planned)], as_json=False)
        return
    rows: list[dict[str, Any]] = [
        {"workflow": run.workflow, "pool": run.pool, "title": run.title, "run": run.id, "plan": None} for run in known
    ]
    rows += [{"workflow": one.workflow, "pool": one.pool, "title": one.title, "run": None, "plan": asdict(plan)} for one, plan in planned]
    output.json(rows)
    if any(plan.refusals for _, plan in planned):
        raise typer.Exit(1)


def _row(run: Run) -> dict[str, Any]:
    return {
        "run": run.id, "workflow": run.workflow, "pool": run.pool, "title": run.title, "status": run.status.value, "step": run.step,
        "reason": run.reason, "next_command": run.next_command,
    }  # fmt: skip
