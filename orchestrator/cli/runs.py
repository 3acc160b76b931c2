"""`vfo runs` and `vfo run ID`: what goes on, the history of a run, and what a person may do to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.actions.verbs import Verb
from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, PoolName

if TYPE_CHECKING:
    from collections.abc import Callable


WATCH_SECONDS = 1.0


def runs(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that have ended too.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing them until Ctrl-C.")] = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """List the runs that are active or need a person."""
    from orchestrator.cli import house, output
    from orchestrator.cli.failures import WrongInput
    from orchestrator.views import runs as view

    if watch and as_json:
        raise WrongInput("--watch and --json do not go together: --json prints once")
    loaded = house.configuration(config, pool)
    with house.rows(loaded) as store:

        def listed() -> list[dict[str, Any]]:
            with store.read() as session:
                return view.listed(session, everything=everything, pool=pool)

        if watch:
            _watch(listed)
        elif as_json:
            output.json(listed())
        else:
            output.console().print(_drawn(listed()))


def run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id; its first four digits are enough.")],
    verb: Annotated[
        Verb | None, typer.Argument(help="approve: let it do what it waits for; retry: take it up again; cancel: give it up and undo.")
    ] = None,
    *,
    calls: Annotated[bool, typer.Option("--calls", help="The XenAPI calls that its steps made.")] = False,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Show a run with its history or its calls, or approve it, take it up again, or cancel it."""
    from orchestrator.actions import runs as action
    from orchestrator.cli import house, output
    from orchestrator.views import calls as view_of_calls
    from orchestrator.views import runs as view

    with house.desk(config) as desk:
        if verb is not None:
            action.act(desk, run_id, verb)
        with desk.store.read() as session:
            found = action.find(session, run_id)
            shown: Any = view_of_calls.of(session, found) if calls else view.detail(session, found)
    if as_json:
        output.json(shown)
    else:
        (_print_calls if calls else _print)(shown)


def _watch(listed: Callable[[], list[dict[str, Any]]]) -> None:
    import time

    from rich.live import Live

    try:
        with Live(_drawn(listed()), auto_refresh=False) as live:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(_drawn(listed()), refresh=True)
    except KeyboardInterrupt:
        return


def _drawn(rows: list[dict[str, Any]]) -> Any:
    from orchestrator.cli import output

    if not rows:
        return "No run is active and none needs you. (`vfo runs --all` lists those that have ended.)"
    cells = [
        [str(row["id"])[:8], row["pool"], row["workflow"], row["title"], output.status(row["status"]), row["step"] or "-",
         output.moment(row["updated_at"]), row["reason"]]
        for row in rows
    ]  # fmt: skip
    return output.drawn(["run", "pool", "workflow", "about", "status", "step", f"since ({output.zone()})", "why"], cells)


def _print(shown: dict[str, Any]) -> None:
    from orchestrator.cli import output

    console = output.console()
    console.print(f"run {shown['id']}", markup=False)
    console.print(f"{shown['workflow']} of {shown['title']}, pool {shown['pool']}", markup=False)
    console.print(output.status(shown["status"]), f"at step {shown['step'] or '-'}: {shown['reason'] or '-'}", markup=False)
    if shown["next_command"]:
        console.print(f"next: {shown['next_command']}", markup=False)
    if shown["held"]:
        console.print(f"for itself it has: {', '.join(shown['held'])}", markup=False)
    rows = [[output.moment(entry["at"]), entry["step"], output.status(entry["outcome"]), entry["message"]] for entry in shown["history"]]
    console.print(output.drawn([f"at ({output.zone()})", "step", "outcome", "what was seen"], rows))
    if shown["evidence"]:
        console.print("evidence:", markup=False)
        output.json(shown["evidence"])


def _print_calls(steps: list[dict[str, Any]]) -> None:
    from orchestrator.cli import output

    console = output.console()
    if not steps:
        console.print("None of its steps has called the pool yet.", markup=False)
    for step in steps:
        how = output.status(step["outcome"]) if step["outcome"] else "at work"
        console.print(output.moment(step["at"]), step["step"], how, f"({step['count']} calls, {step['milliseconds']:g} ms)")
        rows = [
            [one["call"], one["subject"] or "-", str(one["times"]), f"{one['milliseconds']:g}", one["error"] or "-"]
            for one in step["calls"]
        ]
        console.print(output.drawn(["call", "about", "times", "ms", "error"], rows))
        if step["more"]:
            console.print(f"and {step['more']} more", markup=False)
