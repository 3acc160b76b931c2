"""Commands of others, without a shell: in an environment that is said, their output bounded, ended with all that they began."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO

from plugins.errors import GiveUp

PIECE = 1 << 16
LINE, TAIL, WHOLE = 8192, 16384, 64 << 20
"""How much is kept of a line, of the end of the output, and of output that is read as a whole; bytes."""
MESSAGE = 500
ENDS_WITHIN = 10.0
LOOKS_EVERY = 0.2
INHERITED = ("PATH", "HOME", "LANG")
SAID = "vfo "
"""What a line begins with that is meant for us."""


@dataclass(frozen=True, slots=True)
class Came:
    """What a command came to: its exit *code* (negative: the signal), its last line as *message*, the end of its *output*."""

    code: int
    message: str
    output: str
    whole: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """*words* are given as they are. *environment* is all there is besides PATH, HOME and LANG. *secrets* are masked in what it prints.

    *given*: its input. *folder*: where it runs.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str]
    given: bytes
    folder: Path
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def run(
        self,
        *,
        within: timedelta | None = None,
        heard: Callable[[str], object] = lambda _: None,
        told: Callable[[], object] = lambda: None,
        apart: bool = False,
    ) -> Came:
        """Run it to its end. *heard* is given each line, in another thread; *told* is asked often, and ends the command by raising.

        *apart*: what it complains of is left out of its output, and that is kept whole. Raises GiveUp when there is no such command, when
        it takes too long, or prints too much.
        """
        with self._started(apart=apart) as process:
            reader = _Reader(process.stdout, lambda line: heard(self._clean(line)), most=WHOLE if apart else 0)
            complaints = _Reader(process.stderr, lambda _: None) if apart else None
            try:
                self._await(process, within, told)
            except BaseException:
                _end(process)
                raise
            reader.join()
            if complaints is not None:
                complaints.join()
        if reader.too_much:
            raise GiveUp(f"{self.words[0]} printed more than {WHOLE >> 20} MiB")
        lines = [*(complaints.lines if complaints else ()), *reader.lines]
        shown = [line for line in map(self._clean, lines) if line and not line.startswith(SAID)]
        return Came(process.returncode, shown[-1][:MESSAGE] if shown else "", "\n".join(shown), bytes(reader.whole))

    def _started(self, *, apart: bool) -> subprocess.Popen[bytes]:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        try:
            process = subprocess.Popen(  # noqa: S603 - the words are the configuration's, and no shell reads them
                self.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if apart else subprocess.STDOUT,
                env={**inherited, **self.environment},
                cwd=self.folder,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise GiveUp(f"{self.words[0]} cannot be run: {why}: install it, or say where it is") from None
        threading.Thread(target=_give, args=(process.stdin, self.given), name=f"input of {self.words[0]}", daemon=True).start()
        return process

    def _await(self, process: subprocess.Popen[bytes], within: timedelta | None, told: Callable[[], object]) -> None:
        ends = None if within is None else time.monotonic() + within.total_seconds()
        while not is_over(process, LOOKS_EVERY):
            told()
            if ends is not None and within is not None and time.monotonic() > ends:
                raise GiveUp(f"{self.words[0]} did not end within {within.total_seconds():g} s: it was ended")

    def _clean(self, line: str) -> str:
        """The line, printable, without secrets."""
        for secret in filter(None, self.secrets):
            line = line.replace(secret, "***")
        return "".join(letter if letter.isprintable() else " " for letter in line).strip()


class _Reader:
    """Reads a pipe to its end, beside; keeps the last lines of it, and all of it up to *most* bytes."""

    def __init__(self, pipe: IO[bytes] | None, heard: Callable[[str], object], most: int = 0) -> None:
        self.whole = bytearray()
        self.too_much = False
        self._tail = bytearray()
        self._line = bytearray()
        self._pipe, self._heard, self._most = pipe, heard, most
        self._thread = threading.Thread(target=self._run, name="output of a command", daemon=True)
        self._thread.start()

    @property
    def lines(self) -> list[str]:
        """The last ones."""
        return bytes(self._tail).decode(errors="replace").splitlines()

    def join(self) -> None:
        """Wait until all was read; not for long: a child of the command may hold the pipe for ever."""
        self._thread.join(ENDS_WITHIN / 5)

    def _run(self) -> None:
        with contextlib.suppress(ValueError, OSError):  # it was closed over our head
            while self._pipe is not None and (piece := self._pipe.read(PIECE)):
                self._take(piece)
        if self._line:
            self._heard(bytes(self._line).decode(errors="replace"))

    def _take(self, piece: bytes) -> None:
        if self._most and not self.too_much:
            self.whole += piece
            self.too_much = len(self.whole) > self._most
        self._tail += piece
        del self._tail[:-TAIL]
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._line += part[: max(0, LINE - len(self._line))]
            self._heard(bytes(self._line).decode(errors="replace"))
            self._line.clear()
        self._line += rest[: max(0, LINE - len(self._line))]


def end_marked(variable: str, value: str) -> int:
    """End what is at work with this variable in its environment: what a process that died has left behind; how many there were."""
    mark = f"{variable}={value}".encode()
    first = _marked(mark)
    ends, pause, number = time.monotonic() + ENDS_WITHIN, threading.Event(), signal.SIGTERM
    left = first
    while left and time.monotonic() < ends + ENDS_WITHIN:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        pause.wait(LOOKS_EVERY)
        left = _marked(mark)
        number = signal.SIGTERM if time.monotonic() < ends else signal.SIGKILL
    return len(first)


def _marked(mark: bytes) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes().split(b"\0") and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


def _give(pipe: IO[bytes] | None, given: bytes) -> None:
    """Write it all, to a command that may not want it."""
    if pipe is not None:
        with contextlib.suppress(OSError, ValueError), pipe:
            rest = memoryview(given)
            while rest:
                rest = rest[pipe.write(rest) :]


def is_over(process: subprocess.Popen[bytes], within: float) -> bool:
    """Whether the program ends within so many seconds."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole group: asked first, then killed, also those that outlived the one that began them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        is_over(process, ENDS_WITHIN)
