"""`vfo backup files` and `verify`: what is in a restore point, and whether it can be given back."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath
from orchestrator.cli.restore import PointID, Product

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.actions.desk import Proposal
    from orchestrator.files import Disk, Entry
    from state.store import Store


class Action(StrEnum):
    """What is done with the path."""

    ls = "ls"
    get = "get"


def files(  # noqa: PLR0913 - one parameter is one option
    written: PointID,
    disk: Annotated[str, typer.Argument(help="A disk by its number, or a partition of it: 0, 0p1.")],
    verb: Annotated[Action, typer.Argument(metavar="action", help="ls: what is there; get: bring a file.")],
    path: Annotated[str, typer.Argument(help="From the root of the filesystem: /etc/hostname.")] = "/",
    *,
    to: Annotated[
        Path | None, typer.Option("--to", help="Where get writes the file (- is standard output); else its own name, here.")
    ] = None,
    scratch: Annotated[
        Path | None, typer.Option("--scratch", help="A folder with room for the disk meanwhile; else the usual one.")
    ] = None,
    product: Product = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Bring a single file out of a disk (ext2, ext3, ext4) without restoring it. The whole disk is read from the repository for that."""
    from orchestrator.actions import files as action
    from orchestrator.actions import products
    from orchestrator.actions.place import Place
    from orchestrator.cli import house, output

    loaded = house.configuration(config)
    bench = action.Bench(_folder(scratch))
    action.assert_path(path)
    target = _target(to, path) if verb is Action.get else None
    with house.rows(loaded) as store, products.plugged(loaded, store) as made:
        owned = products.named(made, products.chosen(loaded, product), written)
        with action.opened(made, owned, disk, bench) as there:
            if target is None:
                _print_entries(there.entries(path), as_json=as_json)
                return
            copied = there.copy(path, sys.stdout.buffer) if str(target) == "-" else _copy(there, path, target)
            place = Place(store, house.person())
            store.do(lambda session: action.note(session, place, owned, f"{path} of disk {disk}", copied, now=place.clock()))
            if str(target) != "-":
                said = {"path": path, "to": str(target), "bytes": copied}
                output.json(said) if as_json else typer.echo(f"{target}: {copied} bytes")


def _folder(scratch: Path | None) -> Path:
    import tempfile

    from orchestrator.cli.failures import WrongInput

    folder = scratch or Path(tempfile.gettempdir())
    if not folder.is_dir():
        raise WrongInput(f"--scratch {str(folder)!r}: there is no such folder")
    return folder


def _target(to: Path | None, path: str) -> Path:
    """Where the file goes; nothing that is there is overwritten."""
    from orchestrator.cli.failures import WrongInput

    name = path.rstrip("/").rpartition("/")[2]
    target = to or Path(name or "file")
    if target.is_dir():
        target /= name
    if str(target) != "-" and (target.exists() or target.is_symlink()):
        raise WrongInput(f"--to {str(target)!r}: it is there already, and nothing is overwritten: choose another name")
    if not target.parent.is_dir():
        raise WrongInput(f"--to {str(target)!r}: there is no folder {str(target.parent)!r}")
    return target


def _copy(opened: Disk, path: str, target: Path) -> int:
    """Under its name only when it is whole."""
    from orchestrator.cli.failures import NotSo

    try:
        with target.open("xb") as file:
            try:
                return opened.copy(path, file)
            except BaseException:
                target.unlink()
                raise
    except OSError as error:
        raise NotSo(f"{str(target)!r} cannot be written: {error.strerror}: choose another place with --to") from None


def _print_entries(entries: list[Entry], *, as_json: bool) -> None:
    from dataclasses import asdict

    from orchestrator.cli import output

    if as_json:
        output.json([asdict(entry) for entry in entries])
    else:
        cells = [[one.kind, f"{one.mode:04o}", str(one.size), _seen(one.name)] for one in entries]
        output.table(["kind", "mode", "size", "name"], cells)


def _seen(name: str) -> str:
    """The name with what is not printed written out: a guest's file must not write to the terminal of whoever looks."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in name)


# -- verify ----------------------------------------------------------------------------------------------------


def verify(  # noqa: PLR0913 - one parameter is one option
    written: PointID,
    *,
    boot: Annotated[bool, typer.Option("--boot", help="Also restore it beside, on the parking network, start it, and remove it.")] = False,
    sr: Annotated[str | None, typer.Option("--sr", help="The SR for --boot, by uuid or name; without it where the disks were.")] = None,
    pool: Annotated[str | None, typer.Option("--pool", help="The pool for --boot; without it the one the VM was in.")] = None,
    product: Product = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --boot: print what that would do, and read and change nothing.")] = False,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Read every disk from the repository, compare it with its checksum, and have the product look. Exit code 1 when something is amiss.

    It waits for all of that; with --boot also for the run of verify-boot, whose id it prints and which `vfo serve` takes up.
    """
    from orchestrator.actions import products
    from orchestrator.actions import verify as action
    from orchestrator.cli import house, output, start
    from orchestrator.cli.failures import NotSo

    _assert_for_boot(boot, {"sr": sr, "pool": pool}, dry_run=dry_run)
    with house.desk(config, pool) as desk, products.plugged(desk.loaded, desk.store) as made:
        owner, point = owned = products.named(made, products.chosen(desk.loaded, product), written)
        booting = action.boot(desk, owned, pool=pool, sr=sr) if boot else None
        if booting is not None:
            if dry_run:
                start.show(booting.plans(), as_json=as_json)
                return
            booting.check()
        checks = action.read(desk.loaded, made, owned)
        if booting is not None and all(check["sound"] for check in checks):
            checks.append(_boots(desk.store, booting, quiet=as_json))
    if as_json:
        output.json({"id": point.id, "product": owner, "sound": all(check["sound"] for check in checks), "checks": checks})
    else:
        output.table(
            ["check", "sound", "what was found"], [[one["check"], "yes" if one["sound"] else "no", one["message"]] for one in checks]
        )
    if not all(check["sound"] for check in checks):
        raise NotSo(
            f"restore point {point.id} of {point.vm_name} is not sound: " + "; ".join(c["message"] for c in checks if not c["sound"])
        )


def _assert_for_boot(boot: bool, options: Mapping[str, str | None], *, dry_run: bool) -> None:
    from orchestrator.actions import restore
    from orchestrator.cli.failures import WrongInput

    restore.assert_written(options)
    given = [f"--{option} {value!r}" for option, value in options.items() if value is not None] + ["--dry-run"] * dry_run
    without = [] if boot else given
    if without:
        raise WrongInput(f"{without[0]}: it is for --boot, and without that nothing is restored: add --boot, or leave it out")


def _boots(store: Store, booting: Proposal, *, quiet: bool) -> dict[str, Any]:
    """It is waited for; `vfo serve` does it."""
    from orchestrator.actions.verify import check
    from orchestrator.cli import start

    run = start.ended(store, booting.requests[0], quiet=quiet)
    return check("boot", run.reason, sound=run.status == "done", run=run.id)
