"""What a plugin's tests need instead of a pool and a daemon: data in memory, jobs in memory, a VM and its snapshot to try."""

import hashlib
import io
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO
from uuid import UUID, uuid4

from plugins.errors import Cancelled, GiveUp, RetryLater, SourceError
from plugins.kit import Result, Source, Work
from plugins.values import BackupVM, Disk, Extent, Progress, Snapshot

PIECE = 1 << 16
PIECEWISE = "sha256/1MiB:"
"""The SHA-256 of the SHA-256s of every MiB begins so."""
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def vm(run_id: UUID | None = None, name: str = "web 1 'ü' $(x)", **fields: str) -> BackupVM:
    """A VM; its name has in it what careless programs stumble over."""
    given = {"pool": "vfo-check", "vm": str(uuid4()), "policy": "vfo-check", "product": "product", "window": "", "power_state": "Running"}
    return BackupVM(run_id=run_id or uuid4(), name=name, **{**given, **fields}, tags=("tag",))


def contents(size: int, seed: int = 0) -> bytes:
    """Contents of a disk: noise with a hole in it."""
    noise = random.Random(seed).randbytes(size)  # noqa: S311 - it is to be the same each time
    return noise[: size // 4] + bytes(size // 2) + noise[size - (size - size // 4 - size // 2) :]


@dataclass(frozen=True, slots=True)
class Sample:
    """A snapshot with its data; a new *source* at every call."""

    snapshot: Snapshot
    source: Callable[[], Source]


def sample(*sizes: int) -> Sample:
    """A snapshot with disks of these sizes (bytes), in memory."""
    disks = tuple(
        Disk(number, str(number), str(uuid4()), str(uuid4()), f"disk {number}", size)
        for number, size in enumerate(sizes or (1 << 19, 1 << 17))
    )
    data = {disk.uuid: contents(disk.size, disk.number) for disk in disks}
    blueprint = {"VM": {"name_label": "web 1", "memory": 1 << 30}, "VIFs": [{"MAC": "02:00:00:00:00:01"}]}
    snapshot = Snapshot(str(uuid4()), "a snapshot", NOON, disks, blueprint)
    return Sample(snapshot, lambda: BytesSource(data, whole=contents(1 << 18, 99)))


@dataclass(frozen=True, slots=True)
class BytesSource:
    """`plugins.kit.Source` over bytes: *disks* by the uuid of the snapshot's VDI, *whole* for the whole VM.

    *since*: what changed, by (uuid, uuid of the earlier snapshot's disk); for other pairs nobody knows.
    """

    disks: Mapping[str, bytes]
    whole: bytes = b""
    since: Mapping[tuple[str, str], tuple[Extent, ...]] = field(default_factory=dict)

    def open_disk(self, disk: Disk) -> BinaryIO:
        """The raw contents."""
        return io.BytesIO(self.disks[disk.uuid])

    def open_vm(self) -> BinaryIO:
        """The whole VM."""
        return io.BytesIO(self.whole)

    def changed(self, disk: Disk, since: str) -> tuple[Extent, ...] | None:
        """What changed."""
        return self.since.get((disk.uuid, since))

    def read(self, disk: Disk, extents: Iterable[Extent]) -> Iterator[tuple[Extent, bytes]]:
        """The contents of these pieces."""
        for one in extents:
            yield one, self.disks[disk.uuid][one.offset : one.offset + one.length]


class _Stream(io.RawIOBase):
    """Reads from another stream in small pieces and asks *at* before each, with how much was read."""

    def __init__(self, stream: BinaryIO, at: Callable[[int], None], saw: Callable[[bytes], None] = lambda _: None) -> None:
        self._stream = stream
        self._at = at
        self._saw = saw
        self._got = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """The next piece."""
        self._at(self._got)
        piece = self._stream.read(min(len(buffer), PIECE))
        buffer[: len(piece)] = piece
        self._got += len(piece)
        self._saw(piece)
        return len(piece)

    def close(self) -> None:
        """Close both."""
        self._stream.close()
        super().close()


class _Through:
    """A source whose streams are disturbed."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def at(self, got: int) -> None:
        """What happens after so many bytes."""

    def open_disk(self, disk: Disk) -> BinaryIO:
        """The raw contents, disturbed."""
        return io.BufferedReader(_Stream(self._source.open_disk(disk), self.at), PIECE)

    def open_vm(self) -> BinaryIO:
        """The whole VM, disturbed."""
        return io.BufferedReader(_Stream(self._source.open_vm(), self.at), PIECE)

    def changed(self, _disk: Disk, _since: str) -> tuple[Extent, ...] | None:
        """Nobody knows."""
        return None

    def read(self, disk: Disk, extents: Iterable[Extent]) -> Iterator[tuple[Extent, bytes]]:
        """As the source says."""
        return self._source.read(disk, extents)


class BrokenSource(_Through):
    """Its streams break after some bytes, as they do when the pool's task fails."""

    def at(self, got: int) -> None:
        """Break."""
        if got:
            raise SourceError(f"the stream broke after {got} bytes")


class Witness(_Through):
    """Remembers what the whole VM was when it was read: two exports of one snapshot need not be the same."""

    whole_sha256 = ""

    def open_vm(self) -> BinaryIO:
        """The whole VM, watched."""
        found = hashlib.sha256()

        def saw(piece: bytes) -> None:
            found.update(piece)
            self.whole_sha256 = found.hexdigest()

        return io.BufferedReader(_Stream(self._source.open_vm(), self.at, saw), PIECE)


class SlowSource(_Through):
    """Its streams crawl until `go` is set: time to look at a job, to cancel it, to kill it."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.go = threading.Event()
        self.reading = threading.Event()

    def at(self, _got: int) -> None:
        """Crawl."""
        self.reading.set()
        self.go.wait(0.1)


class Killed(BaseException):
    """Ends a job's thread as a kill of its process would: no `except Exception` sees it."""


class MemoryJobs:
    """`plugins.kit.Jobs` in memory, for one life of a process: `kill` ends it, and whatever was at work is lost."""

    def __init__(self, at_once: int = 4) -> None:
        self._at_once = at_once
        self._jobs: dict[str, _MemoryJob] = {}
        self.refused = False

    def start(self, run_id: UUID, work: Work) -> str:
        """As `plugins.kit.Jobs` says."""
        job = str(run_id)
        there = self._jobs.get(job)
        if there is None or there.progress.state in ("failed", "lost"):
            if sum(one.progress.state == "running" for one in self._jobs.values()) >= self._at_once:
                self.refused = True
                raise RetryLater("as many jobs are at work as there may be")
            self._jobs[job] = _MemoryJob(work)
        return job

    def look(self, job: str) -> Progress:
        """As `plugins.kit.Jobs` says."""
        return self._jobs[job].progress if job in self._jobs else Progress("lost")

    def cancel(self, job: str) -> None:
        """As `plugins.kit.Jobs` says."""
        if job in self._jobs:
            self._jobs[job].ends_with = self._jobs[job].ends_with or Cancelled("it was cancelled")

    def wait(self, job: str, within: float = 60) -> Progress:
        """How the job ended."""
        self._jobs[job].thread.join(within)
        return self.look(job)

    def kill(self, within: float = 20) -> None:
        """The process dies: every job ends where it is, and all is forgotten."""
        for one in self._jobs.values():
            one.ends_with = Killed()
        for one in self._jobs.values():
            one.thread.join(within)
        self._jobs.clear()


class _MemoryJob:
    """One job; it is its own `plugins.kit.Job`."""

    def __init__(self, work: Work) -> None:
        self.progress = Progress("running")
        self.ends_with: BaseException | None = None
        self._work = work
        self.thread = threading.Thread(target=self._run, name="job", daemon=True)
        self.thread.start()

    def say(self, *, read: int = 0, stored: int = 0, fraction: float | None = None, message: str = "") -> None:
        """As `plugins.kit.Job` says."""
        if self.ends_with is not None:
            raise self.ends_with
        self.progress = Progress("running", fraction, read, stored, "", message)

    def _run(self) -> None:
        try:
            got = self._work(self)
            if not isinstance(got, Result):
                raise TypeError(f"the job gave {type(got).__name__}: it must give plugins.kit.Result")  # noqa: TRY301 - it ends as any other error
            self.progress = Progress("done", 1.0, got.read, got.stored, got.point, got.message, got.details or {})
        except (Cancelled, GiveUp, SourceError) as error:
            self.progress = Progress("failed", message=str(error))
        except (Killed, RetryLater) as error:
            self.progress = Progress("lost", message=str(error))
        except BaseException as error:  # noqa: BLE001 - whatever a plugin raises ends in its progress
            self.progress = Progress("failed", message=f"{type(error).__name__}: {error}")


def sum_like(kept: str, stream: BinaryIO) -> str:
    """The checksum of a stream, of the kind that a restore point has (`RestorePoint.sha256`); it is closed."""
    if not kept.startswith(PIECEWISE):
        return sha256(stream)
    found, have = hashlib.sha256(), b""
    with stream:
        while piece := stream.read((1 << 20) - len(have)):  # a stream of the network may give less than was asked for
            have += piece
            if len(have) == 1 << 20:
                found.update(hashlib.sha256(have).digest())
                have = b""
    found.update(hashlib.sha256(have).digest() if have else b"")
    return PIECEWISE + found.hexdigest()


def sha256(stream: BinaryIO) -> str:
    """The SHA-256 of a stream from here to its end; it is closed."""
    found = hashlib.sha256()
    with stream:
        while piece := stream.read(1 << 20):
            found.update(piece)
    return found.hexdigest()
