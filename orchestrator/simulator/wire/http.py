"""As much HTTP/1.1 as XenAPI clients speak: POST with a Content-Length, kept-alive connections, transfers of disks, and xapi's HTML."""

import contextlib
import dataclasses
import html as markup
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator

from orchestrator.simulator.wire.errors import Malformed

HEADER_LIMIT = 64 * 1024
# How long a body that nobody wants is swallowed, so that its sender sees the answer rather than a reset.
LINGER = 2.0
# Transfers go in pieces of this many bytes.
PIECE = 1 << 20
ZEROS = memoryview(bytes(PIECE))


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request; header names in lower case."""

    verb: str
    path: str
    version: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after the answer: HTTP/1.1 unless it says close."""
        return self.version == "HTTP/1.1" and self.headers.get("connection", "").lower() != "close"


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """One answer with a body of known length; without a content type there is no body, nor a word about its length."""

    status: str
    content_type: str
    body: bytes
    close: bool = False
    headers: tuple[str, ...] = ()

    def head(self, *, keep_alive: bool) -> bytes:
        """Everything up to the body."""
        length = [f"Content-Length: {len(self.body)}"] if self.content_type else []
        kind = [f"Content-Type: {self.content_type}"] if self.content_type else []
        connection = f"Connection: {'keep-alive' if keep_alive else 'close'}"
        lines = (f"HTTP/1.1 {self.status}", *length, connection, "Cache-Control: no-cache, no-store", *kind, *self.headers)
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclasses.dataclass(frozen=True, slots=True)
class Transfer:
    """A 200 that is sent before the work starts; the body is what the work writes, and ends with the connection."""

    headers: tuple[str, ...]
    work: Callable[["Stream"], None]
    close: bool = True

    def head(self) -> bytes:
        """Everything up to the body."""
        return Response("200 OK", "", b"", headers=self.headers).head(keep_alive=False)


def html(status: str, title: str, text: str, *headers: str) -> Response:
    """Xapi's page for what is no call; the connection is closed after it."""
    body = f"<html><body><h1>HTTP {title}</h1>{text}</body></html>"
    return Response(status, "text/html", body.encode(), close=True, headers=headers)


def bare(status: str, *headers: str) -> Response:
    """An answer without a page."""
    return Response(status, "", b"", close=True, headers=headers)


def forbidden() -> Response:
    """HTTP 403: what nobody may have, or not this user (http_svr.ml: response_forbidden)."""
    return html("403 Forbidden", "403 forbidden", "Access to the requested resource is forbidden.")


def unauthorised(realm: str) -> Response:
    """HTTP 401: neither a session nor a password that is good."""
    text = "Please check your credentials and retry."
    return html("401 Unauthorised", "401 unauthorised", text, f'WWW-Authenticate: Basic realm="{realm}"')


def internal_error(text: str) -> Response:
    """HTTP 500: what xapi answers to a request that it cannot read or carry out; the text is an OCaml exception's."""
    trouble = "An unexpected error occurred; please wait a while and try again. If the problem persists, please contact your support"
    more = f"{trouble} representative.<h1> Additional information </h1>{markup.escape(text, quote=False).replace(chr(34), '&quot;')}"
    return html("500 Internal Error", "500 internal server error", more)


class Stream:
    """Requests from, and answers to, one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray()

    def _fill(self) -> bool:
        """More bytes; false when the other side closed."""
        chunk = self._socket.recv(1 << 16)
        self._buffer += chunk
        return bool(chunk)

    def request(self) -> Request | None:
        """The next request, None when the other side closed; Malformed when it cannot be read. Only a POST's body is read."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEADER_LIMIT:
                raise Malformed("the header is too long")
            if not self._fill():
                return None
        head = bytes(self._buffer[:end]).decode("latin-1")
        del self._buffer[: end + 4]
        request = parse_head(head)
        if request.verb != "POST":
            return request
        body = self._body(request)
        return None if body is None else dataclasses.replace(request, body=body)

    def _body(self, request: Request) -> bytes | None:
        wanted = length_of(request)
        if request.headers.get("expect", "").lower() == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self._buffer) < wanted:
            if not self._fill():
                return None
        body = bytes(self._buffer[:wanted])
        del self._buffer[:wanted]
        return body

    def receive(self, length: int) -> Iterator[bytes]:
        """A body of that length in pieces of PIECE; OSError when the other side closes before its end, after what came was given."""
        piece = bytearray(min(PIECE, max(length, 1)))
        while length > 0:
            have, wanted = 0, min(len(piece), length)
            if self._buffer:
                have = min(len(self._buffer), wanted)
                piece[:have] = self._buffer[:have]
                del self._buffer[:have]
            while have < wanted:
                more = self._receive_into(memoryview(piece)[have:wanted])
                if not more:
                    yield bytes(piece[:have])
                    raise ConnectionResetError("the body ended early")
                have += more
            length -= have
            yield bytes(memoryview(piece)[:have])

    def _receive_into(self, room: memoryview) -> int:
        """How many bytes came, 0 when the other side closed or is gone."""
        try:
            return self._socket.recv_into(room)
        except ConnectionError:
            return 0

    def write(self, data: bytes | memoryview) -> None:
        """A part of a transfer's body."""
        self._socket.sendall(data)

    def write_zeros(self, length: int) -> None:
        """So many zeros, at most PIECE."""
        self._socket.sendall(ZEROS[:length])

    def write_file(self, fd: int, offset: int, length: int) -> None:
        """Bytes of a file, without a copy of them here unless they have to be encrypted; zeros behind its end."""
        if isinstance(self._socket, ssl.SSLSocket):
            self.write(os.pread(fd, length, offset).ljust(length, b"\0"))
            return
        while length > 0:
            sent = os.sendfile(self._socket.fileno(), fd, offset, length)
            if not sent:
                self._socket.sendall(bytes(length))
                return
            offset, length = offset + sent, length - sent

    def linger(self) -> None:
        """Say that nothing more comes, and swallow for a while what the other side still sends."""
        end = time.monotonic() + LINGER
        with contextlib.suppress(OSError):  # it is gone, which is as well
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(LINGER)
            while time.monotonic() < end and self._socket.recv(1 << 16):
                pass

    def send(self, response: Response | Transfer, *, keep_alive: bool) -> None:
        """The answer; a small one in one packet, a large one without a copy."""
        if isinstance(response, Transfer):
            with contextlib.suppress(OSError):  # who is gone is met by the work, which has its own end
                self._socket.sendall(response.head())
            response.work(self)
            return
        head = response.head(keep_alive=keep_alive)
        if len(response.body) < 1 << 16:
            self._socket.sendall(head + response.body)
        else:
            self._socket.sendall(head)
            self._socket.sendall(response.body)


def length_of(request: Request) -> int:
    """The Content-Length, without which xapi reads nothing; Malformed when there is none."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise Malformed("We require a content-length: HTTP header")
    return int(length)


def parse_head(head: str) -> Request:
    """The request line and headers."""
    first, *lines = head.split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/"):
        raise Malformed("not a request")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(parts[0], parts[1], parts[2], headers)


# A handler of a verb and path (without its query); it gets the request and the ref of the host that was asked.
Route = Callable[[Request, str], Response | Transfer]
