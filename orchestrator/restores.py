"""`workflows.services.Transfers`: disks and VMs from a product's repository back into a pool, as jobs."""

import functools
import os
import threading
from collections.abc import Callable, Mapping
from typing import BinaryIO, Protocol
from uuid import UUID

from orchestrator.jobs import Jobs
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.transfers import PoolTransfers
from orchestrator.xapi.transfers_source import PoolSource
from orchestrator.xapi.turns import Turns
from plugins import streams
from plugins.errors import SourceError
from plugins.kit import Job, Result, Source
from plugins.values import Disk, Progress, RestorePoint, Snapshot


class Products(Protocol):
    """What a product gives back."""

    def open_disk(self, product: str, point: RestorePoint, number: int) -> BinaryIO:
        """The raw contents of a disk of a restore point."""

    def open_vm(self, product: str, point: RestorePoint) -> BinaryIO:
        """The whole VM of a restore point as XVA."""


class Reach:
    """The transfers of every configured pool, each made when it is first wanted. *turns*: what bounds their calls, where it is shared."""

    def __init__(self, pools: Mapping[str, PoolSettings], turns: Mapping[str, Turns] | None = None) -> None:
        self._pools = pools
        self._turns = turns or {}
        self._lock = threading.Lock()
        self._made: dict[str, PoolTransfers] = {}
        self._closed = False

    def of(self, pool: str) -> PoolTransfers:
        """Those of one pool; SourceError when it is not in the configuration, or this process ends."""
        with self._lock:
            if pool not in self._pools or self._closed:
                raise SourceError(f"pool {pool!r} is not in the configuration" if pool not in self._pools else "this process is stopping")
            if pool not in self._made:
                self._made[pool] = PoolTransfers(self._pools[pool], turns=self._turns.get(pool))
            return self._made[pool]

    def source_for(self, pool: str, snapshot: Snapshot) -> Source:
        """What products are given to read a snapshot of the pool by."""
        return PoolSource(self.of(pool), snapshot)

    def close(self) -> None:
        """Break every stream and log out everywhere."""
        with self._lock:
            self._closed = True
            made = list(self._made.values())
        for transfers in made:
            transfers.close()


