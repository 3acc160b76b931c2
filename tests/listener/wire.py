"""The network between a client and a simulated pool, which a test may hold, cut and mend."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Wire:
    """A relay on a port of this machine to the server at *url*: bytes pass, are held back, or find nobody.

    Held back is what a lost network looks like for its first minutes: connections stand, and nothing comes.
    """

    def __init__(self, url: str) -> None:
        self._target = (urlsplit(url).hostname, urlsplit(url).port)
        self._passing = threading.Event()
        self._passing.set()
        self._refusing = False
        self._lock = threading.Lock()
        self._socks: set[socket.socket] = set()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"{urlsplit(url).scheme}://127.0.0.1:{self._door.getsockname()[1]}"
        self._keeper = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._passing.set()
        self.cut()
        self._keeper.join()

    def hold(self) -> None:
        """Nothing passes, in neither direction, until it is mended; nothing is lost either."""
        self._passing.clear()

    def cut(self) -> None:
        """Every connection dies and new ones die at once, until it is mended."""
        with self._lock:
            self._refusing = True
            for sock in self._socks:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """All is well again."""
        self._refusing = False
        self._passing.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the door was closed: the test is over
            while True:
                here, _ = self._door.accept()
                if self._refusing:
                    here.close()
                    continue
                there = socket.create_connection(self._target)
                with self._lock:
                    self._socks |= {here, there}
                ends = threading.Barrier(2)
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._pump, args=(one, other, ends), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, ends: threading.Barrier) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._passing.wait()
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        ends.wait()
        with self._lock:
            self._socks.discard(source)
        source.close()
