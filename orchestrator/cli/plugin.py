"""`vfo plugin`: which plugins there are and how they stand, a new one, and the contract that each must keep."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath

if TYPE_CHECKING:
    from plugins.contract import Checked
    from plugins.manager import Table

app = typer.Typer(name="plugin", help="Plugins: backup products, hooks around backups, observers.", no_args_is_help=True)
MARKS = {True: "ok", False: "fail", None: "-"}


@app.command("list")
def list_plugins(*, config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List the plugins that are shipped or installed, and what the configuration makes of them.

    Exit code 1 when one cannot be used, 2 when that is for what stands in the configuration.
    """
    from orchestrator.actions import plugins as action
    from orchestrator.cli import output
    from orchestrator.views import plugins as views

    tables, complain = _tables(config)
    with _plugins_write_to_stderr():
        found = action.listed(config, tables, complain)
    if as_json:
        output.json([views.as_json(row) for row in found.rows])
    else:
        shown = [[row.table or row.name, row.name if row.table else row.kind, f"{row.origin} {row.version}".strip(),
                  ", ".join(row.hooks) or "-", output.status(row.state), row.why] for row in found.rows]  # fmt: skip
        output.table(["name", "kind or plugin", "from", "hooks", "state", "why"], shown)
    found.assert_usable()


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The plugin's name: small letters, digits and dashes.")],
    *,
    folder: Annotated[Path | None, typer.Option("--folder", help="Where to write the package; left out: vfo-NAME here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a package with one product that works, its tests and its page: change it into yours."""
    import re

    from orchestrator.cli import output
    from orchestrator.cli.failures import WrongInput
    from plugins import kinds, skeleton

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise WrongInput(f"NAME {name!r}: write small letters, digits and single dashes, a letter first")
    if name in kinds.SHIPPED:
        raise WrongInput(f"NAME {name!r}: a shipped plugin has that name already: choose another")
    target = folder or Path(f"vfo-{name}")
    try:
        written = skeleton.write(name, target)
    except FileExistsError as error:
        raise WrongInput(f"--folder {str(target)!r}: {error.args[0]} is there already: nothing was written") from None
    except OSError as error:
        raise WrongInput(f"--folder {str(target)!r}: it cannot be written: {error}") from None
    following = f"pip install -e '{target}[test]' && pytest {target}, then vfo plugin check {name} --set folder=/tmp/{name}"
    if as_json:
        output.json({"name": name, "folder": target, "written": written, "next": following})
        return
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(f"next: {following}")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="The NAME of [products.NAME] or [hooks.NAME], or a plugin as `vfo plugin list` has it.")],
    *,
    given: Annotated[list[str] | None, typer.Option("--set", help="A setting, as KEY=VALUE (TOML, or plain text); several times.")] = None,
    within: Annotated[float, typer.Option("--within", min=0.1, help="How many seconds one call may take.")] = 30.0,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Hold a plugin to its contract, on a simulated pool: crash, repeat, cancel, broken data, busy, and what comes back compared.

    The plugin's own code runs, on this machine and for real: of `command` the very commands of the table, freeze, job and forget,
    each several times, told of pool "vfo-check"; services are called. What it saves it saves where its settings say, as that pool,
    and forgets it at the end. Exit code 1 when a check failed.
    """
    from datetime import timedelta

    from orchestrator.cli import output, rehearsal
    from orchestrator.cli.failures import NotSo
    from plugins import checking

    table = _wanted(name, given or [], config)
    target = _loaded(table.plugin)
    rows: list[Checked] = []
    with rehearsal.sample() as sample, _plugins_write_to_stderr():
        checks = checking.check(target, table.written, config.absolute().parent, sample, within=timedelta(seconds=within))
        for one in checks:
            rows.append(one)
            if not as_json:
                typer.echo(f"{MARKS[one.ok]:>4}  {one.name}{f': {one.message}' if one.message else ''}", file=sys.__stdout__)
    if as_json:
        output.json([{"check": one.name, "ok": one.ok, "message": one.message} for one in rows])
    failed = sum(one.ok is False for one in rows)
    if failed:
        raise NotSo(f"{name}: {failed} of {len(rows)} checks failed")


@contextlib.contextmanager
def _plugins_write_to_stderr() -> Iterator[None]:
    """What a plugin prints must not end up in what programs read of us."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _tables(path: Path) -> tuple[list[Table], Any]:
    """What the configuration wants, and its lines; nothing where there is no configuration yet."""
    from orchestrator.config import plugins
    from orchestrator.config.lines import Lines
    from orchestrator.config.load import load

    if not path.exists() and path == DEFAULT_CONFIG:
        return [], Lines()
    loaded = load(path, need_pools=False)
    return plugins.tables(loaded.settings.products, loaded.settings.hooks), loaded.lines


def _wanted(name: str, given: list[str], path: Path) -> Table:
    """The table of that name, or one made of what was typed."""
    from orchestrator.cli.failures import WrongInput
    from plugins import kinds
    from plugins.manager import PRODUCTS, Table

    typed = dict(_setting(one) for one in given)
    tables = [table for table in _tables(path)[0] if name in (table.name, table.label)]
    if len(tables) > 1:
        raise WrongInput(f"NAME {name!r}: it is {' and '.join(table.label for table in tables)}: write one of these")
    if tables:
        return Table(tables[0].section, tables[0].name, tables[0].plugin, {**tables[0].written, **typed})
    if name not in kinds.offers():
        raise WrongInput(f"NAME {name!r}: there is no table and no plugin of that name: see `vfo plugin list`")
    return Table(PRODUCTS, "check", name, typed)


def _setting(typed: str) -> tuple[str, Any]:
    import tomllib

    from orchestrator.cli.failures import WrongInput

    key, equals, value = typed.partition("=")
    if not (key and equals):
        raise WrongInput(f"--set {typed!r}: write KEY=VALUE")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


def _loaded(plugin: str) -> object:
    from plugins import kinds
    from plugins.errors import PluginError

    offer = kinds.offers()[plugin] if plugin in kinds.offers() else PluginError(f"there is no plugin {plugin!r}: see `vfo plugin list`")
    if isinstance(offer, PluginError):
        raise offer
    kind = kinds.load(offer)
    if kind.problem:
        raise PluginError(f"plugin {plugin}: {kind.problem}")
    return kind.target
