"""`vfo cluster`: the processes that work together, and what was left in their queues."""

from __future__ import annotations

from typing import Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath

app = typer.Typer(name="cluster", help="The processes that share the work: who lives, who holds what.", no_args_is_help=True)


@app.command()
def status(*, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the processes, the leases that they hold, how far behind they are, and the queues; exit code 1 when something is amiss."""
    from orchestrator.actions import cluster as action
    from orchestrator.cli import house, output

    loaded = house.configuration(config)
    with house.rows(loaded) as store:
        shown = action.status(loaded, store)
    if as_json:
        output.json(shown)
    else:
        _print(shown)
    raise typer.Exit(1 if shown["amiss"] else 0)


@app.command()
def requeue(*, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Publish the messages again that RabbitMQ gave up because whoever took them died; says how many there were."""
    from orchestrator import queues
    from orchestrator.cli import house, output
    from orchestrator.cli.failures import NotSo

    try:
        sent = queues.requeue(house.configuration(config))
    except queues.Away as error:
        raise NotSo(str(error)) from None
    if as_json:
        output.json({"sent": sent})
    else:
        output.console().print(f"{sent} messages were sent again", markup=False)


def _print(shown: dict[str, Any]) -> None:
    from orchestrator.cli import output

    console = output.console()
    if shown["processes"]:
        cells = [
            [
                one["process"],
                ", ".join(one["roles"]),
                one["version"],
                output.moment(one["since"]),
                ", ".join(one["leases"]) or "-",
                _lag(one),
            ]
            for one in shown["processes"]
        ]
        output.table(["process", "roles", "version", "since", "holds", "hears its pools after"], cells)
    if shown["leases"]:
        cells = [
            [
                one["lease"],
                one["process"] if one["held"] else "nobody",
                output.moment(one["since"]),
                output.moment(one["until"]),
                str(one["taken"]),
            ]
            for one in shown["leases"]
        ]
        output.table(["lease", "held by", "since", "until", "times taken"], cells)
    console.print("runs: " + ", ".join(f"{count} {status}" for status, count in shown["runs"].items()), markup=False)
    late = f", the first for {shown['lag']:.1f} s" if shown["due"] else ""
    console.print(f"due and not taken: {shown['due']}{late}", markup=False)
    console.print(_queue(shown["queue"]), markup=False)
    for one in shown["calls"]:
        shares = " + ".join(str(calls) for calls in one["processes"].values()) or "0"
        console.print(f"calls that workers may make at once in {one['pool']}: {shares} of {one['at_once']}", markup=False)
    for sentence in shown["amiss"]:
        console.print(f"amiss: {sentence}", markup=False)


def _lag(process: dict[str, Any]) -> str:
    return ", ".join(f"{pool} {seconds:.2f} s" for pool, seconds in sorted(process["lag"].items())) or "-"


def _queue(queue: dict[str, Any]) -> str:
    if queue["kind"] == "embedded":
        return "queue: inside of each process"
    if queue["problem"]:
        return "queue: unknown"
    return f"queue: {queue['waiting']} messages wait, {queue['dead']} were given up"
