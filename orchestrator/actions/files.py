"""Single files out of a disk of a restore point, without restoring it."""

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from orchestrator import files
from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.actions.place import Place
from orchestrator.files import Disk
from orchestrator.plugged import Plugged
from orchestrator.views.points import Owned
from plugins.errors import GiveUp, RetryLater, SourceError
from state import audit
from state.audit import Act
from state.store import Session
from workflows import restore_points


def assert_path(path: str) -> None:
    """WrongInput for a path that no filesystem can be asked for."""
    try:
        files.quoted(path)
    except files.NoFile as error:
        raise WrongInput(str(error)) from None


Read = Callable[[], contextlib.AbstractContextManager[BinaryIO]]


def _anew(_: tuple[str, str, int], read: Read) -> contextlib.AbstractContextManager[BinaryIO]:
    return read()


@dataclass(frozen=True, slots=True)
class Bench:
    """Where disks are put while files are read from them; *had* gives one by product, restore point and number, which it may have kept."""

    folder: Path
    had: Callable[[tuple[str, str, int], Read], contextlib.AbstractContextManager[BinaryIO]] = _anew


@contextlib.contextmanager
def opened(made: Plugged, owned: Owned, written: str, bench: Bench) -> Iterator[Disk]:
    """The disk ("0") or partition ("0p1"), read from the repository into a file without a name on the *bench*: all of it, before a file is.

    Raises WrongInput, also for what is asked of the disk and is not there, and NotSo.
    """
    product, point = owned
    found = re.fullmatch(r"(\d+)(?:p(\d+))?", written)
    disk = next((one for one in point.disks if found and one.number == int(found[1])), None)
    if point.whole_vm:
        raise WrongInput(f"restore point {point.id} is a whole VM in one file: restore it beside to read its files")
    if found is None or disk is None:
        there = ", ".join(f"{one.number} ({one.name}, {one.size >> 20} MiB)" for one in point.disks)
        raise WrongInput(f"DISK {written!r}: write a number, or one with a partition, as 0p1; there are {there}")
    used = disk.size if restore_points.lacks(point) else int(restore_points.drawing(point, disk).get("used", disk.size))

    def read() -> contextlib.AbstractContextManager[BinaryIO]:
        return files.spooled(made.calls.open_disk(product, point, disk.number), disk.size, used, bench.folder)

    try:
        with bench.had((product, point.id, disk.number), read) as spool:
            yield Disk(spool, written, int(found[2]) if found[2] else None)
    except files.NoFile as error:
        raise WrongInput(str(error)) from None
    except (GiveUp, RetryLater, SourceError) as error:
        raise NotSo(f"disk {disk.number} of restore point {point.id} cannot be read: {error}") from None


def note(session: Session, at: Place, owned: Owned, what: str, count: int, *, now: datetime) -> None:
    """Write down that *what* ("/etc/hostname of disk 0") was taken out of the restore point, so many bytes."""
    product, point = owned
    act = Act(at.by, at.how, "fetch-file", f"{what} of restore point {product}/{point.id}", details={"bytes": count})
    audit.add(session, act, now=now)


def fetched(made: Plugged, owned: Owned, disk: str, path: str, bench: Bench) -> BinaryIO:
    """A single file, whole, as a file of its own without a name on the *bench*, to be read from its beginning. Raises as `opened`."""
    assert_path(path)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile(dir=bench.folder))
        with opened(made, owned, disk, bench) as there:
            there.copy(path, cast("BinaryIO", file))
        file.seek(0)
        stack.pop_all()
    return cast("BinaryIO", file)
