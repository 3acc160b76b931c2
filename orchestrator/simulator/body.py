"""The body of a transfer: it takes its time, says how far it is, and meets what was ordered for its path."""

from collections.abc import Iterator
from typing import Final

from orchestrator.simulator import durations, faults
from orchestrator.simulator.call import Call
from orchestrator.simulator.contents import PIECE, Span
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.wire import http as wire
from orchestrator.simulator.wire.errors import Cut

# A slow stream moves in so many steps a second.
STEPS: Final = 10


class Body:
    """What is sent or received after the headers. Every method may raise what the call and the orders raise.

    `total`, when it is known, is how many bytes it will be.
    """

    def __init__(self, call: Call, stream: wire.Stream, effect: faults.Effect) -> None:
        self._call = call
        self._stream = stream
        self._effect = effect
        self._rate = effect.slow.size if effect.slow else 0
        self._left = effect.broken.size if effect.broken else None
        self.moved = 0
        self.total = 0

    def write(self, data: bytes) -> None:
        """Send bytes."""
        view = memoryview(data)
        while view:
            step = self._step(len(view))
            self._stream.write(view[:step])
            self._took(step)
            view = view[step:]

    def send(self, span: Span) -> None:
        """Send a piece of a disk, from its file without a copy."""
        if span.data is not None:
            self.write(span.data)
            return
        sent = 0
        while sent < span.length:
            step = self._step(span.length - sent)
            if span.file is None:
                self._stream.write_zeros(step)
            else:
                self._stream.write_file(span.file.fd, span.offset + sent, step)
            sent += step
            self._took(step)

    def receive(self, length: int) -> Iterator[bytes]:
        """The request's body of that length."""
        for piece in self._stream.receive(length):
            view = memoryview(piece)
            if not self._rate and self._left is None:
                self._took(len(piece))
                yield piece
                continue
            while view:
                step = self._step(len(view))
                self._took(step)
                yield bytes(view[:step])
                view = view[step:]

    def done(self, part: float) -> None:
        """So much of the work is done, 0 to 1: what was ordered for the middle comes when half of it is."""
        effect = self._effect
        if part >= 0.5 and effect.error is not None:
            raise Failure(*effect.error)
        if part >= 0.5 and effect.cut == "after":
            raise Cut(self._call.method)
        if self._call.server.speed > 0:
            self._call.progress(min(part, 1.0))

    def _step(self, wanted: int) -> int:
        step = min(wanted, PIECE)
        if self._rate:
            step = min(step, max(1, self._rate // STEPS))
        if self._left is not None:
            self._break_off()
            step = min(step, self._left)
        return step

    def _break_off(self) -> None:
        if self._left == 0 and self._effect.broken is not None:
            if self._effect.broken.error:
                raise Failure(*self._effect.broken.error)
            raise Cut(self._call.method)

    def _took(self, step: int) -> None:
        self.moved += step
        if self._left is not None:
            self._left -= step
        self._call.work(step / durations.TRANSFER_RATE)
        if self._rate:
            self._call.pause(step / self._rate)
            if self.total:
                self._call.progress(min(self.moved / self.total, 1.0))
