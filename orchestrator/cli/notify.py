"""`vfo notify`: the channels by which people are told, and whether they work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath

if TYPE_CHECKING:
    from orchestrator.config.load import Loaded

app = typer.Typer(name="notify", help="The channels by which people are told what happened.", no_args_is_help=True)


@app.command(name="list")
def list_channels(*, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the channels: of what they tell, what they took last, what waits for them and why. Exit code 1 when one does not work."""
    from orchestrator.cli import house, output
    from orchestrator.notify import setup, shown

    loaded = house.configuration(config)
    with house.rows(loaded) as store:
        found = shown.channels(loaded, setup.Told(store, setup.channels(loaded)).standings())
    if as_json:
        output.json(found)
    elif not found:
        output.console().print(f"{loaded.path} has no [notify.NAME]: nobody is told of anything", markup=False)
    else:
        _print(found)
    if any(one["problem"] for one in found):
        raise typer.Exit(1)


@app.command(name="test")
def try_channels(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this channel; left out: all.")] = None,
    *,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Send a message by a channel, now, whatever its events are; exit code 1 when one does not take it."""
    from orchestrator.cli import house, output
    from orchestrator.notify import setup, shown

    loaded = house.configuration(config)
    _assert_there(loaded, name)
    found = [shown.tried(channel, loaded) for channel in setup.channels(loaded).values() if name in (None, channel.name)]
    if as_json:
        output.json(found)
    else:
        for one in found:
            said = f"did not take it: {one['problem']}" if one["problem"] else "took it"
            output.console().print(f"{one['channel']} ({one['service']}) {said}", markup=False)
    if any(one["problem"] for one in found):
        raise typer.Exit(1)


def _assert_there(loaded: Loaded, name: str | None) -> None:
    from orchestrator.cli.failures import WrongInput

    there = ", ".join(loaded.channels) or "none"
    if not loaded.channels or name not in (None, *loaded.channels):
        asked = f"there is no channel {name!r}" if name else "there is no channel"
        raise WrongInput(f"{asked}: {loaded.path} has of [notify.NAME]: {there}")


def _print(found: list[dict[str, Any]]) -> None:
    from orchestrator.cli import output

    rows = [
        [
            one["channel"], one["service"], ", ".join(one["events"]) + (f" ({', '.join(one['pools'])})" if one["pools"] else ""),
            f"{one['digest']} {one['timezone']}" if one["digest"] else "-", output.moment(one["told_at"]), str(one["waiting"]),
            str(one["given_up"]), one["problem"] or "-",
        ]
        for one in found
    ]  # fmt: skip
    heads = ["channel", "by", "tells", "digest", f"told last ({output.zone()})", "waiting", "never taken", "problem"]
    output.console().print(output.drawn(heads, rows))
