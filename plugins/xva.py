"""Whole VMs as XVA in a directory, each with its checksum and its manifest beside: what `xe vm-import` takes, with no program of ours."""

import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from pydantic import ByteSize, TypeAdapter

from plugins import points, streams
from plugins.errors import GiveUp
from plugins.hooks import hookimpl
from plugins.kit import Job, Kit, Result, Source
from plugins.own_jobs import OwnJobs
from plugins.settings import BesideConfig, Settings
from plugins.values import BackupVM, Needs, RestorePoint, Snapshot, Verified

logger = logging.getLogger(__name__)

XVA, SHA256, MANIFEST = ".xva", ".sha256", ".json"
LOOKS_EVERY = 256 << 20
STALE = timedelta(days=2)
PART = re.compile(r"\.(?P<name>vfo-.+)\.(?P<token>[0-9a-f]{6})\.part")


class XvaSettings(Settings):
    """`[products.NAME] plugin = "xva"`."""

    directory: BesideConfig
    """Where the files go. It must be there: an empty mount point is not filled by mistake."""
    leave_free: ByteSize = TypeAdapter(ByteSize).validate_python("1GiB")
    """How much room is left to others ("50 GB")."""


class Xva(OwnJobs):
    """A directory of XVA files."""

    Settings = XvaSettings

    def __init__(self, settings: XvaSettings, kit: Kit) -> None:
        super().__init__(kit)
        self._folder = settings.directory
        self._leave_free = int(settings.leave_free)

    @hookimpl
    def needs(self) -> Needs:
        """A snapshot that can be exported."""
        return Needs()

    @hookimpl
    def start_backup(self, vm: BackupVM, snapshot: Snapshot, source: Source) -> str:
        """Begin, when the directory is there."""
        self._assert_there()
        return self._kit.jobs.start(vm.run_id, lambda job: self._save(job, vm, snapshot, source))

    # -- saving ------------------------------------------------------------------------------------------------

    def _save(self, job: Job, vm: BackupVM, snapshot: Snapshot, source: Source) -> Result:
        name = points.named(vm, snapshot.taken_at, "vm", "0")
        final = self._folder / f"{name}{XVA}"
        if _beside(final, MANIFEST).exists():
            return Result(str(vm.run_id), message="it was saved before the process ended")
        self._sweep(name)
        self._assert_room(self._before(vm))
        part = self._folder / f".{name}.{secrets.token_hex(3)}.part"
        try:
            with source.open_vm() as stream:
                digest, size = self._write(part, stream, job)
            part.rename(final)
        except OSError as error:
            raise GiveUp(f"{final}: {error.strerror}{': make room, or save elsewhere' if error.errno == errno.ENOSPC else ''}") from error
        finally:
            part.unlink(missing_ok=True)
        _write_down(_beside(final, SHA256), f"{digest}  {final.name}\n".encode())
        point = points.made(vm, snapshot, {0: digest}, whole_vm=True)
        _write_down(_beside(final, MANIFEST), points.written(point))
        return Result(point.id, size, size, str(final))

    def _write(self, part: Path, stream: BinaryIO, job: Job) -> tuple[str, int]:
        """The checksum and the length of what was written; it is on the disk when this is over."""
        sha, size, looked = hashlib.sha256(), 0, 0
        with part.open("xb", buffering=0) as file:
            for piece in streams.pieces(stream):
                file.write(piece)
                sha.update(piece)
                size += len(piece)
                if size - looked >= LOOKS_EVERY:
                    looked = size
                    self._assert_room(0)
                job.say(read=size, stored=size, message=part.name)
            os.fsync(file.fileno())
        return sha.hexdigest(), size

    def _before(self, vm: BackupVM) -> int:
        """How large the last one of this VM is: this one will be about that."""
        sizes = {path.stat().st_mtime: path.stat().st_size for path in self._folder.glob(f"vfo-*-{vm.vm}-*{XVA}")}
        return sizes[max(sizes)] if sizes else 0

    def _assert_room(self, wanted: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < wanted + self._leave_free:
            raise GiveUp(f"{self._folder} has {free} bytes free: {wanted} are wanted, and leave_free = {self._leave_free} are to be left")

    def _assert_there(self) -> None:
        if not self._folder.is_dir():
            raise GiveUp(f"there is no directory {self._folder}: is it mounted? Make it, if it is to be new")

    def _sweep(self, name: str) -> None:
        """What dead jobs have left: of this backup, and of any when it is old."""
        old = datetime.now(UTC) - STALE
        for path in self._folder.glob("*vfo-*"):
            part = PART.fullmatch(path.name)
            unfinished = path.suffix == XVA and points.name_of(path.stem) is not None and not _beside(path, MANIFEST).exists()
            if (part and part["name"] == name) or ((part or unfinished) and _changed_at(path) < old):
                path.unlink(missing_ok=True)

    # -- what there is -----------------------------------------------------------------------------------------

    @hookimpl
    def list_backups(self) -> Sequence[RestorePoint]:
        """Every VM that has its manifest."""
        self._assert_there()
        found = []
        for path in self._folder.glob(f"vfo-*{MANIFEST}"):
            try:
                found.append(points.read(path.read_bytes()))
            except (OSError, ValueError) as error:
                logger.warning("[products.%s]: %s is left out: %s", self._kit.name, path, error)
        return sorted(found, key=lambda point: point.taken_at)

    @hookimpl
    def open_vm(self, point: RestorePoint) -> BinaryIO:
        """The file."""
        return self._file(point).open("rb", buffering=streams.PIECE)

    def _file(self, point: RestorePoint) -> Path:
        for path in self._of(point):
            if path.suffix == XVA:
                return path
        raise GiveUp(f"{self._folder} has no XVA of restore point {point.id}")

    def _of(self, point: RestorePoint) -> list[Path]:
        """The files of a restore point, the manifest first."""
        found = []
        for path in sorted(self._folder.glob(f"vfo-*-{point.run_id}-*")):
            name = points.name_of(path.stem)
            if name is not None and name.run == point.run_id and path.suffix in (XVA, SHA256, MANIFEST):
                found.append(path)
        return found

    @hookimpl
    def verify_backup(self, point: RestorePoint) -> Verified:
        """Read it, and compare its checksum."""
        path, sha = self._file(point), hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            for piece in streams.pieces(file):
                sha.update(piece)
        kept = _beside(path, SHA256).read_text().split()[0] if _beside(path, SHA256).exists() else point.sha256.get(0, "")
        if sha.hexdigest() != kept:
            return Verified(sound=False, message=f"{path} has SHA-256 {sha.hexdigest()}, and when it was saved {kept or 'none'}")
        return Verified(sound=True, message=f"{path} is as it was saved")

    @hookimpl
    def forget_backups(self, points: Sequence[RestorePoint]) -> int:
        """Remove the files, the manifest first: what is left of a crash is not taken for whole, and goes with the next call."""
        self._assert_there()
        freed = 0
        for point in points:
            for path in self._of(point):
                freed += path.stat().st_size
                path.unlink(missing_ok=True)
        return freed


def _changed_at(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.now(UTC)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name.removesuffix(XVA)}{suffix}")


def _write_down(path: Path, contents: bytes) -> None:
    """Whole or not at all, and on the disk."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
