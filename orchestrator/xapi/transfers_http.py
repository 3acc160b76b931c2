"""One HTTP request whose body is a disk or a VM. Its URL bears a session, so that no word of it leaves here."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from orchestrator.xapi.response import Response
from orchestrator.xapi.tls import CONNECT_SECONDS, Trust


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for: *verb*, *path* and *query*; *length* of the body that is to be sent, None: there is none."""

    verb: str
    path: str
    query: Mapping[str, str]
    length: int | None = None

    def head(self, host: str) -> bytes:
        """The request up to its body."""
        body = [] if self.length is None else [f"Content-Length: {self.length}"]
        lines = (f"{self.verb} {self.path}?{urlencode(self.query)} HTTP/1.1", f"Host: {host}", "User-Agent: vf-orchestrator", *body)
        return ("\r\n".join((*lines, "Connection: close")) + "\r\n\r\n").encode("ascii")


class Exchange:
    """A request that was sent, and the head of its answer. Every method may raise OSError; *stalled*: seconds without a byte."""

    def __init__(self, url: SplitResult, trust: Trust, ask: Ask, stalled: float) -> None:
        host = url.hostname or ""
        plain = socket.create_connection((host, url.port or (443 if url.scheme == "https" else 80)), CONNECT_SECONDS)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._sock: socket.socket = trust.wrap(plain, host) if url.scheme == "https" else plain
        except BaseException:
            plain.close()
            raise
        try:
            self._sock.settimeout(stalled)
            self._sock.sendall(ask.head(url.netloc))
            self._response = Response(self._sock, method=ask.verb)
            self._response.begin()
        except BaseException:
            self._sock.close()
            raise

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self._response.status

    def readinto(self, room: memoryview) -> int:
        """The next bytes of the answer's body, 0 at its end."""
        return self._response.readinto(room)

    def send(self, piece: memoryview) -> None:
        """The next bytes of the request's body."""
        self._sock.sendall(piece)

    def elsewhere(self) -> SplitResult | None:
        """Where the answer sends us, None when it does not."""
        location = self._response.headers.get("location", "")
        return urlsplit(location) if self.status in (301, 302, 303, 307, 308) and location else None

    def close(self) -> None:
        """Let go of the connection; closing it twice is fine."""
        self._response.close()
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def same_request(ask: Ask, there: SplitResult) -> bool:
    """Whether a redirection asks another host for the very same thing: then, and only then, it may have our session."""
    return there.path == ask.path and dict(parse_qsl(there.query, keep_blank_values=True)) == dict(ask.query)


def words(error: OSError) -> str:
    """What it says, or what it is."""
    return str(error) or type(error).__name__
