"""A disk composed of what changed since an earlier backup, read from the pool, and of the rest, from that backup in the repository.

Whether that is the quicker way depends on both: it is measured where it is done. A program that gives a disk back at 50 MB/s is no help
against a pool that gives it at 100. So each way's pace is remembered, and a composed disk whose first part comes slower than the pool
would give it is read whole instead.
"""

import io
import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal

from plugins import streams
from plugins.errors import SourceError
from plugins.kit import Source
from plugins.values import Disk, Extent, RestorePoint

Mode = Literal["auto", "never", "always"]

PROBE = 256 << 20
MOST = 0.5
REMEMBERED = timedelta(days=30)
WHOLE, COMPOSED = "whole", "changed blocks"


class Slower(Exception):
    """Composing is slower than reading the disk whole has been."""


class Composed(io.RawIOBase):
    """The disk as a stream: *pieces* where *extents* say so, *base* everywhere else. SourceError unless both give exactly what they are to.

    *base* is read to its end, also where nothing of it is wanted: only there does it say whether it was sound.
    """

    def __init__(self, disk: Disk, base: BinaryIO, before: int, extents: Sequence[Extent], pieces: Iterator[tuple[Extent, bytes]]) -> None:
        super().__init__()
        self._disk = disk
        self._base = base
        self._before = before
        self._extents = list(reversed(extents))
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._at = self._base_at = self.read_from_pool = 0
        self._scratch = memoryview(bytearray(streams.PIECE))

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As `io.RawIOBase` says."""
        room = memoryview(buffer).cast("B")
        if self._at == self._disk.size:
            self._finish()
            return 0
        if self._extents and self._extents[-1].offset <= self._at:
            got = self._from_pool(room)
        else:
            until = self._extents[-1].offset if self._extents else self._disk.size
            got = self._from_base(room[: until - self._at])
        self._at += got
        return got

    def _from_pool(self, room: memoryview) -> int:
        extent = self._extents[-1]
        if not self._piece:
            piece, data = next(self._pieces, (None, b""))
            if piece is None or piece.offset != self._at or not 0 < len(data) <= extent.offset + extent.length - self._at:
                raise SourceError(f"disk {self._disk.uuid}: what changed at {self._at} did not come")
            self._piece = memoryview(data)
            self.read_from_pool += len(data)
        got = min(len(room), len(self._piece))
        room[:got], self._piece = self._piece[:got], self._piece[got:]
        if self._at + got == extent.offset + extent.length:
            self._extents.pop()
        return got

    def _from_base(self, room: memoryview) -> int:
        self._skip(self._at)
        got = streams.fill(self._base, room[: self._before - self._base_at])
        self._base_at += got
        if not got and room:
            raise SourceError(f"the earlier backup of disk {self._disk.of} ends at {self._base_at}: {self._before} bytes were expected")
        return got

    def _skip(self, to: int) -> None:
        while self._base_at < to:
            got = streams.fill(self._base, self._scratch[: to - self._base_at])
            if not got:
                raise SourceError(f"the earlier backup of disk {self._disk.of} ends at {self._base_at}: {self._before} bytes were expected")
            self._base_at += got

    def close(self) -> None:
        """Let go of both."""
        if not self.closed:
            super().close()
            self._base.close()
            if isinstance(self._pieces, Generator):
                self._pieces.close()

    def _finish(self) -> None:
        self._skip(self._before)
        if streams.fill(self._base, self._scratch[:1]):
            raise SourceError(f"the earlier backup of disk {self._disk.of} has more than {self._before} bytes")


class Paces:
    """How fast whole disks and composed ones came, in bytes of disk a second, by pool; kept in a file, forgotten after 30 days."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def of(self, pool: str, way: str) -> float | None:
        """The last figure."""
        try:
            said = json.loads(self._file.read_text())[f"{way}/{pool}"]
            return float(said["pace"]) if datetime.now(UTC) - datetime.fromisoformat(said["at"]) < REMEMBERED else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def learn(self, pool: str, way: str, pace: float) -> None:
        """A new one."""
        try:
            known = json.loads(self._file.read_text())
        except (OSError, ValueError):
            known = {}
        known[f"{way}/{pool}"] = {"pace": round(pace), "at": datetime.now(UTC).isoformat()}
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(known))
        part.rename(self._file)


