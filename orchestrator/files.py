"""Single files out of a disk of a restore point, without restoring it: the disk as a sparse file that nobody sees, and debugfs to read it.

The file has no name, so that it is gone whenever this process is. Only ext2, ext3 and ext4 are read: what else is there is said. PATH is
data: it is quoted for debugfs, never a command of it.
"""

import os
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from orchestrator import partitions
from orchestrator.partitions import Partition
from plugins import streams

T = TypeVar("T")

MIB = 1 << 20
SPARE = 256 * MIB
"""What stays free where the disk is put: others write there too."""
LOOK_EVERY = 64 * MIB
LINE = re.compile(r"/(\d+)/(\d+)/(\d+)/(\d+)/([^/]*)/(\d*)/")  # a name may have anything but a slash, ends of lines too
LINKS = 16


class NoFile(Exception):
    """What was asked for cannot be had from this disk: why, and what to do."""


class NoRoom(NoFile):
    """The disk does not fit where it was to be put."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a directory: *kind* is "file", "directory", "symlink" or "other"; *mode* are its permissions, *size* in bytes.

    Bytes of a *name* that are no UTF-8 are written out in it, by a backslash and their number.
    """

    name: str
    kind: str
    mode: int
    size: int


KINDS = {0o10: "file", 0o4: "directory", 0o12: "symlink"}


@contextmanager
def spooled(stream: BinaryIO, size: int, used: int, folder: Path, told: Callable[[int], None] = lambda _: None) -> Iterator[BinaryIO]:
    """The disk as a file without a name in the folder, zeros as holes; *used*: how much of it is likely not zero. `NoRoom`, `NoFile`."""
    try:
        _assert_room(folder, min(used, size))
    except NoRoom:
        stream.close()
        raise
    with tempfile.TemporaryFile(dir=folder) as spool:
        at = looked = 0
        with stream:
            for piece in streams.pieces(stream):
                if at - looked >= LOOK_EVERY:
                    _assert_room(folder, 0)
                    looked = at
                if piece.tobytes().count(0) != len(piece):
                    spool.seek(at)
                    spool.write(piece)
                at += len(piece)
                told(at)
        spool.truncate(at)
        spool.flush()
        if at != size:
            raise NoFile(f"the repository gave {at} bytes of the disk, and it has {size}")
        yield cast("BinaryIO", spool)


