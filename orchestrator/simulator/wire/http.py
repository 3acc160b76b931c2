"""As much HTTP/1.1 as XenAPI clients speak: POST with a Content-Length, kept-alive connections, and xapi's HTML when it goes wrong."""

import dataclasses
import socket
from collections.abc import Callable

from orchestrator.simulator.wire.errors import Malformed

HEADER_LIMIT = 64 * 1024


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
    """One answer with a body of known length."""

    status: str
    content_type: str
    body: bytes
    close: bool = False

    def head(self, *, keep_alive: bool) -> bytes:
        """Everything up to the body."""
        connection = "keep-alive" if keep_alive else "close"
        lines = (
            f"HTTP/1.1 {self.status}",
            f"Content-Length: {len(self.body)}",
            f"Connection: {connection}",
            "Cache-Control: no-cache, no-store",
            f"Content-Type: {self.content_type}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def html(status: str, title: str, text: str) -> Response:
    """Xapi's page for what is no call; the connection is closed after it."""
    body = f"<html><body><h1>HTTP {title}</h1>{text}</body></html>"
    return Response(status, "text/html", body.encode(), close=True)


def internal_error(text: str) -> Response:
    """HTTP 500: what xapi answers to a request that it cannot read."""
    return html(
        "500 Internal Error", "500 internal server error", f"An unexpected error occurred; please wait a while and try again. {text}"
    )


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
        """The next request, None when the other side closed; Malformed when it cannot be read."""
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
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise Malformed("We require a content-length: HTTP header")
        if request.headers.get("expect", "").lower() == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        wanted = int(length)
        while len(self._buffer) < wanted:
            if not self._fill():
                return None
        body = bytes(self._buffer[:wanted])
        del self._buffer[:wanted]
        return body

    def send(self, response: Response, *, keep_alive: bool) -> None:
        """The answer; a small one in one packet, a large one without a copy."""
        head = response.head(keep_alive=keep_alive)
        if len(response.body) < 1 << 16:
            self._socket.sendall(head + response.body)
        else:
            self._socket.sendall(head)
            self._socket.sendall(response.body)


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
Route = Callable[[Request, str], Response]
