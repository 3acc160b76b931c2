"""`vfo user` and `vfo token`: who may sign in to the console, and which programs may use the REST API."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from orchestrator.web.principal import Scope

if TYPE_CHECKING:
    from datetime import timedelta

users = typer.Typer(name="user", help="Who may sign in to the console.", no_args_is_help=True)
tokens = typer.Typer(name="token", help="What programs show to use the REST API.", no_args_is_help=True)

ScopeOption = Annotated[Scope, typer.Option("--scope", help="read: look; operate: also begin, approve, cancel; admin: everything.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input, a line.")]
UserName = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
TokenName = Annotated[str, typer.Argument(metavar="NAME", help="The token's name: what it is for, or who has it.")]


@users.command("add")
def add_user(
    name: UserName, *, scope: ScopeOption = Scope.READ, password_stdin: Stdin = False, as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:  # fmt: skip
    """Add a user; the password is asked for."""
    from orchestrator.actions import users as action
    from orchestrator.cli import house, output

    with house.place(config) as place:
        row = action.add(place, action.Wanted(name, _password(from_stdin=password_stdin), scope.value))
    if as_json:
        output.json(row)
    else:
        output.console().print(f"{name} may sign in, with scope {scope.value}", markup=False)


@users.command("list")
def list_users(*, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the users."""
    from orchestrator.actions import users as action
    from orchestrator.cli import house, output

    with house.place(config) as place:
        rows = action.listed(place)
    if as_json:
        output.json(rows)
    elif not rows:
        output.console().print("There is no user. (`vfo user add NAME --scope admin` adds one.)", markup=False)
    else:
        cells = [[row["name"], row["scope"], output.moment(row["created_at"]), output.moment(row["changed_at"])] for row in rows]
        output.table(["name", "scope", f"added ({output.zone()})", "password of"], cells)


@users.command("remove")
def remove_user(name: UserName, *, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Remove a user, who is signed out wherever they are."""
    from orchestrator.actions import users as action
    from orchestrator.cli import house, output

    with house.place(config) as place:
        action.remove(place, name)
    output.console().print(f"{name} is a user no more", markup=False)


@users.command("password")
def password(name: UserName, *, password_stdin: Stdin = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Give a user another password, which is asked for; they are signed out wherever they are."""
    from orchestrator.actions import users as action
    from orchestrator.cli import house, output

    with house.place(config) as place:
        action.set_password(place, name, _password(from_stdin=password_stdin))
    output.console().print(f"{name} has a new password", markup=False)


@users.command("scope")
def scope(
    name: UserName, scope: Annotated[Scope, typer.Argument(help="read, operate or admin.")], *, config: ConfigPath = DEFAULT_CONFIG
) -> None:
    """Say how far a user's word goes from now on; they are signed out wherever they are."""
    from orchestrator.actions import users as action
    from orchestrator.cli import house, output

    with house.place(config) as place:
        action.set_scope(place, name, scope.value)
    output.console().print(f"{name} has scope {scope.value}", markup=False)


@tokens.command("create")
def create_token(
    name: TokenName,
    *,
    scope: ScopeOption = Scope.READ,
    expires: Annotated[str, typer.Option("--expires", help='How long it lasts, such as "90d", or "never".')] = "365d",
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Make a token. It is printed this once: the database keeps only what it is known by."""
    from orchestrator.actions import tokens as action
    from orchestrator.cli import house, output

    lasts = _lasts(expires)
    with house.place(config) as place:
        secret, row = action.create(place, name, scope.value, lasts)
    if as_json:
        output.json({**row, "token": secret})
        return
    sys.stdout.write(f"{secret}\n")
    sys.stderr.write(f"token {name}, scope {scope.value}: keep it now, it is not shown again; vfo token revoke {name} ends it\n")


@tokens.command("list")
def list_tokens(*, as_json: AsJson = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the tokens, never their secrets."""
    from orchestrator.actions import tokens as action
    from orchestrator.cli import house, output

    with house.place(config) as place:
        rows = action.listed(place)
    if as_json:
        output.json(rows)
    elif not rows:
        output.console().print("There is no token. (`vfo token create NAME` makes one.)", markup=False)
    else:
        output.table(["name", "scope", "made by", f"made ({output.zone()})", "until", "last used"], [_cells(row) for row in rows])


@tokens.command("revoke")
def revoke_token(name: TokenName, *, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """End a token: it opens nothing from now on."""
    from orchestrator.actions import tokens as action
    from orchestrator.cli import house, output

    with house.place(config) as place:
        action.revoke(place, name)
    output.console().print(f"token {name} is revoked", markup=False)


def _cells(row: dict[str, Any]) -> list[str]:
    from orchestrator.cli import output

    until = output.moment(row["expires_at"]) if row["expires_at"] else "it is revoked"
    return [row["name"], row["scope"], row["created_by"], output.moment(row["created_at"]), until, output.moment(row["used_at"])]


def _lasts(written: str) -> timedelta | None:
    from orchestrator.cli.failures import WrongInput
    from orchestrator.config import durations

    if written == "never":
        return None
    try:
        lasts = durations.parse(written)
    except ValueError as error:
        raise WrongInput(str(error), option="expires", value=written) from None
    if not lasts:
        raise WrongInput('it would be over at once: write such as "90d", or "never"', option="expires", value=written)
    return lasts


def _password(*, from_stdin: bool) -> str:
    """From a line of standard input, or asked for twice without being shown."""
    from getpass import getpass

    from orchestrator.cli.failures import WrongInput

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise WrongInput("there is no terminal to ask for a password: use --password-stdin")
    first = getpass("Password: ")
    if getpass("Again: ") != first:
        raise WrongInput("the two are not the same")
    return first