def _assert_room(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted + SPARE:
        raise NoRoom(
            f"{folder} has {free >> 20} MiB free, and the disk wants {wanted + SPARE >> 20} MiB:"
            " name another place with --scratch, for the web with [console] scratch"
        )


class Disk:
    """A spooled disk, or one partition of it; *called* is what a person named it by ("0", "0p1")."""

    def __init__(self, spool: BinaryIO, called: str, partition: int | None) -> None:
        self._spool = spool
        self._offset = 0
        found = partitions.read(spool)
        if partition is not None:
            one = next((one for one in found if one.number == partition), None)
            if one is None:
                raise NoFile(f"disk {called.partition('p')[0]} has no partition {partition}: {_in_words(spool, called, found)}")
            self._offset = one.start
        kind = partitions.contents(spool, self._offset)
        if kind != "ext":
            raise NoFile(self._said(called, kind, found if partition is None else ()))

    def _said(self, called: str, kind: str, found: tuple[Partition, ...] | list[Partition]) -> str:
        if found:
            return f"disk {called} has partitions, name one of them: {_in_words(self._spool, called, found)}"
        return (
            f"{called} holds {kind or 'nothing that is known'}, and files come out of ext2, ext3 and ext4 alone: restore it beside"
            " (`vfo backup restore ID --as NAME`) and read it there"
        )

    def entries(self, path: str) -> list[Entry]:
        """The directory's entries, or the one line of a file; NoFile when there is nothing at the path."""
        path, kind = self._found(path)
        if kind != "directory":
            parent, _, name = path.rpartition("/")
            return [entry for entry in self._listed(parent or "/") if entry.name == _legible(name)]
        return [entry for entry in self._listed(path) if entry.name not in (".", "..")]

    def _listed(self, path: str) -> list[Entry]:
        found = []
        for match in LINE.finditer(self._asked(f"ls -p {quoted(path)}")):
            inode, mode, name, size = int(match[1]), int(match[2], 8), match[5], match[6]
            if inode:
                found.append(Entry(_legible(name), KINDS.get(mode >> 12, "other"), mode & 0o7777, int(size or 0)))
        return found

    def copy(self, path: str, target: BinaryIO) -> int:
        """Write the file's contents into the target; how many bytes. NoFile when it is none."""
        path, kind = self._found(path)
        if kind != "regular":
            raise NoFile(f"{path}: it is a {kind}, and files alone come out: `ls` shows what is there")
        copied, complaint = self._debugfs(f"cat {quoted(path)}", lambda output: _copied(output, target))
        if complaint:
            raise NoFile(f"{path}: {complaint}")
        return copied

    def _found(self, asked: str) -> tuple[str, str]:
        """What is at the path, and where that is: a symbolic link at its end is followed within this filesystem."""
        path = asked.rstrip("/") or "/"
        for _ in range(LINKS):
            said, complaint = self._told(f"stat {quoted(path)}")
            found = re.search(r"^Inode: .*?Type: (\w+)", said, re.MULTILINE)
            if found is None:
                raise NoFile(_nothing(asked, path, complaint))
            if found[1] != "symlink":
                return path, found[1]
            path = posixpath.join(posixpath.dirname(path), self._target(path, said)).rstrip("/") or "/"
        raise NoFile(f"{asked}: the symbolic links lead round in a circle")

    def _target(self, path: str, said: str) -> str:
        """Where the link leads; a long one stands in a block of its own, as the contents of a file do. ".." is left to debugfs."""
        to = re.search(r'^Fast link dest: "(.*)"$', said, re.MULTILINE)
        return to[1] if to else self._told(f"cat {quoted(path)}")[0]

    def _asked(self, request: str) -> str:
        said, complaint = self._told(request)
        if complaint and not said:
            raise NoFile(complaint)
        return said

    def _told(self, request: str) -> tuple[str, str]:
        said, complaint = self._debugfs(request, lambda output: output.read())
        return said.decode(errors="surrogateescape"), complaint

    def _debugfs(self, request: str, take: Callable[[BinaryIO], T]) -> tuple[T, str]:
        """What *take* makes of the output, and what it complained of: it ends well whatever was amiss."""
        number = self._spool.fileno()
        image = f"/proc/self/fd/{number}" + (f"?offset={self._offset}" if self._offset else "")
        program = shutil.which("debugfs", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
        if program is None:
            raise NoFile("the program debugfs is not installed: it is in the package e2fsprogs")
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "DEBUGFS_PAGER": "__none__"}
        with tempfile.TemporaryFile() as complaints:
            command = [program, "-R", request, image]
            with subprocess.Popen(  # noqa: S603 - the request is quoted, and no shell is in between
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, pass_fds=(number,), env=environment
            ) as running:
                taken = take(cast("BinaryIO", running.stdout))
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").splitlines()
        return taken, "; ".join(line.strip() for line in said if line.strip() and not re.match(r"debugfs \d", line))


def _nothing(asked: str, path: str, complaint: str) -> str:
    """Why nothing was found at *path*, to which *asked* led."""
    where = asked if path == (asked.rstrip("/") or "/") else f"{asked} is a symbolic link to {path}, where"
    if not complaint or "not found" in complaint or "not a directory" in complaint:
        return f"{where}{':' if where == asked else ''} there is nothing of that name: `ls` shows what there is"
    return f"{asked}: {complaint}"


def _legible(name: str) -> str:
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _copied(output: BinaryIO, target: BinaryIO) -> int:
    copied = 0
    for piece in streams.pieces(output):
        target.write(piece)
        copied += len(piece)
    target.flush()
    return copied


def quoted(path: str) -> str:
    """The path as one word for debugfs, its quotes doubled (e2fsprogs: lib/ss/parse.c). NoFile for what it cannot be asked."""
    if not path.startswith("/"):
        raise NoFile(f"PATH {path!r}: write it from the root of the filesystem, as /etc/hostname")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise NoFile(f"PATH {path!r}: it has control characters, which debugfs cannot be asked for")
    return '"' + path.replace('"', '""') + '"'


def _in_words(spool: BinaryIO, called: str, found: tuple[Partition, ...] | list[Partition]) -> str:
    disk = called.partition("p")[0]
    said = [f"{disk}p{one.number} ({one.size >> 20} MiB, {partitions.contents(spool, one.start) or 'unknown'})" for one in found]
    return ", ".join(said) or "it has none"
