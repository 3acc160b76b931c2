"""`vfo vfs`: every port, and who has its VFs; and how that was over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, PoolName

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 24  # of each network


def vfs(
    *,
    pool: PoolName = None,
    history: Annotated[bool, typer.Option("--history", help="How many were taken over time, instead; no pool is asked.")] = False,
    since: Annotated[str | None, typer.Option("--since", metavar="7d", help="With --history: from when on.")] = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Show the ports: how many VFs, who uses them, what is free, promised, leaked."""
    from orchestrator.cli import house, output
    from orchestrator.cli.failures import WrongInput
    from orchestrator.views import vfs as view

    if history:
        _history(config, pool, since or "7d", as_json=as_json)
        return
    if since is not None:
        raise WrongInput("it is of the time that --history shows", option="since", value=since)
    loaded = house.configuration(config, pool)
    with house.rows(loaded) as store, house.pools(loaded, store, pool) as opened:
        rows = [row for access in opened for row in view.ports(access.port, access.ledger)]
    if as_json:
        output.json(rows)
    elif not rows:
        output.console().print("No port has SR-IOV enabled. (`vfo doctor` says which could.)")
    else:
        headings = ["pool", "port", "mode", "total", "free", "promised", "leaked", "missing", "in use by"]
        output.table(headings, [_cells(row) for row in rows])
        for row in rows:
            for odd in row["odd"]:
                output.console().print(f"{row['pool']}: {row['name']}: {odd['text']} ({odd['advice']})", markup=False)


def _cells(row: dict[str, Any]) -> list[str]:
    users = ", ".join(user["name"] for user in row["users"]) or "-"
    noted = f" ({'; '.join(row['in_flight'])})" if row["in_flight"] else ""
    missing = "?" if row["missing"] is None else str(row["missing"])
    numbers = [str(row[name]) for name in ("total", "free", "promised", "leaked")]
    return [row["pool"], row["name"], row["mode"], *numbers, missing, users + noted]


def _history(config: Path, pool: str | None, since: str, *, as_json: bool) -> None:
    from orchestrator.actions import capacity as action
    from orchestrator.actions.report import moment
    from orchestrator.cli import house, output
    from orchestrator.views import capacity as view
    from state.capacity import Asked
    from state.clock import Clock

    loaded = house.configuration(config, pool)
    meant = [pool] if pool is not None else list(loaded.pools)
    with house.rows(loaded) as store:
        now = Clock(store)()
        asked = Asked(moment(since, now), now, meant)
        rows, counted = action.every(store, asked), action.since(store, meant)
    if as_json:
        output.json({"counted_since": counted, "items": [row for row in rows if row["at"] >= asked.since]})
        return
    found = view.tabled(rows, asked.since, asked.until, ROWS)
    if not found:
        said = "Nobody has counted yet: `vfo serve` does." if counted is None else f"Nobody counted then: from {output.moment(counted)} on."
        output.console().print(said, markup=False)
        return
    names = ("total", *view.NUMBERS[1:])
    cells = [[output.moment(row["at"]), row["pool"], row["name"], *(str(row[name]) for name in names)] for row in found]
    output.table([f"from ({output.zone()})", "pool", "network", *names], cells)
    step = view.span((asked.until - asked.since) / ROWS)
    output.console().print(f"Each line is the fullest moment of its {step}; counted since {output.moment(counted)}.", markup=False)
