"""`vfo audit`: who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath

if TYPE_CHECKING:
    from datetime import datetime


def audit(  # noqa: PLR0913 - one parameter is one option
    *,
    who: Annotated[str, typer.Option("--who", help="Only of this user or token.")] = "",
    what: Annotated[str, typer.Option("--what", help="Only this act, such as assign-vf or approve.")] = "",
    outcome: Annotated[str, typer.Option("--outcome", help="Only what was done, refused, or has failed.")] = "",
    since: Annotated[str | None, typer.Option("--since", metavar="7d", help="Only of the last days or hours.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="So many at most, the newest.")] = 100,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Show who did what, by the command line, the REST API or the console, and what came of it; newest first."""
    from orchestrator.actions import audit as action
    from orchestrator.cli import house, output
    from state.audit import Asked

    with house.place(config) as place:
        asked = Asked(who, "", what, outcome, _moment(since, place.clock()))
        rows = action.listed(place, asked, limit=limit)
    if as_json:
        output.json(rows)
    elif not rows:
        output.console().print("Nothing was done that fits.")
    else:
        cells = [[output.moment(row["at"]), *(row[name] for name in ("who", "how", "what", "thing", "outcome")), _why(row)] for row in rows]
        output.table([f"at ({output.zone()})", "who", "by", "what", "about", "outcome", "why"], cells)


def _why(row: dict[str, Any]) -> str:
    return str(row["details"].get("reason") or "-")


def _moment(since: str | None, now: datetime) -> datetime | None:
    from orchestrator.cli.failures import WrongInput
    from orchestrator.config import durations

    try:
        return None if since is None else now - durations.parse(since)
    except ValueError as error:
        raise WrongInput(str(error), option="since", value=since) from None
