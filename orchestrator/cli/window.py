"""`vfo window`: when backups may begin, writing that, and how a night would go."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName
from orchestrator.cli.written import AsToml, File

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.actions.desk import Desk

app = typer.Typer(name="window", help="When backups may begin, writing that, and how a night would go.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The NAME of [windows.NAME].")]


@app.command("list")
def list_(*, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """List the windows: whether each is open, when it opens next, for which policies, and where it comes from."""
    from orchestrator.actions import windows as action
    from orchestrator.cli import house, output, written

    with house.desk(config) as desk:
        rows, amiss = action.listed(desk), action.amiss(desk)
    if as_json:
        output.json(rows)
    elif not rows:
        text = "There is no window: the README shows a table [windows.NAME], and `vfo window write` writes one without the file."
        output.console().print(text, markup=False)
    else:
        cells = [
            [row["name"], row["schedule"], _lasts(row), row["timezone"], ", ".join(row["policies"]) or "-",
             f"until {_clock(row['open_until'], row)}" if row["open_until"] else "-", _clock(row["opens"], row),
             written.origin(row, desk, partial(_clock, row=row))]
            for row in rows
        ]  # fmt: skip
        output.table(["window", "schedule", "lasts", "zone", "policies", "open", "opens next", "from"], cells)
    written.warn("window", amiss)


@app.command("next")
def next_(
    *,
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="How many openings.")] = 10,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """List the next openings of all windows, soonest first, each by the clock of the window's own zone."""
    from orchestrator.cli import house, output
    from orchestrator.views import windows as view

    with house.desk(config) as desk:
        rows = view.upcoming(desk.policy.backups.windows.values(), desk.clock(), count)
    if as_json:
        output.json(rows)
    else:
        cells = [[_clock(row["opens"], row), _clock(row["closes"], row), row["timezone"], row["window"]] for row in rows]
        output.table(["opens", "closes", "zone", "window"], cells)


@app.command()
def show(
    name: Name,
    *,
    ical: Annotated[bool, typer.Option("--ical", help="Print the next 100 openings for a calendar (RFC 5545).")] = False,
    as_toml: AsToml = False,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Show a window: its table, its next openings, and what became of those of the last two weeks."""
    from orchestrator.actions import windows as action
    from orchestrator.cli import house, output
    from orchestrator.cli.failures import WrongInput
    from orchestrator.views import toml

    asked = [word for word, wanted in (("--ical", ical), ("--toml", as_toml), ("--json", as_json)) if wanted]
    if len(asked) > 1:
        raise WrongInput(f"{' and '.join(asked)} do not go together: each is a form of its own")
    with house.desk(config) as desk:
        if ical:
            sys.stdout.write(action.calendar(desk.loaded, desk.policy.backups, name, desk.clock()))
            return
        if as_toml:
            sys.stdout.write(toml.table("windows", name, action.table(desk, name)))
            return
        row = action.shown(desk, name)
    if as_json:
        output.json(row)
    else:
        _print(row, desk)


@app.command()
def write(
    name: Name,
    *,
    file: File,
    dry_run: DryRun = False,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Write a window into the database, or change one that is there; every process takes it up without being started again."""
    from orchestrator.actions import windows as action
    from orchestrator.cli import house, output, written

    table = written.table(file, "windows", name)
    with house.desk(config, pool) as desk:
        revision = written.revision(desk, "window", name)
        if not dry_run:
            written.say("window", action.write(desk, name, table, revision=revision), as_json=as_json)
            return
        said = action.proposed(desk, name, table, revision=revision)
    if as_json:
        output.json(said)
        return
    _print(said, desk)
    written.would(said)


@app.command()
def remove(name: Name, *, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Remove a window that was written and that no policy uses."""
    from orchestrator.actions import windows as action
    from orchestrator.cli import house, written

    with house.desk(config) as desk:
        written.say("window", action.remove(desk, name), as_json=as_json)


@app.command()
def plan(
    name: Name,
    *,
    svg: Annotated[str | None, typer.Option("--svg", metavar="FILE", help="Write the picture there too; one FILE per pool.")] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="MOMENT",
            help="Of the opening then, or the next one after: 2026-12-01T22:00, of the window's zone or as written.",
        ),
    ] = None,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Show what would run when in the opening that is next (or open now), by what earlier backups took, and who would be missed."""
    from orchestrator.actions import windows as action
    from orchestrator.cli import house, output
    from orchestrator.views import timeline, timeline_svg

    target = _target(svg)
    with house.desk(config, pool) as desk:
        plans = action.plan(desk, name, at)
    for one in plans:
        if target is not None:
            path = target if len(plans) == 1 else target.with_stem(f"{target.stem}-{one['pool']}")
            _write(path, timeline_svg.picture(one))
    if as_json:
        output.json(plans)
        return
    console = output.console()
    for one in plans:
        for line in timeline.drawn(one, console.width):
            console.print(line, no_wrap=True, overflow="ellipsis")


def _target(svg: str | None) -> Path | None:
    """Where the picture goes; WrongInput where that is no file, before anything is asked."""
    from orchestrator.cli.failures import WrongInput

    if svg is None:
        return None
    if not svg.strip() or Path(svg).is_dir():
        raise WrongInput(f"--svg {svg!r}: it {'is a folder' if svg.strip() else 'is empty'}: write the name of a file, such as night.svg")
    return Path(svg)


def _clock(at: datetime | None, row: dict[str, Any]) -> str:
    """A moment by the clock of the window's own zone."""
    from zoneinfo import ZoneInfo

    return f"{at.astimezone(ZoneInfo(row['timezone'])):%Y-%m-%d %H:%M %Z}" if at else "-"


def _write(path: Path, text: str) -> None:
    from orchestrator.cli.failures import NotSo

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotSo(f"--svg {path}: it cannot be written: {error.strerror}") from None


def _lasts(row: dict[str, Any]) -> str:
    from datetime import timedelta

    from orchestrator.config import durations

    return durations.written(timedelta(seconds=row["duration"]))


def _print(row: dict[str, Any], desk: Desk) -> None:
    from orchestrator.cli import output, written

    console = output.console()
    limits = ", ".join(f"{name} {'no limit' if count is None else count}" for name, count in row["limits"].items())
    console.print(f"window {row['name']}: {row['schedule']} ({row['timezone']}) for {_lasts(row)}", markup=False)
    console.print(f"from {written.origin(row, desk, partial(_clock, row=row))}", markup=False)
    console.print(f"policies: {', '.join(row['policies']) or 'none'}; catch_up {row['catch_up']}; at once: {limits}", markup=False)
    if row["blackouts"]:
        console.print(f"not on {', '.join(row['blackouts'])}", markup=False)
    state = f"open until {_clock(row['open_until'], row)}" if row["open_until"] else "not open"
    console.print(f"{state}; next: {', '.join(_clock(one['opens'], row) for one in row['next']) or 'never'}", markup=False)
    if row["last"]:
        cells = [[_clock(one["opens"], row), one["pool"], one["status"], str(one["run"] or "-")[:8]] for one in row["last"]]
        console.print(output.drawn(["opened", "pool", "what became of it", "run"], cells))
