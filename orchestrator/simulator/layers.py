"""The layers that disks are made of, as the images of a storage repository are: a layer has what was written since its parent was frozen.

A layer's bytes are in a sparse temporary file without a name, made when first needed, at their own offsets; zeros are only noted.
Everything here is called with the family's lock held; what a `Run` names can be read without it.
"""

import hashlib
import os
import re
import tempfile
import threading
import weakref
from collections.abc import Iterator
from typing import Final, NamedTuple

# Also the unit of changed-block tracking (VDI.list_changed_blocks: one bit for 64 KiB).
BLOCK: Final = 64 * 1024
ZEROS: Final = bytes(BLOCK)
# What a layer says of a block: ask below, it is in my file, it is zeros (whatever is below).
BELOW, HERE, EMPTY = range(3)
ALIKE: Final = re.compile(rb"\x00+|\x01+|\x02+")


class File:
    """A sparse file without a name, gone with the last who knows it. OSError when the machine has no room for it."""

    def __init__(self) -> None:
        self.fd, name = tempfile.mkstemp(prefix="simulated-disk-")
        os.unlink(name)
        weakref.finalize(self, os.close, self.fd)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from *offset* on; zeros behind the file's end."""
        return os.pread(self.fd, length, offset).ljust(length, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        """All of *data* at *offset*."""
        view = memoryview(data)
        while view:
            done = os.pwrite(self.fd, view, offset)
            view, offset = view[done:], offset + done


class Made:
    """Blocks that are made when they are read, so that a world's disks cost nothing: one in four is not empty."""

    def __init__(self, seed: str, blocks: int) -> None:
        self.seed = seed
        self.blocks = blocks

    def block(self, number: int) -> bytes:
        """The block's bytes."""
        digest = hashlib.sha256(f"{self.seed}/{number}".encode()).digest()
        return ZEROS if digest[0] >= 64 else digest * (BLOCK // len(digest))

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from *offset* on."""
        first = offset // BLOCK
        joined = b"".join(self.block(number) for number in range(first, -(-(offset + length) // BLOCK)))
        return joined[offset - first * BLOCK :][:length]


class Run(NamedTuple):
    """Blocks from `first` to before `end` that come from one source, at their own offsets; None is zeros."""

    source: File | Made | None
    first: int
    end: int


class Family:
    """Layers that have a common root: their lock, how many blocks they have in all, and how many an SR was told of."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.blocks = 0
        self.told = 0


class Layer:
    """What was written since the parent was frozen. A layer that has children is frozen itself."""

    def __init__(self, family: Family, parent: "Layer | None" = None, made: Made | None = None) -> None:
        self.family = family
        self.parent = parent
        self.made = made
        self.states = bytearray()
        self.file: File | None = None
        self.blocks = made.blocks // 4 if made else 0
        self.children = 0
        family.blocks += self.blocks
        if parent is not None:
            parent.children += 1

    @property
    def depth(self) -> int:
        """How many layers one may have to ask, this one included."""
        return 1 + (self.parent.depth if self.parent is not None else 0)

    def runs(self, first: int, end: int) -> Iterator[Run]:
        """Where blocks come from, in order."""
        known = min(end, len(self.states))
        for alike in ALIKE.finditer(self.states, first, known):
            state = self.states[alike.start()]
            if state == BELOW:
                yield from self._below(*alike.span())
            else:
                yield Run(self.file if state == HERE else None, *alike.span())
        if end > max(first, known):
            yield from self._below(max(first, known), end)

    def _below(self, first: int, end: int) -> Iterator[Run]:
        if self.parent is not None:
            yield from self.parent.runs(first, end)
            return
        made = min(end, max(first, self.made.blocks)) if self.made else first
        if made > first:
            yield Run(self.made, first, made)
        if end > made:
            yield Run(None, made, end)

    def put(self, number: int, block: bytes) -> None:
        """Write a whole block."""
        if number >= len(self.states):
            self.states.extend(bytes(number + 1 - len(self.states)))
        if block == ZEROS:
            hidden = next(self._below(number, number + 1)).source is not None
            self._note(number, EMPTY if hidden else BELOW)
            return
        if self.file is None:
            self.file = File()
        self.file.write(number * BLOCK, block)
        self._note(number, HERE)

    def _note(self, number: int, state: int) -> None:
        added = (state == HERE) - (self.states[number] == HERE)
        self.states[number] = state
        self.blocks += added
        self.family.blocks += added

    def release(self) -> None:
        """Nobody has this layer any more; parents that lose their last child go too."""
        self.family.blocks -= self.blocks
        self.blocks = 0
        parent, self.parent = self.parent, None
        if parent is not None:
            parent.children -= 1
            if not parent.children:
                parent.release()

    def absorb(self) -> None:
        """Become one with a parent that nobody else has: what is here goes into the parent's file, which is this layer's from then on."""
        base = self.parent
        if base is None or base.children != 1:
            return
        for number, state in enumerate(self.states):
            if state != BELOW:
                base.put(number, self.file.read(number * BLOCK, BLOCK) if state == HERE and self.file else ZEROS)
        self.family.blocks -= self.blocks
        self.blocks, self.states, self.file = base.blocks, base.states, base.file
        self.parent, self.made = base.parent, base.made
