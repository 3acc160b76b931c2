"""What starting a service for tests takes: its programs, a port, a process that ends with us, and what is said where it cannot be had."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

SECONDS = 60.0


def absent(what: str, variable: str) -> NoReturn:
    """`left_out`, for a service that is neither here nor given."""
    left_out(f"{what} is not installed and {variable} is not set")


def needed(program: str, package: str) -> str:
    """Where the program is; the test is left out, or fails in CI, on a machine without it. *package*: Debian's name."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    return found or left_out(f"{program} is not installed: apt-get install {package}")


def left_out(reason: str) -> NoReturn:
    """Leave the test out and say why; where everything must be there (CI) that is a failure."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(reason)
    pytest.skip(reason)


CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
"""How the browser is begun: where there is little room, and nobody whom it should speak to by itself."""


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def folder(name: str, owner: str | None = None) -> Path:
    """A directory of its own, which the owner (a user of this machine) can get at."""
    made = Path(tempfile.mkdtemp(prefix=f"vfo-{name}-"))
    if owner is not None:
        shutil.chown(made, owner)
    return made


def other_user(*names: str) -> str | None:
    """The first of these users that there is, for programs that will not run as root; None where we are not root."""
    if os.getuid() != 0:
        return None
    there = {user.pw_name for user in pwd.getpwall()}
    return next(name for name in names if name in there)


def start(
    command: Sequence[str], *, log: Path, user: str | None = None, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """The program in a session of its own; the system kills it when the thread that calls this ends, whatever that dies of."""
    watched = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    group = pwd.getpwnam(user).pw_gid if user else None
    everything = {**os.environ, **(environment or {})}
    with log.open("ab") as output:
        return subprocess.Popen(
            [*watched, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=everything,
            start_new_session=True, user=user, group=group, extra_groups=[] if user else None,
        )  # fmt: skip


def signal_all(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Send the signal to the process and to everything that it started."""
    for pid in reversed(family(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def family(pid: int) -> list[int]:
    """The process and those that it started, and those that they started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def gone(pids: Sequence[int], seconds: float = SECONDS) -> None:
    """Return when none of these processes is there any more."""
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, f"processes {left} go on"
        time.sleep(0.02)


def until(holds: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path, seconds: float = SECONDS) -> None:
    """Return when it holds; an AssertionError with the end of the log when it does not in time, or the process has ended."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, f"it has ended: {_end_of(log)}"
        assert time.monotonic() < deadline, f"it does not answer in time: {_end_of(log)}"
        time.sleep(0.05)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else "nothing was logged"


class Pausable:
    """A service of our own: a process that can be paused, and set right whatever a test did to it."""

    _process: "subprocess.Popen[bytes] | None"

    def start(self) -> None:
        """Start it, where it does not run, and wait until it answers."""
        raise NotImplementedError

    def pause(self) -> None:
        """It takes connections and answers nothing, until `resume`."""
        assert self._process is not None
        signal_all(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on where it was paused."""
        assert self._process is not None
        signal_all(self._process, signal.SIGCONT)

    def resume_and_start(self) -> None:
        """Whatever a test did to it, it runs."""
        if self._process is not None:
            self.resume()
        self.start()
