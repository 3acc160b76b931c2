"""What a plugin is handed to work with, as Protocols: the pool's data of one backup, and jobs that outlive the call that began them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from plugins.values import Disk, Extent, Progress


class Source(Protocol):
    """The data of one snapshot, read from the pool. Each may raise `SourceError`; a stream is whole only when `close` was quiet."""

    def open_disk(self, disk: Disk) -> BinaryIO:
        """The raw contents, from the first byte to the last (`GET /export_raw_vdi`), `disk.size` bytes.

        Closing it before its end gives it up. `SourceError` at the end when the pool's task failed or bytes are missing.
        """

    def open_vm(self) -> BinaryIO:
        """The whole snapshot as XVA (`GET /export`)."""

    def changed(self, disk: Disk, since: str) -> tuple[Extent, ...] | None:
        """What changed since the backup whose disk was VDI *since* (a `Disk.uuid` of an earlier snapshot); None: nobody knows, read all."""

    def read(self, disk: Disk, extents: Iterable[Extent]) -> Iterator[tuple[Extent, bytes]]:
        """The contents of these pieces alone, in order, in pieces of at most 1 MiB. `SourceError` where the pool has no way to read so."""


class Job(Protocol):
    """A job at work, in its own thread."""

    def say(self, *, read: int = 0, stored: int = 0, fraction: float | None = None, message: str = "") -> None:
        """How far it is (totals, not differences). Cheap: may be called for every piece. Raises `Cancelled` when it is to end."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a job came to: as in `Progress`."""

    point: str
    read: int = 0
    stored: int = 0
    message: str = ""
    details: Mapping[str, Any] | None = None


Work = Callable[[Job], Result]


class Jobs(Protocol):
    """Jobs that run in this process and are known in the database: another process sees that one is alive, done, or lost."""

    def start(self, run_id: UUID, work: Work) -> str:
        """Begin *work* in a thread of its own; the job's id. For a run whose job is at work or done: that job's id, nothing is begun.

        A job whose process died is begun anew, so *work* must do with what it left (a half-made archive). RetryLater when as many jobs
        are at work as the configuration allows.
        """

    def look(self, job: str) -> Progress:
        """How the job stands; "lost" when it is unknown or its process is gone."""

    def cancel(self, job: str) -> None:
        """Ask it to end; it does so at its next word. No error when it has."""


@dataclass(frozen=True, slots=True)
class Kit:
    """Handed to every instance of a plugin. *name*: the NAME of its table. *folder*: a private directory, which exists and is its own."""

    name: str
    folder: Path
    jobs: Jobs
