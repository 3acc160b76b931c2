"""What `vfo policy` and `vfo window` share that write into the rows: the table, where each comes from, and what does not hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from orchestrator.actions.desk import Desk

File = Annotated[
    str, typer.Option("--file", "-f", metavar="FILE", help="TOML: the keys of one table, as in the configuration file; -: standard input.")
]
AsToml = Annotated[bool, typer.Option("--toml", help="Print its table as TOML, as it would stand in the configuration file.")]


def table(file: str, section: str, name: str) -> dict[str, Any]:
    """What stands there: the keys alone, or all of the table with its head. Raises WrongInput."""
    import tomllib

    from orchestrator.cli.failures import WrongInput

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        read = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise WrongInput(f"it cannot be read: {error}", option="file", value=file) from None
    except tomllib.TOMLDecodeError as error:
        raise WrongInput(f"it is not TOML: {error}", option="file", value=file) from None
    if section not in read:
        return read
    named = read[section] if isinstance(read[section], dict) else {}
    if list(read) != [section] or list(named) != [name] or not isinstance(named[name], dict):
        raise WrongInput(f"write the keys of the table, or the table [{section}.{name}] and no other", option="file", value=file)
    found: dict[str, Any] = named[name]
    return found


def revision(desk: Desk, kind: str, name: str) -> str | None:
    """The revision of what is there now; None: it will be new."""
    one = desk.in_force.of(kind, name)
    return one.revision if one is not None else None


def origin(row: dict[str, Any], desk: Desk, moment: Callable[[datetime], str]) -> str:
    """Where it comes from; *moment*: how moments are written."""
    if row.get("created"):
        return "nowhere: it would be new"
    if row["written_by"] is None:
        return desk.loaded.path.name
    return f"written by {row['written_by']}, {moment(row['written_at'])}"


def say(kind: str, said: dict[str, Any], *, as_json: bool) -> None:
    """What was written or removed."""
    from orchestrator.cli import output

    if as_json:
        output.json(said)
        return
    if "removed" in said:
        text = "is removed"
    elif said["created"]:
        text = "is written: every process takes it up by itself"
    else:
        text = f"is changed: {', '.join(said['changed']) or 'nothing is other than it was'}"
    output.console().print(f"{kind} {said['name']} {text}", markup=False)


def warn(kind: str, amiss: Sequence[dict[str, Any]]) -> None:
    """On standard error, what somebody wrote and does not hold: a line each."""
    for one in amiss:
        sys.stderr.write(f"vfo: {kind} {one['name']}, written by {one['by']}, does not hold: {one['why']}\n")


def would(said: dict[str, Any]) -> None:
    """How the next opening would go, what is not known of it, and what would be another."""
    from orchestrator.cli import output
    from orchestrator.views import timeline

    console = output.console()
    for night in said["nights"]:
        for line in timeline.drawn(night, console.width):
            console.print(line, no_wrap=True, overflow="ellipsis")
    for pool, why in said["unseen"].items():
        console.print(f"pool {pool} does not answer: {why}", markup=False)
    if not said["created"]:
        console.print(f"Changed: {', '.join(said['changed']) or 'nothing'}.", markup=False)
    console.print("Nothing was written.")