@dataclass(slots=True)
class Way:
    """How one disk was read: *read* from the pool, *changed* bytes (None: nobody knew), and *why* it was read whole."""

    disk: int
    way: str = WHOLE
    read: int = 0
    changed: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """Backups that disks may be composed from, the newest first, and how a disk of them is *opened*."""

    points: tuple[RestorePoint, ...]
    opened: Callable[[RestorePoint, int], BinaryIO]


class Composer:
    """Decides for each disk of one backup, and keeps account."""

    def __init__(self, mode: Mode, pool: str, source: Source, earlier: Earlier, paces: Paces) -> None:
        self._mode = mode
        self._pool = pool
        self._paces = paces
        self.source = source
        self._earlier = earlier
        self.ways: list[Way] = []

    def stream(self, disk: Disk) -> Composed | None:
        """The disk composed; None: it is to be read whole."""
        way = Way(disk.number, why="it has no earlier backup here")
        self.ways.append(way)
        for point in self._earlier.points:
            for old in (old for old in point.disks if old.of and old.of == disk.of and old.size <= disk.size):
                extents = self.source.changed(disk, old.uuid)
                if extents is None:
                    way.why = "the pool does not know what changed"
                    continue
                way.changed = sum(extent.length for extent in extents)
                way.why = self._against(way.changed / disk.size if disk.size else 1)
                if way.why:
                    return None
                way.way = COMPOSED
                return Composed(disk, self._earlier.opened(point, old.number), old.size, extents, self.source.read(disk, extents))
        return None

    def _against(self, share: float) -> str:
        """Why not; "" where nothing is against it."""
        if self._mode == "always":
            return ""
        if share > MOST:
            return f"{share:.0%} of it changed"
        whole, composed = self._paces.of(self._pool, WHOLE), self._paces.of(self._pool, COMPOSED)
        return _slower(composed, whole) if whole and composed and composed < whole else ""

    def timed(self, pieces: Iterator[memoryview]) -> Iterator[memoryview]:
        """The pieces of the disk that was begun last; how fast they come is learned, and `Slower` raised where that is decided by it."""
        way, began, have, judged = self.ways[-1], time.monotonic(), 0, False
        whole = self._paces.of(self._pool, WHOLE)
        for piece in pieces:
            have += len(piece)
            yield piece
            if have >= PROBE and not judged and way.way == COMPOSED:
                judged, pace = True, have / max(1e-6, time.monotonic() - began)
                if self._mode == "auto" and whole and pace < whole:
                    self._paces.learn(self._pool, COMPOSED, pace)
                    raise Slower(_slower(pace, whole))
        if have >= PROBE:
            self._paces.learn(self._pool, way.way, have / max(1e-6, time.monotonic() - began))

    def given_up(self, why: str) -> None:
        """The disk that was begun last could not be composed: it is read whole."""
        self.ways[-1].way, self.ways[-1].why = WHOLE, why

    def was_read(self, count: int) -> None:
        """So many bytes of the disk that was begun last came from the pool."""
        self.ways[-1].read += count

    @property
    def read(self) -> int:
        """All that came from the pool."""
        return sum(way.read for way in self.ways)

    def details(self) -> dict[str, Any] | None:
        """For the report; None where nobody asked what changed."""
        if self._mode == "never":
            return None
        ways = {way.way for way in self.ways}
        changed = [way.changed for way in self.ways if way.changed is not None]
        return {
            "way": ways.pop() if len(ways) == 1 else "mixed",
            "read": self.read,
            "changed": sum(changed) if changed else None,
            "why": "; ".join(dict.fromkeys(f"disk {way.disk}: {way.why}" for way in self.ways if way.why)),
        }


def _slower(composed: float, whole: float) -> str:
    return f"composing it is slower: {composed / 1e6:.0f} MB/s, where whole disks of this pool came at {whole / 1e6:.0f} MB/s"
