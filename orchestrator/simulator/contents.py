"""What is on a disk: blocks that were written, over a background that is made when it is read, so that large disks cost nothing."""

import hashlib
from typing import Final, Self

# Also the unit of changed-block tracking (VDI.list_changed_blocks: one bit for 64 KiB).
BLOCK: Final = 64 * 1024
ZEROS: Final = bytes(BLOCK)


class Content:
    """Sparse bytes. The first `made` blocks of the background come from `seed`, one in four of them not empty; the others are zeros."""

    def __init__(self, seed: str = "", made: int = 0, written: dict[int, bytes] | None = None) -> None:
        self.seed = seed
        self.made = made
        self.written = written or {}

    def copy(self) -> Self:
        """The same bytes, to be written to independently."""
        return type(self)(self.seed, self.made, dict(self.written))

    def block(self, number: int) -> bytes:
        """The 64 KiB at number * BLOCK."""
        found = self.written.get(number)
        if found is not None:
            return found
        if number >= self.made:
            return ZEROS
        digest = hashlib.sha256(f"{self.seed}/{number}".encode()).digest()
        return ZEROS if digest[0] >= 64 else digest * (BLOCK // len(digest))

    def read(self, offset: int, length: int) -> bytes:
        """*length* bytes from *offset* on, which is the beginning of a block."""
        first = offset // BLOCK
        blocks = (self.block(number) for number in range(first, first - (-length // BLOCK)))
        return b"".join(blocks)[:length]

    def write(self, offset: int, data: bytes) -> None:
        """Overwrite from *offset* on."""
        while data:
            number, within = divmod(offset, BLOCK)
            piece = data[: BLOCK - within]
            old = self.block(number)
            new = old[:within] + piece + old[within + len(piece) :]
            self.written[number] = ZEROS if new == ZEROS else new
            offset, data = offset + len(piece), data[len(piece) :]

    def changed(self, later: "Content", blocks: int) -> set[int]:
        """The numbers, below *blocks*, of the blocks that are different in *later*."""
        kin = (self.seed, self.made) == (later.seed, later.made)
        numbers = {*self.written, *later.written} if kin else set(range(blocks))
        return {number for number in numbers if number < blocks and self.block(number) != later.block(number)}
