"""What differs between the programs that keep streams in a repository, and what is told of the streams by their names alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Protocol

from plugins.errors import RetryLater
from plugins.points import MANIFEST
from plugins.values import RestorePoint, Verified

STALE = timedelta(days=2)


class Busy(RetryLater):
    """It is there and lets us in, and somebody else, in another process or on another machine, is at work on it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A stream of ours in the repository.

    *id*: there. *part*: "disk0", "manifest". *attempt*: which begin of the run's job made it: two that are at work at once, since one
    process took the other for dead, must not mix theirs. *at*: when the snapshot was taken.
    """

    id: str
    name: str
    vm: str
    run: str
    part: str
    attempt: str
    at: datetime


class Repository(Protocol):
    """What differs between the programs. Each may raise Busy, RetryLater (it is away) and GiveUp."""

    exclusive: bool
    """Whether it lets nobody else in while it takes a stream."""

    @property
    def path(self) -> str:
        """Which one it is: two tables may name the same."""

    @property
    def known(self) -> bool:
        """Whether it was there before."""

    def look(self) -> Sequence[Kept]:
        """As `listed`; nothing where it may yet be made. GiveUp where it is gone, or does not let us in."""

    def ready(self) -> Sequence[Kept]:
        """As `listed`, of one that is made where it may be."""

    def listed(self, *, patient: bool = False, beside: bool = False) -> Sequence[Kept]:
        """The streams of ours, oldest first. Somebody else who is at work on it is waited for (*patient*), or looked past (*beside*)."""

    def put(self, name: str, pieces: Iterator[memoryview], told: Callable[[], None]) -> int:
        """Keep the pieces as one stream of that name (`points.named`), whole or not at all; by how many bytes the repository grew."""

    def read(self, kept: Kept) -> bytes:
        """A stream that is small. SourceError where it is proven to be damaged or gone; whatever may pass is RetryLater.

        Somebody else who is at work on it is looked past.
        """

    def get(self, kept: Kept, closed: Callable[[], None]) -> BinaryIO:
        """The stream, beside whatever goes on; SourceError at its end when it is not as it was. *closed* is told once that it is over."""

    def drop(self, kept: Sequence[Kept]) -> None:
        """Remove them, and nothing else; those that are gone are no error."""

    def tidy(self) -> int:
        """Give back the room of what was removed; how many bytes. Nobody may be reading."""

    def check(self, kept: Sequence[Kept]) -> Verified:
        """Look whether all that they are made of is there."""


def whole(there: Sequence[Kept], run: str) -> list[Kept]:
    """The parts of a run that belong to its manifest; the last one counts."""
    attempts = [kept.attempt for kept in there if kept.run == run and kept.part == MANIFEST]
    return [kept for kept in there if kept.run == run and attempts and kept.attempt == attempts[-1]]


def stale(there: Sequence[Kept]) -> list[Kept]:
    """What has no manifest and is old: its job is dead."""
    alive = {(kept.run, kept.attempt) for kept in there if kept.part == MANIFEST}
    return [kept for kept in there if (kept.run, kept.attempt) not in alive and kept.at < datetime.now(UTC) - STALE]


def missing(there: Sequence[Kept], point: RestorePoint, attempt: str) -> list[str]:
    """Which parts of the restore point the repository does not have: somebody removed them."""
    parts = {kept.part for kept in there if kept.run == point.run_id and kept.attempt == attempt}
    return sorted({MANIFEST, *(f"disk{disk.number}" for disk in point.disks)} - parts)
