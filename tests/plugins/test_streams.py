import hashlib
import io
from typing import Any

import pytest

from plugins import streams
from plugins.streams import PIECE, Piecewise
from tests.plugins.products.stage import noise

CONTENTS = {
    "empty": b"",
    "short": b"x" * 100,
    "zeros": bytes(3 * PIECE),
    "zeros and a bit": bytes(2 * PIECE + 5),
    "zeros but for the middle": bytes(PIECE // 2) + b"x" + bytes(PIECE // 2 - 1) + bytes(PIECE),
    "noise": noise(2 * PIECE + 77),
}


def by_hand(contents: bytes) -> str:
    digests = (hashlib.sha256(contents[at : at + PIECE]).digest() for at in range(0, len(contents), PIECE))
    return f"sha256/1MiB:{hashlib.sha256(b''.join(digests)).hexdigest()}"


@pytest.mark.parametrize("step", [1 << 10, 65_537, PIECE, 3 * PIECE])
@pytest.mark.parametrize("name", CONTENTS)
def test_the_piecewise_checksum_is_what_it_says(name: str, step: int) -> None:
    """The SHA-256 of the SHA-256s of every MiB, however the bytes come."""
    contents, sha = CONTENTS[name], Piecewise()
    for at in range(0, len(contents), step):
        sha.update(memoryview(contents)[at : at + step])
    assert sha.hexdigest() == sha.hexdigest() == by_hand(contents)


def test_a_checksum_is_compared_by_its_own_kind() -> None:
    """A product may keep a plain SHA-256; where nothing is kept it is plain, too."""
    for kept, wanted in ((None, ""), ("ab" * 32, ""), (by_hand(b"x"), "sha256/1MiB:")):
        sha = streams.like(kept)
        sha.update(memoryview(b"x"))
        assert sha.hexdigest().startswith(wanted)
        assert (wanted == "") == (sha.hexdigest() == hashlib.sha256(b"x").hexdigest())


class Dribble(io.RawIOBase):
    """Gives a few bytes at a time, by `readinto` or without it."""

    def __init__(self, contents: bytes) -> None:
        super().__init__()
        self._left = contents

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        given, self._left = self._left[: min(1000, len(buffer))], self._left[min(1000, len(buffer)) :]
        buffer[: len(given)] = given
        return len(given)


class Reader:
    """Only `read`."""

    def __init__(self, contents: bytes) -> None:
        self.read = io.BytesIO(contents).read


@pytest.mark.parametrize("make", [Dribble, Reader, io.BytesIO])
@pytest.mark.parametrize("size", [0, 1, 9_999, 10_000, 25_000])
def test_pieces_are_full_but_for_the_last(make: Any, size: int) -> None:
    """However little the stream gives at a time."""
    contents = noise(size)
    found = [bytes(piece) for piece in streams.pieces(make(contents), 10_000)]
    assert b"".join(found) == contents
    assert all(len(piece) == 10_000 for piece in found[:-1])
