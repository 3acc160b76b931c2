"""What every command shares that starts runs: the plan, the ids, and waiting for the end."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from uuid import UUID

    from orchestrator.actions.desk import Desk, Proposal
    from state.run import Run
    from state.store import Store
    from workflows.outcome import Request
    from workflows.plan import Plan

LOOK_SECONDS = 0.5
NOBODY_SECONDS = 15.0


def show(plans: Sequence[Plan], *, as_json: bool) -> None:
    """Print what would be done; exit code 1 when some of it would be refused."""
    from dataclasses import asdict

    from orchestrator.cli import output

    if as_json:
        output.json([asdict(plan) for plan in plans])
    else:
        for plan in plans:
            _print_plan(plan)
        output.console().print("Nothing was changed.")
    if any(plan.refusals for plan in plans):
        raise typer.Exit(1)


def show_or_begin(desk: Desk, proposal: Proposal, *, dry_run: bool, wait: bool, as_json: bool) -> None:
    """Show the plans, or begin the runs and go on as `start` does."""
    if dry_run:
        show(proposal.plans(), as_json=as_json)
        return
    proposal.check()
    start(desk.store, proposal.requests, wait=wait, as_json=as_json)


def start(store: Store, requests: Sequence[Request], *, wait: bool, as_json: bool, reached: Callable[[Run], bool] | None = None) -> None:
    """Create the runs and print their ids; with *wait* show how they go on until each has ended (or *reached* says that it is far enough).

    Exit code 1 when, after the waiting, one ended otherwise than done.
    """
    created = [_create(store, request) for request in requests]
    if not as_json:
        for run, new in created:
            name_runs([run], "" if new else " (at work already)")
    new_ones = {run.id for run, new in created if new}
    follow(store, [run.id for run, _ in created], wait=wait, as_json=as_json, reached=reached, created=new_ones)


def name_runs(runs: Sequence[Run], note: str = "") -> None:
    """Print the ids of runs, a line each, with a note about them."""
    from orchestrator.cli import output

    for run in runs:
        output.console().print(f"run {run.id}: {run.workflow} of {run.title}{note}", markup=False)


def follow(
    store: Store,
    ids: Sequence[UUID],
    *,
    wait: bool,
    as_json: bool,
    reached: Callable[[Run], bool] | None = None,
    created: Collection[UUID] = (),
) -> None:
    """As `start`, for runs that are there; *created* are those of them that are new."""
    from orchestrator.cli import output

    if wait:
        _follow(store, ids, reached or _over, quiet=as_json)
    elif not as_json:
        output.console().print("`vfo serve` takes up what was started; `vfo run ID` shows how it goes on.")
    runs = [_get(store, run_id) for run_id in ids]
    if as_json:
        output.json([_row(run, run.id in created) for run in runs])
    elif wait:
        for run in runs:
            _print_end(run)
    if wait and not all(_well(run, reached) for run in runs):
        raise typer.Exit(1)


def ended(store: Store, request: Request, *, quiet: bool) -> Run:
    """The run of the request at its end; its id first, and how it goes on, unless *quiet*."""
    run, new = _create(store, request)
    if not quiet:
        name_runs([run], "" if new else " (at work already)")
    _follow(store, [run.id], _over, quiet=quiet)
    return _get(store, run.id)


def _create(store: Store, request: Request) -> tuple[Run, bool]:
    from orchestrator.actions import desk
    from orchestrator.actions.place import Place
    from orchestrator.cli import house

    return desk.create(Place(store, house.person()), request)


def _get(store: Store, run_id: UUID) -> Run:
    from orchestrator.cli.failures import NotSo
    from state import runs

    with store.read() as session:
        found = runs.get(session, run_id)
    if found is None:
        raise NotSo(f"run {run_id} is gone from the database")
    return found


def _over(run: Run) -> bool:
    from state.run import ACTIVE

    return run.status not in ACTIVE


def _well(run: Run, reached: Callable[[Run], bool] | None) -> bool:
    from state.run import Status

    return run.status is Status.DONE or (reached is not None and not _over(run) and reached(run))


def _follow(store: Store, ids: Sequence[UUID], reached: Callable[[Run], bool], *, quiet: bool) -> None:
    """Print what is recorded of the runs, a line each, until all are where they shall be; Ctrl-C leaves them to go on."""
    from state import history

    waiting, seen, began, told = set(ids), set[int](), time.monotonic(), False
    try:
        while waiting:
            with store.read() as session:
                found = history.of_several(session, ids, after=max(seen, default=0) - history.OVERLAP)
            for entry in (one for one in found if one.seq not in seen):
                seen.add(entry.seq or 0)
                if not quiet:
                    _print_entry(entry)
            waiting = {run_id for run_id in waiting if not (_over(run := _get(store, run_id)) or reached(run))}
            if waiting and not seen and not told and time.monotonic() - began > NOBODY_SECONDS:
                told = True
                sys.stderr.write("vfo: nobody has taken the run up yet: does `vfo serve` run with this database?\n")
            if waiting:
                time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        sys.stderr.write("vfo: the runs go on; `vfo run ID` shows them, `vfo run ID cancel` gives one up\n")
        raise typer.Exit(130) from None


def _row(run: Run, new: bool) -> dict[str, Any]:
    return {
        "run": run.id,
        "created": new,
        "workflow": run.workflow,
        "pool": run.pool,
        "subject": run.subject,
        "title": run.title,
        "status": run.status.value,
        "reason": run.reason,
        "next_command": run.next_command,
    }


def _print_entry(entry: Any) -> None:
    from orchestrator.cli import output

    line = f"{output.moment(entry.at)}  {str(entry.run_id)[:8]}  {entry.step}: {entry.outcome}"
    output.console().print(f"{line}: {entry.message}" if entry.message else line, markup=False)


def _print_end(run: Run) -> None:
    from orchestrator.cli import output

    console = output.console()
    why = f": {run.reason}" if run.reason else ""
    console.print(f"run {str(run.id)[:8]}, {run.title}: {run.status.value}{why}", markup=False)
    if run.next_command:
        console.print(f"next: {run.next_command}", markup=False)


def _print_plan(plan: Plan) -> None:
    from orchestrator.cli import output

    console = output.console()
    console.print(plan.title, markup=False)
    for number, sentence in enumerate(plan.sentences, 1):
        console.print(f"  {number}. {sentence}", markup=False)
    for refusal in plan.refusals:
        console.print(f"  refused: {refusal}", markup=False)
    if plan.calls:
        console.print(f"  XenAPI calls that change something: {', '.join(plan.calls)}", markup=False)
