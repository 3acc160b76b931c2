"""What is on a disk: sparse bytes in layers, so that snapshots cost nothing and large disks cost what was written to them."""

from collections.abc import Iterator
from typing import Final, NamedTuple, Self

from orchestrator.simulator.change_log import ChangeLog
from orchestrator.simulator.layers import BELOW, BLOCK, ZEROS, Family, File, Layer, Made, Run

__all__ = ["BLOCK", "PIECE", "ZEROS", "Content", "Span"]

# The most that is read or sent in one go.
PIECE: Final = 1 << 20
# How many blocks are looked up at a time: 256 MiB of disk.
WINDOW: Final = 4096


class Span(NamedTuple):
    """`length` bytes: `data`, or from `offset` of a file on, or zeros when it has neither."""

    length: int
    data: bytes | None = None
    file: File | None = None
    offset: int = 0

    def bytes(self) -> bytes:
        """The bytes themselves."""
        if self.data is not None:
            return self.data
        return self.file.read(self.offset, self.length) if self.file else bytes(self.length)


class Content:
    """A disk's bytes. The first `made` blocks come from `seed`, one in four of them not empty; the others are zeros. Threads may share it.

    `log` has what was written since the latest snapshot while changed blocks are tracked.
    """

    def __init__(self, seed: str = "", made: int = 0, leaf: Layer | None = None) -> None:
        self.leaf = leaf or Layer(Family(), made=Made(seed, made) if made else None)
        self.log: ChangeLog | None = None

    @property
    def family(self) -> Family:
        """What it shares with its snapshots and clones."""
        return self.leaf.family

    @property
    def depth(self) -> int:
        """How many layers the disk consists of."""
        with self.family.lock:
            return self.leaf.depth

    @property
    def allocated(self) -> int:
        """Bytes that the disk's own layer has."""
        return self.leaf.blocks * BLOCK

    # -- reading -----------------------------------------------------------------------------------------------

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """The bytes from *offset* on, in order, none longer than PIECE; what is written meanwhile may or may not be in it."""
        end = offset + length
        while offset < end:
            first = offset // BLOCK
            with self.family.lock:
                runs = list(self.leaf.runs(first, min(first + WINDOW, -(-end // BLOCK))))
            for run in runs:
                yield from _pieces(run, max(offset, run.first * BLOCK), min(end, run.end * BLOCK))
            offset = min(end, runs[-1].end * BLOCK)

    def read(self, offset: int, length: int) -> bytes:
        """*length* bytes from *offset* on."""
        return b"".join(span.bytes() for span in self.spans(offset, length))

    # -- writing -----------------------------------------------------------------------------------------------

    def write(self, offset: int, data: bytes) -> None:
        """Overwrite from *offset* on. A block that gets what it has is not written, and zeros are not kept."""
        with self.family.lock:
            at = 0
            while at < len(data):
                number, within = divmod(offset + at, BLOCK)
                piece = data[at : at + BLOCK - within]
                self._put(number, within, piece)
                at += len(piece)

    def _put(self, number: int, within: int, piece: bytes) -> None:
        run = next(self.leaf.runs(number, number + 1))
        if run.source is None and piece == ZEROS[: len(piece)]:
            return
        old = ZEROS if run.source is None else run.source.read(number * BLOCK, BLOCK)
        new = piece if len(piece) == BLOCK else old[:within] + piece + old[within + len(piece) :]
        if new == old:
            return
        self.leaf.put(number, new)
        if self.log is not None:
            self.log.mark(number)

    def touched(self, base: "Content | None" = None) -> list[int]:
        """The blocks of which a layer says something; with a base, a layer that only one of the two has. Any of them may yet be equal."""
        there = base.chain() if base is not None else []
        with self.family.lock:
            here = self.chain()
            found: set[int] = set()
            for layer in {*here} ^ {*there}:
                found.update(number for number, state in enumerate(layer.states) if state != BELOW)
                found.update(range(layer.made.blocks) if layer.made else ())
            return sorted(found)

    def chain(self) -> list[Layer]:
        """The disk's own layer, then those below it."""
        with self.family.lock:
            layers = [self.leaf]
            while layers[-1].parent is not None:
                layers.append(layers[-1].parent)
            return layers

    # -- snapshots and the way back ------------------------------------------------------------------------------

    def snapshot(self) -> Self:
        """The same bytes, to be written to independently: both go on in layers of their own."""
        with self.family.lock:
            base = self.leaf
            if base.parent is not None and not any(base.states):
                base = base.parent
            else:
                self.leaf = Layer(base.family, base)
            return type(self)(leaf=Layer(base.family, base))

    def copy(self) -> Self:
        """The same bytes without a common ancestor: a full copy."""
        with self.family.lock:
            chain = self.chain()
            known = max(len(layer.states) for layer in chain)
            runs = [run for run in self.leaf.runs(0, known) if not isinstance(run.source, Made)]
        made = type(self)(leaf=Layer(Family(), made=chain[-1].made))
        for run in runs:
            for number in range(run.first, run.end):
                made.write(number * BLOCK, ZEROS if run.source is None else run.source.read(number * BLOCK, BLOCK))
        return made

    def drop(self) -> None:
        """The disk is gone, and what nobody else has with it."""
        with self.family.lock:
            self.leaf.release()
            self.leaf = Layer(Family())

    def coalesce(self) -> None:
        """Merge the layers that nobody but this disk has, and others of its chain that have one child alone."""
        with self.family.lock:
            layer: Layer | None = self.leaf
            while layer is not None:
                while layer.parent is not None and layer.parent.children == 1:
                    layer.absorb()
                layer = layer.parent


def _pieces(run: Run, offset: int, end: int) -> Iterator[Span]:
    while offset < end:
        length = min(PIECE, end - offset)
        if isinstance(run.source, Made):
            yield Span(length, data=run.source.read(offset, length))
        else:
            yield Span(length, file=run.source, offset=offset)
        offset += length