class Restores:
    """The transfers into one pool. A job is one run's for one disk (one VM, one check): the run may begin several."""

    def __init__(self, reach: Reach, pool: str, products: Products, jobs: Jobs) -> None:
        self._reach = reach
        self._pool = pool
        self._products = products
        self._jobs = jobs

    def begin_restore(self, run_id: UUID, product: str, point: RestorePoint, number: int, vdi: str) -> str:
        """As `workflows.services.Transfers` says."""
        return self._jobs.start(f"restore.{vdi}", run_id, lambda job: self._restore(job, product, point, number, vdi))

    def begin_import(self, run_id: UUID, product: str, point: RestorePoint, SR: str, key: str) -> str:
        """As `workflows.services.Transfers` says."""
        return self._jobs.start(_import_name(key), run_id, lambda job: self._import(job, product, point, SR, run_id))

    def import_job(self, run_id: UUID, key: str) -> str:
        """As `workflows.services.Transfers` says."""
        return self._jobs.id_of(_import_name(key), run_id)

    def begin_check(self, run_id: UUID, product: str, point: RestorePoint) -> str:
        """As `workflows.services.Transfers` says."""
        return self._jobs.start(f"check.{product}", run_id, lambda job: self.check(job, product, point))

    def look(self, job: str) -> Progress:
        """How the job stands."""
        return self._jobs.look(job)

    def cancel(self, job: str) -> None:
        """End it."""
        self._jobs.cancel(job)

    def _restore(self, job: Job, product: str, point: RestorePoint, number: int, vdi: str) -> Result:
        disk = _disk(point, number)
        moved = _Moved(job, disk.size, f"disk {number} of {point.vm_name}", point.sha256.get(number))
        self._reach.of(self._pool).write_disk(
            vdi, disk.size, moved.anew(lambda: self._products.open_disk(product, point, number)), moved.took
        )
        moved.compare(point)
        return Result(point.id, moved.bytes, moved.bytes, details={"sha256": moved.digest})

    def _import(self, job: Job, product: str, point: RestorePoint, SR: str, run_id: UUID) -> Result:
        with self._products.open_vm(product, point) as stream:
            size = _length(stream)
        moved = _Moved(job, size, f"VM {point.vm_name}", point.sha256.get(0))
        opened = moved.anew(lambda: self._products.open_vm(product, point))
        made = self._reach.of(self._pool).write_vm(SR, size, opened, moved.took, str(run_id))
        moved.compare(point)
        return Result(made, moved.bytes, moved.bytes, details={"sha256": moved.digest})

    def check(self, job: Job, product: str, point: RestorePoint) -> Result:
        """The work of that job, for one that does more besides. Of a whole VM there is one checksum, under number 0: of its XVA.

        Raises SourceError, and what the product raises.
        """
        whole, digests = sum(disk.size for disk in point.disks), {}
        read = 0
        for number in [0] if point.whole_vm else [disk.number for disk in point.disks]:
            moved = _Moved(job, whole, f"disk {number} of {point.vm_name}", point.sha256.get(number), read)
            with moved.anew(functools.partial(self._opened, product, point, number))() as stream:
                for piece in streams.pieces(stream):
                    moved.took(piece)
            if not point.whole_vm and moved.bytes != _disk(point, number).size:
                raise SourceError(f"restore point {point.id}: disk {number} has {moved.bytes} bytes, not {_disk(point, number).size}")
            moved.compare(point)
            read, digests[str(number)] = read + moved.bytes, moved.digest
        unknown = [number for number in digests if int(number) not in point.sha256]
        message = f"no checksum was kept of disk {', '.join(unknown)}" if unknown else "all checksums agree"
        return Result(point.id, read, message=message, details={"sha256": digests})

    def _opened(self, product: str, point: RestorePoint, number: int) -> BinaryIO:
        return self._products.open_vm(product, point) if point.whole_vm else self._products.open_disk(product, point, number)


def _import_name(key: str) -> str:
    return f"import.{key}"


class _Moved:
    """What went by of one stream: its length and checksum, said to the job."""

    def __init__(self, job: Job, size: int, what: str, kept: str | None, before: int = 0) -> None:
        self._job = job
        self._size = size
        self._what = what
        self._before = before
        self._kept = kept
        self._sha = streams.like(kept)
        self.bytes = 0

    @property
    def digest(self) -> str:
        """The checksum, of the kind that was kept."""
        return self._sha.hexdigest()

    def anew(self, opened: Callable[[], BinaryIO]) -> Callable[[], BinaryIO]:
        """Open the stream, and count from nothing: it may be sent a second time."""

        def again() -> BinaryIO:
            self._sha, self.bytes = streams.like(self._kept), 0
            self._job.say(read=self._before, message=self._what)
            return opened()

        return again

    def took(self, piece: memoryview) -> None:
        """The next piece."""
        self._sha.update(piece)
        self.bytes += len(piece)
        done = self._before + self.bytes
        self._job.say(read=done, stored=done, fraction=min(1.0, done / self._size) if self._size else None, message=self._what)

    def compare(self, point: RestorePoint) -> None:
        """SourceError when the checksum is not the one that the product has kept."""
        if self._kept is not None and self._kept != self.digest:
            raise SourceError(f"restore point {point.id}: {self._what} has SHA-256 {self.digest}, and when it was saved {self._kept}")


def _disk(point: RestorePoint, number: int) -> Disk:
    for disk in point.disks:
        if disk.number == number:
            return disk
    raise SourceError(f"restore point {point.id} has no disk {number}: it has {', '.join(str(disk.number) for disk in point.disks)}")


def _length(stream: BinaryIO) -> int:
    """How many bytes the stream has; the pool must be told before the first of them."""
    try:
        return stream.seek(0, os.SEEK_END)
    except (OSError, AttributeError):
        raise SourceError(
            "the product gives a stream whose length nobody knows, and a pool imports only what it knows the length of"
        ) from None
