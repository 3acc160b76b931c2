"""`vfo` commands, each in a process that begins with the product imported: importing is most of what a short command does.

A process of its own has imported everything, and forks for each command: but for that, it is as `python -m orchestrator` would be.
Tests of what a command imports, of the installed script, of terminals and of daemons start the real thing.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NoReturn

import typer.main

import orchestrator
import plugins
import state
import workflows
from orchestrator import cli
from orchestrator.cli import app

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
ORDER = 1 << 16  # bytes: an order is one packet


def run(words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, *, timeout: float = 60) -> CompletedProcess[str]:
    """What the command said that was typed in the folder, without a terminal; *environment* is added to `ENVIRONMENT`."""
    order = {"words": list(words), "folder": str(folder), "environment": {**ENVIRONMENT, **(environment or {})}}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        ends, theirs = os.pipe()
        try:
            socket.send_fds(_typist()[1], [json.dumps(order).encode()], [out.fileno(), err.fileno(), theirs])
        finally:
            os.close(theirs)
        with open(ends, "rb") as report:
            pid, code = int(report.readline()), _code(report.fileno(), timeout)
        if code is None:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(words), timeout)
        out.seek(0)
        err.seek(0)
        return CompletedProcess(list(words), code, out.read().decode(), err.read().decode())


def _code(report: int, timeout: float) -> int | None:
    """The exit code, as `subprocess` has it; None when the command goes on for longer."""
    return int(os.read(report, 32)) if select.select([report], [], [], timeout)[0] else None


def end() -> None:
    """No more is typed."""
    if _typist.cache_info().currsize:
        process, orders = _typist()
        orders.close()
        process.wait()
        _typist.cache_clear()


@functools.cache
def _typist() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process, and where it is given orders."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = f"from tests.services import typist; typist.work({its.fileno()})"
    with its:
        command = [sys.executable, "-c", program]
        return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL), ours


# -- in the process that forks -------------------------------------------------------------------------------------


def work(orders: int) -> None:
    """Carry out orders until nobody can give one."""
    import_all()
    gc.freeze()
    at_work = dict[int, tuple[int, int]]()
    with socket.socket(fileno=orders) as asked:
        while True:
            ready: list[Any] = [asked, *at_work]
            ready = select.select(ready, [], [])[0]
            for ended in [one for one in ready if one in at_work]:
                _tell(ended, *at_work.pop(ended))
            if asked not in ready:
                continue
            message, descriptors, _, _ = socket.recv_fds(asked, ORDER, 3)
            if not message:
                return
            out, err, report = descriptors
            pid = os.fork()
            if pid == 0:
                _become(**json.loads(message), out=out, err=err)
            os.close(out)
            os.close(err)
            os.write(report, b"%d\n" % pid)
            at_work[os.pidfd_open(pid)] = (pid, report)


def import_all() -> None:
    """What commands import, and what that imports."""
    for package in (orchestrator, workflows, plugins, state):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                importlib.import_module(module.name)
    typer.main.get_command(app.app)  # what it reads of annotations is kept


def _tell(handle: int, pid: int, report: int) -> None:
    """Say how the command ended, where anybody still waits for it."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        os.write(report, b"%d" % code)
    os.close(report)
    os.close(handle)


def _become(words: list[str], folder: str, environment: dict[str, str], out: int, err: int) -> NoReturn:
    """Be the command, and end as it does."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 1024)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = [str(ROOT / "orchestrator" / "__main__.py"), *words]
    sys.path[0] = folder
    sys.path[1:1] = [path for path in environment["PYTHONPATH"].split(":") if path not in sys.path]
    code = 1
    try:
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - told as the end of a program tells it
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads, as the end of a program does
    atexit._run_exitfuncs()
    sys.stdout.flush()
    with contextlib.suppress(ValueError):  # closed by a command whose reader went away
        sys.stderr.flush()
    os._exit(code)
