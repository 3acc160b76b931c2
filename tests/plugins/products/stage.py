"""What products are played with: a pool's data that is made up, jobs without a database, a VM and its snapshot."""

import io
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID, uuid4

from plugins.errors import Cancelled, GiveUp, RetryLater, SourceError
from plugins.kit import Kit, Result, Source, Work
from plugins.values import BackupVM, Disk, Extent, Progress, Snapshot

MIB = 1 << 20
TAKEN = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


class Stream(io.RawIOBase):
    """Contents that may break off, or wait at a place until somebody says go."""

    def __init__(self, contents: bytes, breaks_at: int | None, gate: "Gate | None") -> None:
        super().__init__()
        self._contents = contents
        self._at = 0
        self._breaks_at = breaks_at
        self._gate = gate

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._contents[self._at : self._at + min(len(buffer), MIB)]
        self._at += len(piece)
        if self._breaks_at is not None and self._at >= self._breaks_at:
            raise SourceError(f"{self._at} bytes came, and the task failed")
        if self._gate is not None and self._at >= self._gate.at:
            self._gate.reached.set()
            self._gate.go.wait(30)
        buffer[: len(piece)] = piece
        return len(piece)


class Gate:
    def __init__(self, at: int) -> None:
        self.at = at
        self.reached = threading.Event()
        self.go = threading.Event()


class Pool:
    """`plugins.kit.Source` over bytes."""

    def __init__(self, *contents: bytes, xva: bytes = b"") -> None:
        self.contents = list(contents)
        self.xva = xva
        self.breaks_at: int | None = None
        self.gate: Gate | None = None

    def open_disk(self, disk: Disk) -> BinaryIO:
        return io.BufferedReader(Stream(self.contents[disk.number], self.breaks_at, self.gate))

    def open_vm(self) -> BinaryIO:
        return io.BufferedReader(Stream(self.xva, self.breaks_at, self.gate))

    def changed(self, disk: Disk, since: str) -> tuple[Extent, ...] | None:
        return None

    def read(self, disk: Disk, extents: Iterable[Extent]) -> Iterator[tuple[Extent, bytes]]:
        raise SourceError("no")


class _Job:
    def __init__(self) -> None:
        self.ends = False
        self.progress = Progress("running")

    def say(self, *, read: int = 0, stored: int = 0, fraction: float | None = None, message: str = "") -> None:
        if self.ends:
            raise Cancelled("it was cancelled")
        self.progress = Progress("running", fraction, read, stored, "", message)


class Jobs:
    """`plugins.kit.Jobs` without a database; `forget_all` is the death of the process in the eyes of whoever asks."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(self, run_id: UUID, work: Work) -> str:
        job_id = f"job:{run_id}"
        there = self._jobs.get(job_id)
        if there is None or there.progress.state not in ("running", "done"):
            job = self._jobs[job_id] = _Job()
            self._threads[job_id] = threading.Thread(target=self._run, args=(job, work), daemon=True)
            self._threads[job_id].start()
        return job_id

    def _run(self, job: _Job, work: Work) -> None:
        try:
            result: Result = work(job)
            job.progress = Progress("done", 1.0, result.read, result.stored, result.point, result.message, result.details or {})
        except RetryLater as error:
            job.progress = Progress("lost", message=str(error))
        except (Cancelled, GiveUp, SourceError) as error:
            job.progress = Progress("failed", message=str(error))
        except Exception as error:  # noqa: BLE001 - as the real one
            job.progress = Progress("failed", message=f"{type(error).__name__}: {error}")

    def look(self, job: str) -> Progress:
        return self._jobs[job].progress if job in self._jobs else Progress("lost")

    def cancel(self, job: str) -> None:
        if job in self._jobs:
            self._jobs[job].ends = True

    def join(self, job: str, within: float = 100) -> Progress:
        self._threads[job].join(within)
        assert not self._threads[job].is_alive(), self.look(job)
        return self.look(job)

    def forget_all(self) -> None:
        self._jobs.clear()


class Stage:
    """One product over a repository in a folder. `again` is the product of a process that was started anew."""

    def __init__(self, folder: Path, make: Callable[[Kit], Any]) -> None:
        self.folder = folder
        self.kit_folder = folder / "kit"
        self.kit_folder.mkdir(exist_ok=True)
        self._make = make
        self.jobs = Jobs()
        self.product = make(Kit("nas", self.kit_folder, self.jobs))

    def again(self) -> Any:
        self.jobs = Jobs()
        self.product = self._make(Kit("nas", self.kit_folder, self.jobs))
        return self.product

    def save(self, pool: Source, vm: BackupVM, snapshot: Snapshot) -> Progress:
        return self.jobs.join(self.product.start_backup(vm, snapshot, pool))


def a_vm(**changes: Any) -> BackupVM:
    values: dict[str, Any] = {
        "run_id": uuid4(),
        "pool": "lab one",
        "vm": str(uuid4()),
        "name": "web-01",
        "policy": "nightly",
        "product": "nas",
        "window": "",
        "power_state": "Running",
    }
    return BackupVM(**{**values, **changes})


def a_snapshot(*sizes: int, after: timedelta = timedelta()) -> Snapshot:
    disks = tuple(Disk(n, str(n), str(uuid4()), str(uuid4()), f"disk {n}", size) for n, size in enumerate(sizes))
    return Snapshot(str(uuid4()), "vfo backup", TAKEN + after, disks, {"vm": {"name_label": "web-01", "VCPUs_max": 2}, "vifs": []})
