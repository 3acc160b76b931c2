"""A wire between a client and a service that can be cut where it hurts."""

import contextlib
import socket
import threading
from collections.abc import Callable
from enum import Enum, auto


class Cut(Enum):
    """Where a wire is cut when the client says the word."""

    BEFORE = auto()  # the service never hears it
    DURING = auto()  # the service hears it and is at it
    AFTER = auto()  # the service has answered, and the client does not hear that


class Proxy:
    """Listens at *port* and passes everything on; `arm` has it cut the next connection on which the client says a word."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        self._word, self._cut = b"", Cut.BEFORE
        self._lock = threading.Lock()
        self._accepts = threading.Event()
        self._accepts.set()
        self._passes = threading.Event()
        self._passes.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, word: bytes, cut: Cut) -> None:
        """The next connection on which the client says the word is cut."""
        with self._lock:
            self._word, self._cut = word, cut

    def refuse(self) -> None:
        """Cut every new connection, until `accept`."""
        self._accepts.clear()

    def hold(self) -> None:
        """Take connections and pass nothing on, as a service that hangs, until `accept`."""
        self._passes.clear()

    def accept(self) -> None:
        """Pass new connections on again."""
        self._accepts.set()
        self._passes.set()

    def close(self) -> None:
        """Take no connection any more."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._join(self._listener.accept()[0])

    def _join(self, client: socket.socket) -> None:
        if not self._accepts.is_set():
            client.close()
            return
        try:
            service = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            client.close()
            return
        dying = threading.Event()
        for source, target, heard in ((client, service, self._heard), (service, client, None)):
            threading.Thread(target=self._pass, args=(source, target, heard, dying), daemon=True).start()

    def _pass(
        self, source: socket.socket, target: socket.socket, heard: Callable[[bytes], Cut | None] | None, dying: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._passes.wait()
                cut = heard(data) if heard else None
                if cut is Cut.AFTER:
                    dying.set()
                elif cut is Cut.BEFORE or (heard is None and dying.is_set()):
                    break
                target.sendall(data)
                if cut is Cut.DURING:
                    break
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _heard(self, data: bytes) -> Cut | None:
        with self._lock:
            if not self._word or self._word not in data:
                return None
            self._word = b""
            self.cuts += 1
            return self._cut
