"""A wire between a process and its pool that stops the process with an answer in its hand: what it knows then is soon no longer true."""

import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tests.journey.lab import wait_until

METHOD = re.compile(rb'"method":"([A-Za-z_.]+)"')
SECONDS = 60.0


class Wire:
    """Listens at *port* and passes everything on to the pool at *to*; *calls* are the methods that were called by it, in their order."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.calls: list[str] = []
        self._lock = threading.Lock()
        self._stops: Callable[[int, bytes], int] | None = None
        self.stopped = threading.Event()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def begin(self) -> None:
        """Count calls anew, and stop nobody."""
        with self._lock:
            self.calls.clear()
            self._stops = None
            self.stopped.clear()

    def stop_at(self, pid: int, number: int) -> None:
        """Count anew; the process is stopped when call *number* (from 0) of these is answered, before it gets the answer."""
        self.begin()
        self._stops = lambda answered, _: pid if answered == number else 0

    def stop_when(self, pid: int, word: bytes) -> None:
        """The process is stopped before it gets the next answer in which the word is."""
        self.begin()
        self._stops = lambda _, data: pid if word in data else 0

    def close(self) -> None:
        """Hang up, and take no connection any more."""
        self._closed = True
        _hang_up(self._listener)
        for thread in self._threads:
            thread.join(SECONDS)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while not self._closed:
                client = self._listener.accept()[0]
                self._begin(self._pass, client)

    def _begin(self, act: Callable[..., None], *things: object) -> threading.Thread:
        thread = threading.Thread(target=act, args=things, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _pass(self, client: socket.socket) -> None:
        """Everything both ways until one side hangs up."""
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as pool:  # it may be gone
            asked: list[int] = []
            answers = self._begin(self._answer, pool, client, asked)
            self._ask(client, pool, asked)
            answers.join()

    def _ask(self, client: socket.socket, pool: socket.socket, asked: list[int]) -> None:
        with contextlib.suppress(OSError):  # somebody hung up
            while data := client.recv(65536):
                if found := METHOD.search(data):
                    with self._lock:
                        asked.append(len(self.calls))
                        self.calls.append(found[1].decode())
                pool.sendall(data)
        _hang_up(pool)

    def _answer(self, pool: socket.socket, client: socket.socket, asked: list[int]) -> None:
        with contextlib.suppress(OSError):  # as above
            while data := pool.recv(65536):
                number, stops = asked.pop() if asked else -1, self._stops
                if stops is not None and (pid := stops(number, data)):
                    self._stops = None
                    stop(pid)
                    self.stopped.set()
                client.sendall(data)
        _hang_up(client)


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was quicker
        sock.shutdown(socket.SHUT_RDWR)


def stop(pid: int) -> None:
    """SIGSTOP; returns when the process does nothing any more."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) == "T", SECONDS, f"process {pid} stops")


def state(pid: int) -> str:
    """The state of the process, as the kernel says it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
