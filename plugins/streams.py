"""Streams of disks, read in large pieces into one buffer: memory stays flat, however large the disk. And their checksums."""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol, cast

PIECE = 1 << 20
PIECEWISE = "sha256/1MiB:"


class _Reading(Protocol):
    def readinto(self, room: memoryview) -> int | None: ...


def fill(stream: BinaryIO, room: memoryview) -> int:
    """Read until *room* is full or the stream ends; how many bytes."""
    into = getattr(stream, "readinto", None)
    have = 0
    while have < len(room):
        if into is not None:
            got = cast("_Reading", stream).readinto(room[have:]) or 0
        else:
            piece = stream.read(len(room) - have)
            got = len(piece)
            room[have : have + got] = piece
        if not got:
            break
        have += got
    return have


def pieces(stream: BinaryIO, size: int = PIECE) -> Iterator[memoryview]:
    """The stream in pieces of *size* bytes, the last one shorter. Each is void when the next one is taken: the buffer is one."""
    room = memoryview(bytearray(size))
    while got := fill(stream, room):
        yield room[:got]
        if got < size:
            return


class Checksum(Protocol):
    """What `hashlib` gives, as far as it is needed here."""

    def update(self, piece: memoryview, /) -> None:
        """The next bytes."""

    def hexdigest(self) -> str:
        """Of all bytes up to now."""


class Piecewise:
    """The SHA-256 of the SHA-256s of every MiB, written as "sha256/1MiB:HEX".

    Most disks are empty for the greater part, and a plain SHA-256 of zeros takes as long as any other: several times what borg takes for
    them, where the processor has no instruction for it. This one passes over them.
    """

    def __init__(self) -> None:
        self._outer = hashlib.sha256()
        self._inner = hashlib.sha256()
        self._have = 0

    def update(self, piece: memoryview, /) -> None:
        """The next bytes, any number of them."""
        while piece:
            step = min(PIECE - self._have, len(piece))
            if step == PIECE:
                self._outer.update(_digest(piece[:step]))
            else:
                self._inner.update(piece[:step])
                self._have += step
                if self._have == PIECE:
                    self._outer.update(self._inner.digest())
                    self._inner, self._have = hashlib.sha256(), 0
            piece = piece[step:]

    def hexdigest(self) -> str:
        """Of all bytes up to now."""
        outer = self._outer.copy()
        if self._have:
            outer.update(self._inner.digest())
        return f"{PIECEWISE}{outer.hexdigest()}"


def like(kept: str | None) -> Checksum:
    """A checksum of the kind that was kept; SHA-256 of the whole where none was."""
    return Piecewise() if kept is not None and kept.startswith(PIECEWISE) else hashlib.sha256()


_ZEROS = bytes(PIECE)
_OF_ZEROS = hashlib.sha256(_ZEROS).digest()


def _digest(piece: memoryview) -> bytes:
    if not piece[0] and not piece[-1] and piece.tobytes() == _ZEROS:
        return _OF_ZEROS
    return hashlib.sha256(piece).digest()
