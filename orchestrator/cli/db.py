"""`vfo db`: the database brought up to date, looked over, moved to another one, and rid of what is old."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from orchestrator.config.load import Loaded
    from orchestrator.exports import Moved
    from state.store import Store

File = Annotated[Path, typer.Argument(metavar="FILE", help="A name that ends in .gz: compressed.")]

app = typer.Typer(name="db", help="The database: bring it up to date, look it over, move it to another one.", no_args_is_help=True)


@app.command()
def upgrade(*, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Bring the database to this version's schema; one that is there already stays as it is, one of a newer version is refused."""
    from orchestrator import bootstrap
    from orchestrator.cli import house, output
    from state import schema

    loaded = house.configuration(config)
    before = _schema(loaded)
    with contextlib.closing(bootstrap.store(loaded, upgrade=True)) as store:
        name = store.name
    changed = before is None or before < schema.HEAD
    if as_json:
        output.json({"from": before, "to": max(before or "", schema.HEAD), "changed": changed})
    else:
        said = f"from schema {before or 'none'} to {schema.HEAD}" if changed else f"has schema {before} already"
        output.console().print(f"{name}: {said}", markup=False)


@app.command()
def check(*, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Look the rows over and change nothing: the schema, how many there are, what does not fit together (exit code 1)."""
    from datetime import UTC, datetime

    from orchestrator.cli import house, output
    from orchestrator.config.errors import ConfigError
    from state import examine, schema
    from state.engines import Unusable
    from workflows.catalogue import WORKFLOWS
    from workflows.promised import taken_over

    loaded = house.configuration(config)
    steps = {name: frozenset(step.name for step in workflow.steps) for name, workflow in WORKFLOWS.items()}
    try:
        with examine.opened(loaded.database_url) as connection:
            found, counts = schema.revision(connection), examine.counts(connection)
            amiss = examine.amiss(connection, examine.Known(datetime.now(UTC), steps, taken_over))
    except Unusable as error:
        raise ConfigError([f"{loaded.path}: database.url: {error}"]) from None
    if as_json:
        output.json({"schema": found, "needs": schema.HEAD, "rows": counts, "amiss": amiss})
    else:
        output.console().print(f"schema {found or 'none'}", markup=False)
        output.table(["table", "rows"], [[name, str(count)] for name, count in sorted(counts.items())])
        for sentence in amiss or ("all is well",):
            output.console().print(f"amiss: {sentence}" if amiss else sentence, markup=False)
    raise typer.Exit(1 if amiss else 0)


@app.command()
def export(
    path: File,
    *,
    while_running: Annotated[
        bool, typer.Option("--while-running", help="Though vfo serve works on it: what it does from now on is not in the file.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Write all that the database holds into a file, as it is at one moment, with the runs in flight; mode 0600."""
    from importlib.metadata import version

    from orchestrator import exports

    moved = _moved(
        config,
        lambda store, now: exports.write(store, path, now=now, version=version("vf-orchestrator"), while_running=while_running),
    )
    _say(moved, f"{path} has", as_json=as_json)
    if moved.alive:
        typer.echo("vfo: warning: processes serve on this database: stop them all before one begins on the new one", err=True)


@app.command(name="import")
def import_(path: File, *, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Put all that a file holds into a database that has no rows yet, whole or not at all; `vfo serve` goes on there with the runs."""
    from orchestrator import exports

    moved = _moved(config, lambda store, now: exports.read(store, path, now=now))
    _say(moved, "imported", as_json=as_json)


@app.command()
def prune(
    *,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="30d", help="Those that ended longer ago; left out: as [history] keep says.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many there are; change nothing.")] = False,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Remove runs that ended long ago, but for those that something still goes by, and old lines of the audit; vfo serve does so."""
    import threading

    from orchestrator.cli import house, output
    from orchestrator.cli.failures import NotSo
    from orchestrator.retention import Retention
    from state.clock import Clock

    loaded = house.configuration(config)
    kept = loaded.settings.history
    keep = kept.keep if older_than is None else _kept(older_than)
    with house.rows(loaded) as store:
        retention = Retention(store, keep, Clock(store), audit=kept.audit)
        removed = retention.would_remove() if dry_run or not retention.removes else retention.prune(threading.Event())
    if removed is None:
        raise NotSo("a process of vfo serve is removing them already")
    if as_json:
        output.json({"removed": removed.runs, "kept": removed.kept, "audit": removed.audit, "dry_run": dry_run})
        return
    would = "would be" if dry_run else "were"
    if keep is None:
        output.console().print("[history] keep says for ever: no run is removed; --older-than names another age", markup=False)
    else:
        output.console().print(f"{removed.runs} runs {would} removed, {removed.kept} of that age are kept", markup=False)
    if removed.audit:
        output.console().print(f"{removed.audit} lines of the audit {would} removed", markup=False)


def _kept(written: str) -> timedelta | None:
    from pydantic import ValidationError

    from orchestrator.cli.failures import WrongInput
    from orchestrator.config.model import History

    try:
        return History.model_validate({"keep": written}).keep
    except ValidationError as error:
        raise WrongInput(f"--older-than {written!r}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _moved(config: Path, move: Callable[[Store, Any], Moved]) -> Moved:
    from orchestrator import exports
    from orchestrator.cli import house
    from orchestrator.cli.failures import NotSo, WrongInput
    from state.clock import Clock

    with house.rows(house.configuration(config)) as store:
        try:
            return move(store, Clock(store)())
        except exports.Unfit as error:
            raise WrongInput(str(error)) from None
        except exports.AtWork as error:
            raise NotSo(str(error)) from None


def _say(moved: Moved, what: str, *, as_json: bool) -> None:
    from orchestrator.cli import output

    if as_json:
        output.json({"schema": moved.schema, "rows": moved.rows})
        return
    rows = ", ".join(f"{count} {name}" for name, count in sorted(moved.rows.items()) if count)
    output.console().print(f"{what} {sum(moved.rows.values())} rows{f': {rows}' if rows else ''}", markup=False)


def _schema(loaded: Loaded) -> str | None:
    """What the database has before it is opened for writing; None where there is none."""
    from state import examine, schema
    from state.engines import Unusable

    try:
        with examine.opened(loaded.database_url) as connection:
            return schema.revision(connection)
    except Unusable:  # it is not there yet, or who opens it next says what ails it
        return None
