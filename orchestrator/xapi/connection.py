"""Kept-alive HTTP connections to one server, and what is certain about a request when one of them dies.

Every call in flight has a connection to itself; idle ones are kept, so that there are as many as threads that call at once.
(Connections that belonged to threads would stay open when the threads end.) No request is ever sent a second time here.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import SplitResult

from orchestrator import fence
from orchestrator.xapi.response import Response
from orchestrator.xapi.tls import CONNECT_SECONDS, Trust

KEPT = 16
CHUNK = 1 << 20


class NotSent(Exception):
    """The request did not leave us whole, so the server cannot have acted on it: it waits for all of the announced length."""


class NotConnected(NotSent):
    """There was not even a connection: the server is down, or not there."""


class Cut(Exception):
    """The connection died, or the time was over, after the request had been sent: it may have been acted on."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A request. *act*: what it does, by name, where it may change something; "" where it only reads."""

    path: str
    body: bytes
    kind: str
    act: str


class Line:
    """A caller's hold on the call it has in flight, by which another thread can end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None

    def drop(self) -> None:
        """End the call that waits on this line, if one does: its connection is shut down."""
        with self._lock:
            if self._sock is not None:
                _shut(self._sock)

    def hold(self, sock: socket.socket | None) -> None:
        """The transport says which socket the call in flight has; None when it is over."""
        with self._lock:
            self._sock = sock


class _HTTP(http.client.HTTPConnection):
    """One connection, that never opens itself again, over TLS where there is *trust*."""

    auto_open = 0

    def __init__(self, host: str, port: int, trust: Trust | None) -> None:
        super().__init__(host, port, timeout=CONNECT_SECONDS)
        self._trust = trust
        name = f"[{host}]" if ":" in host else host
        self._where = f"Host: {name}:{port}\r\nAccept-Encoding: identity\r\nUser-Agent: vf-orchestrator"

    def written(self, path: str, body: bytes, kind: str) -> bytes:
        """A whole request as it goes out. In one piece: head and body by themselves cost both sides as much again."""
        head = f"POST {path} HTTP/1.1\r\n{self._where}\r\nContent-Type: {kind}\r\nAccept: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode("ascii") + body

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
            # a host that lost its power says nothing: the kernel finds out within 30 s, also while event.from waits
            if hasattr(socket, option):
                self.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        if self._trust is not None:
            self.sock = self._trust.wrap(self.sock, self.host)


class Connections:
    """The connections to one server; used by all threads."""

    def __init__(self, url: SplitResult, trust: Trust) -> None:
        self._host = url.hostname or ""
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._trust = trust if url.scheme == "https" else None
        self._lock = threading.Lock()
        self._idle: list[_HTTP] = []
        self._busy: set[_HTTP] = set()
        self._closed = False

    def post(self, letter: Letter, timeout: float, line: Line | None = None) -> tuple[int, str, bytes]:
        """Send one request; its status, content type and body. *timeout* is for all of it. Raises NotSent, Cut, or `Denied` by TLS.

        And `fence.Lost`, nothing sent, where it is asked for a run that may be somebody else's by now.
        """
        deadline = time.monotonic() + timeout
        connection = self._take(timeout)
        sock = connection.sock
        try:
            if line:
                line.hold(sock)
            _send(connection, letter, deadline)
            answer = _receive(connection, sock, deadline)
        except BaseException:
            self._drop(connection)
            raise
        finally:
            if line:
                line.hold(None)
        self._give_back(connection)
        return answer

    def _take(self, timeout: float) -> _HTTP:
        with self._lock:
            if self._closed:
                raise NotConnected("closed")
            while self._idle:
                connection = self._idle.pop()
                if not _stale(connection):
                    self._busy.add(connection)
                    return connection
                connection.close()
        fresh = _HTTP(self._host, self._port, self._trust)
        fresh.timeout = min(timeout, CONNECT_SECONDS)
        try:
            fresh.connect()
        except (OSError, http.client.HTTPException) as error:
            fresh.close()
            raise NotConnected(f"{self._host}:{self._port}: {_words(error)}") from None
        except BaseException:
            fresh.close()
            raise
        self._note(fresh)
        return fresh

    def _note(self, fresh: _HTTP) -> None:
        with self._lock:
            self._busy.add(fresh)
            if not self._closed:
                return
        self._drop(fresh)
        raise NotConnected("closed")

    def _give_back(self, connection: _HTTP) -> None:
        with self._lock:
            self._busy.discard(connection)
            if connection.sock is not None and not self._closed and len(self._idle) < KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def _drop(self, connection: _HTTP) -> None:
        with self._lock:
            self._busy.discard(connection)
        connection.close()

    def close(self) -> None:
        """Close the idle connections and end the calls in flight; later ones are not sent."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for connection in self._busy:
                if connection.sock is not None:
                    _shut(connection.sock)
        for connection in idle:
            connection.close()


def _send(connection: _HTTP, letter: Letter, deadline: float) -> None:
    """Hand the whole request to the kernel. An error here means that its last bytes were not accepted, so it is not whole anywhere.

    Whether it may go out is asked last of all: the fewer things are between that and the kernel, the less a pause hits there.
    """
    written, grip = connection.written(letter.path, letter.body, letter.kind), fence.grip()
    try:
        connection.sock.settimeout(max(0.001, deadline - time.monotonic()))
        if grip is not None:
            grip.assert_held()
        connection.sock.sendall(written)
    except OSError as error:
        raise NotSent(f"{connection.host}:{connection.port}: {_words(error)}") from None
    if grip is not None and letter.act:
        grip.sent(letter.act)


def _receive(connection: _HTTP, sock: socket.socket, deadline: float) -> tuple[int, str, bytes]:
    """The answer, or Cut. The socket's own timeout is for one read, so it is set anew for every piece."""
    pieces: list[bytes] = []
    try:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        response = Response(sock, method="POST")
        with response:
            response.begin()
            while piece := response.read(CHUNK):
                pieces.append(piece)
                if not response.isclosed():
                    sock.settimeout(max(0.001, deadline - time.monotonic()))
            if response.length:
                raise Cut(f"{connection.host}:{connection.port}: the answer ended {response.length} bytes early")
            if response.will_close:
                connection.close()
            return response.status, response.headers.get_content_type(), b"".join(pieces)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Cut(f"{connection.host}:{connection.port}: {_words(error)}") from None


def _stale(connection: _HTTP) -> bool:
    """Whether the server closed the idle connection (or said something unasked, which is no better)."""
    sock = connection.sock
    if sock is None:
        return True
    try:
        sock.settimeout(0)
        peeked = sock.recv(1) if isinstance(sock, ssl.SSLSocket) else sock.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    del peeked  # end of the stream, or bytes that answer nothing
    return True


def _shut(sock: socket.socket) -> None:
    """End what another thread does on the socket. TLS's own shutdown is gone around: it would let that thread read on in plain text."""
    with contextlib.suppress(OSError):  # it is dead already, which is what is wanted
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
