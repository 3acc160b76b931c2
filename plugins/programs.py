"""Programs of others: fed, read and ended with care. A program that is fed must never take an early end of its input for the whole."""

import contextlib
import fcntl
import io
import os
import select
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, cast

from plugins.commands import is_over
from plugins.errors import GiveUp, SourceError

ROOM = 1 << 20
TAIL = 1 << 16
ENDS_WITHIN = 10.0
ASKS_EVERY = 1.0


def nothing() -> None:
    """Asked now and then while a program works; one that raises ends the program."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended: its exit *code* (negative: the signal), what it wrote, and the tail of what it complained of.

    Both in its own words, in which secrets may be: what of them is told to anybody goes through `Program.masked`.
    """

    code: int
    output: bytes = field(repr=False)
    complaints: str = field(repr=False)


class Broken(SourceError):
    """A stream that ended with its program's failure; *ran* says how, without what it wrote."""

    def __init__(self, reason: str, ran: Ran) -> None:
        super().__init__(reason)
        self.ran = ran


@dataclass(frozen=True, slots=True)
class Program:
    """*words* begin every command line; *environment* goes over ours; *secrets* are never shown; *ended_by* asks it to stop."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    ended_by: signal.Signals = signal.SIGTERM

    def run(self, words: Sequence[str], pieces: Iterable[memoryview] | None = None, told: Callable[[], None] = nothing) -> Ran:
        """Run it to its end; *pieces*, if any, are its input. Whatever they or *told* raise ends it, its input still open, and is raised.

        GiveUp when there is no such program.
        """
        with self._started(words, subprocess.DEVNULL if pieces is None else subprocess.PIPE) as process:
            try:
                output, complaints = _Drain(process.stdout, None), _Drain(process.stderr, TAIL)
                if pieces is not None and process.stdin is not None:
                    _feed(process.stdin, pieces, told)
                while not is_over(process, ASKS_EVERY):
                    told()
            except BaseException:
                self._end(process)
                raise
            return Ran(process.returncode, output.read(), complaints.read().decode(errors="replace").strip())

    def open(self, words: Sequence[str], what: str, closed: Callable[[], None] = nothing) -> io.BufferedReader:
        """Its output as a stream; Broken at the end when it failed. Closing early ends it; *closed* is told when it is over."""
        process = self._started(words, subprocess.DEVNULL)
        try:
            return io.BufferedReader(_Output(process, _Ending(lambda: self._end(process), closed), self.masked, what), ROOM)
        except BaseException:
            with process:
                self._end(process)
            raise

    def _started(self, words: Sequence[str], given: int) -> subprocess.Popen[bytes]:
        command = [*(self._ended_with_us() if given == subprocess.PIPE else ()), *self.words, *words]
        if shutil.which(self.words[0]) is None:
            raise GiveUp(f"{self.words[0]} cannot be run: there is no such program: install it, or say where it is")
        try:
            process = subprocess.Popen(  # noqa: S603 - the command is the configuration's, and no shell reads it
                command,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **self.environment},
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise GiveUp(f"{self.words[0]} cannot be run: {error.strerror}") from None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a smaller one does too
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, ROOM)
        return process

    def _ended_with_us(self) -> tuple[str, ...]:
        """Words that have the system end it when this process dies, which closes its input: it must not take what it has for everything.

        The system means the thread that started it: who feeds a program lives as long, who opens a stream may not. Where there is no
        setpriv (util-linux) the stream may be kept: without its manifest it counts for nothing.
        """
        setpriv = shutil.which("setpriv")
        return (setpriv, "--pdeathsig", self.ended_by.name.removeprefix("SIG"), "--") if setpriv else ()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End it while its input is open, so that it cannot take what it has for everything."""
        for number in (self.ended_by, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            if is_over(process, ENDS_WITHIN):
                break
        if process.stdin is not None:
            process.stdin.close()

    def masked(self, text: str) -> str:
        """The text as it may be shown to anybody."""
        for secret in filter(None, self.secrets):
            text = text.replace(secret, "***")
        return text.strip()


class _Drain:
    """Reads a pipe to its end, beside; the last *most* bytes of it are kept."""

    def __init__(self, pipe: IO[bytes] | None, most: int | None) -> None:
        self._pipe = pipe
        self._most = most
        self._have = bytearray()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def read(self) -> bytes:
        """All of it, when the program has closed it."""
        self._thread.join(ENDS_WITHIN)
        return bytes(self._have)

    def _run(self) -> None:
        with contextlib.suppress(ValueError, OSError):  # it was closed over our head
            while self._pipe is not None and (piece := self._pipe.read(TAIL)):
                self._have += piece
                if self._most is not None:
                    del self._have[: -self._most]


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a program that gives a stream is ended, and who is told that it is over."""

    end: Callable[[], None]
    closed: Callable[[], None]


class _Output(io.RawIOBase):
    """A program's output as a stream."""

    def __init__(self, process: subprocess.Popen[bytes], ending: _Ending, masked: Callable[[str], str], what: str) -> None:
        super().__init__()
        self._process = process
        self._pipe = cast("io.FileIO", process.stdout)
        self._ending = ending
        self._masked = masked
        self._what = what
        self._complaints = _Drain(process.stderr, TAIL)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As `io.RawIOBase` says; SourceError in place of the end when the program failed."""
        got: int = self._pipe.readinto(buffer)
        if not got and self._process.wait():
            ran = Ran(self._process.returncode, b"", self._complaints.read().decode(errors="replace").strip())
            text = self._masked(ran.complaints) or "it does not say why"
            raise Broken(f"{self._what} cannot be read: exit code {ran.code}: {text}", ran)
        return got

    def close(self) -> None:
        """End the program if it has not ended."""
        if not self.closed:
            super().close()
            try:
                with self._process:
                    if not is_over(self._process, 0):
                        self._ending.end()
            finally:
                self._ending.closed()


def _feed(stdin: IO[bytes], pieces: Iterable[memoryview], told: Callable[[], None]) -> None:
    """Write until the pieces end, or the program wants no more (its exit code says why)."""
    pipe = stdin.fileno()
    os.set_blocking(pipe, False)
    ready = select.poll()
    ready.register(pipe, select.POLLOUT)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                try:
                    rest = rest[os.write(pipe, rest) :]
                except BlockingIOError:
                    if not ready.poll(ASKS_EVERY * 1000):
                        told()
    except BrokenPipeError:
        pass
    stdin.close()
