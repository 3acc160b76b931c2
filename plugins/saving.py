"""One backup on its way into a repository: the disks one after the other, then the manifest that makes a restore point of them."""

import secrets
from collections.abc import Iterator
from typing import BinaryIO, cast

from plugins import points, repositories, streams
from plugins.composing import Composer, Slower
from plugins.errors import SourceError
from plugins.kit import Job, Result
from plugins.points import MANIFEST
from plugins.repositories import Kept, Repository
from plugins.values import BackupVM, Disk, RestorePoint, Snapshot


class Saving:
    """One backup on its way."""

    def __init__(self, job: Job, vm: BackupVM, snapshot: Snapshot, composer: Composer, repository: Repository) -> None:
        self._job = job
        self._vm = vm
        self._snapshot = snapshot
        self._composer = composer
        self._repository = repository
        self.attempt = secrets.token_hex(3)
        self._whole = sum(disk.size for disk in snapshot.disks)
        self._read = self._stored = 0
        self._message = ""
        self._sha256: dict[int, str] = {}

    def save(self, *, checksums: bool) -> RestorePoint:
        """The disks, then the manifest, which has checksums of ours if they are wanted."""
        for disk in self._snapshot.disks:
            self._message = f"disk {disk.number} ({disk.name or disk.device})"
            self._stored += self._disk(disk, checksums=checksums)
        point = points.made(self._vm, self._snapshot, self._sha256)
        self._message = "the manifest"
        self._stored += self._put(MANIFEST, iter([memoryview(points.written(point))]))
        return point

    def all_there(self, point: RestorePoint) -> list[Kept]:
        """What the repository has, this backup among it. SourceError where somebody took us for dead and removed a part of it."""
        there = list(self._repository.listed(patient=True))
        if missing := repositories.missing(there, point, self.attempt):
            raise SourceError(f"{', '.join(missing)} were removed from the repository while the backup was at work")
        return there

    def result(self, point: RestorePoint) -> Result:
        """What the job came to."""
        disks = f"{len(self._snapshot.disks)} disks"
        return Result(point.id, self._composer.read, self._stored, disks, self._composer.details())

    def _disk(self, disk: Disk, *, checksums: bool) -> int:
        """Composed of what changed and of an earlier backup, where that is wanted and works; else whole."""
        before = self._read
        try:
            stored = self._composed(disk, checksums=checksums)
        except (SourceError, Slower) as error:
            self._composer.given_up(str(error))
            self._read = before
            left = [kept for kept in self._repository.listed(patient=True) if kept.attempt == self.attempt]
            self._repository.drop([kept for kept in left if kept.part.rstrip("?") == f"disk{disk.number}"])
            stored = None
        if stored is not None:
            return stored
        with self._composer.source.open_disk(disk) as stream:
            stored = self._put(f"disk{disk.number}", self._composer.timed(self._pieces(disk, stream, checksums=checksums)))
        self._composer.was_read(disk.size)
        return stored

    def _composed(self, disk: Disk, *, checksums: bool) -> int | None:
        composed = self._composer.stream(disk)
        if composed is None:
            return None
        try:
            with composed:
                pieces = self._pieces(disk, cast("BinaryIO", composed), checksums=checksums)
                return self._put(f"disk{disk.number}", self._composer.timed(pieces))
        finally:
            self._composer.was_read(composed.read_from_pool)

    def _put(self, part: str, pieces: Iterator[memoryview]) -> int:
        return self._repository.put(points.named(self._vm, self._snapshot.taken_at, part, self.attempt), pieces, self._say)

    def _say(self) -> None:
        fraction = self._read / self._whole if self._whole else None
        self._job.say(read=self._read, stored=self._stored, fraction=fraction, message=self._message)

    def _pieces(self, disk: Disk, stream: BinaryIO, *, checksums: bool) -> Iterator[memoryview]:
        """The disk, exactly; its checksum is made of each piece while the program is at work on it."""
        sha, before = streams.Piecewise(), self._read
        for piece in streams.pieces(stream):
            yield piece
            if checksums:
                sha.update(piece)
            self._read += len(piece)
            self._say()
        if self._read - before != disk.size:
            raise SourceError(f"disk {disk.uuid} gave {self._read - before} of {disk.size} bytes")
        if checksums:
            self._sha256[disk.number] = sha.hexdigest()
