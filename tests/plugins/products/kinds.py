"""The products under test, each over a repository in a folder."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins import settings
from plugins.borg import Borg
from plugins.restic import Restic
from plugins.xva import Xva
from tests.plugins.products import empty
from tests.plugins.products.empty import SECRET
from tests.plugins.products.stage import Pool, Stage
from tests.services import programs


@dataclass(frozen=True)
class Kind:
    """*program* is what must be installed."""

    name: str
    program: str | None
    product: Any
    written: Callable[[Path], dict[str, Any]]
    secret: bool = True
    whole_vm: bool = False

    def stage(self, folder: Path, *, fresh: bool = False, **changes: Any) -> Stage:
        """The product of a table in a configuration file in the folder; its repository is there and empty, unless it is *fresh*."""
        kit = folder / "kit"
        if self.program and not fresh and not kit.exists() and not (folder / "repo").exists():
            empty.put(self.program, folder / "repo")
        table = {**self.written(folder), **changes}
        return Stage(folder, lambda kit: self.product(settings.read(self.product.Settings, table, folder), kit))

    def repository(self, folder: Path) -> Path:
        return folder / "repo"

    def pool(self, *contents: bytes) -> Pool:
        """A pool with these disks; what it gives as a whole VM is all of them."""
        return Pool(*contents, xva=b"".join(contents))

    def contents(self, stage: Stage, point: Any) -> bytes:
        """All that is kept of the restore point."""
        if self.whole_vm:
            with stage.product.open_vm(point) as stream:
                return bytes(stream.read())
        found = []
        for disk in point.disks:
            with stage.product.open_disk(point, disk.number) as stream:
                found.append(stream.read())
        return b"".join(found)


def _xva(folder: Path) -> dict[str, Any]:
    (folder / "repo").mkdir(exist_ok=True)
    return {"directory": "repo", "leave_free": "1 MiB"}


BORG = Kind("borg", "borg", Borg, lambda _folder: {"repository": "repo", "passphrase": SECRET, "lock_wait": 5})
RESTIC = Kind("restic", "restic", Restic, lambda _folder: {"repository": "repo", "passphrase": SECRET})
XVA = Kind("xva", None, Xva, _xva, secret=False, whole_vm=True)
KINDS = {kind.name: kind for kind in (BORG, RESTIC, XVA)}


def needed(kind: Kind) -> Kind:
    """The kind; the test is skipped on a machine that does not have its program, and fails where nothing may be skipped."""
    if kind.program:
        programs.needed(kind.program, "borgbackup restic")
    return kind


def children(kind: Kind) -> dict[int, str]:
    """The processes of the kind's program that this process runs now, with their state; other tests may run others."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        for word in (task / "children").read_text().split():
            name, _, rest = Path(f"/proc/{word}/stat").read_text().partition("(")[2].rpartition(")")
            if name == kind.program:
                found[int(word)] = f"{name}{rest[:2]}"
    return found


def _by_hand(folder: Path) -> dict[str, str]:
    hand = {"BORG_PASSPHRASE": SECRET, "BORG_BASE_DIR": str(folder / "hand"), "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}
    return {**os.environ, **hand}


@contextmanager
def locked(folder: Path, passphrase: str = SECRET) -> Iterator[None]:
    """Somebody else's borg has the repository's lock."""
    environment = {**_by_hand(folder), "BORG_PASSPHRASE": passphrase}
    words = ["borg", "with-lock", str(folder / "repo"), "cat"]
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin
        assert other.stdout
        other.stdin.write(b"x\n")
        other.stdin.flush()
        assert other.stdout.readline() == b"x\n"
        try:
            yield
        finally:
            other.stdin.close()


def watched(kind: Kind, folder: Path) -> dict[str, Any]:
    """The setting for the kind's program that writes every start of it into `starts`, and does as `unwell` says once that is there.

    `unwell` is a line of shell; it is given the program's words and its environment.
    """
    script = folder / "watched"
    unwell, program = folder / "unwell", shutil.which(str(kind.program))
    script.write_text(f'#!/bin/sh\necho "$@" >> {folder}/starts\n[ ! -e {unwell} ] || . {unwell}\nexec {program} "$@"\n')
    script.chmod(0o755)
    return {str(kind.program): str(script)}


def starts(folder: Path) -> list[str]:
    """What the program was started for, in order, and begun anew."""
    file = folder / "starts"
    words = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    verbs = {"list", "create", "extract", "delete", "compact", "init", "snapshots", "backup", "dump", "forget", "prune", "unlock", "cat"}
    return [next(word for word in line.split() if word in verbs) for line in words]


def borg(folder: Path, *words: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Borg by hand, as somebody else uses the repository."""
    return subprocess.run(["borg", *words], env=_by_hand(folder), check=True, capture_output=True, **options)
