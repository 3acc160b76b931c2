"""Pieces of a disk over NBD: fixed newstyle, TLS from the first option on, simple replies, several requests under way at once.

By the protocol's public description (NetworkBlockDevice/nbd: doc/proto.md). Xapi's server takes the export by NBD_OPT_EXPORT_NAME, which
every server knows; the name bears a session, so that no word of it leaves here.
"""

import collections
import contextlib
import hmac
import re
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from orchestrator.xapi.tls import CONNECT_SECONDS
from plugins.errors import SourceError
from plugins.values import Extent

PIECE = 1 << 20
UNDER_WAY = 8

GREETING = struct.Struct(">8s8sH")
OPTION = struct.Struct(">8sII")
ANSWER = struct.Struct(">QIII")
EXPORT = struct.Struct(">QH")
REQUEST = struct.Struct(">IHHQQI")
REPLY = struct.Struct(">IIQ")

MAGIC, OPTION_MAGIC = b"NBDMAGIC", b"IHAVEOPT"
ANSWER_MAGIC, REQUEST_MAGIC, REPLY_MAGIC = 0x0003E889045565A9, 0x25609513, 0x67446698
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
EXPORT_NAME, STARTTLS = 1, 5
ACK = 1
READ, DISCONNECT = 0, 2
PADDING = 124
LONGEST_ANSWER = 1 << 16


@dataclass(frozen=True, slots=True)
class Server:
    """Where a disk is served (`VDI.get_nbd_info`): *certificate* (PEM) is the one that it must show, *subject* the name that it goes by."""

    address: str
    port: int
    certificate: str
    subject: str
    export: str = field(repr=False)


class Connection:
    """An export that is open for reading. Every method may raise OSError and SourceError; *stalled*: seconds without a byte."""

    def __init__(self, server: Server, stalled: float) -> None:
        self._at = f"NBD server {server.address} port {server.port}"
        plain = socket.create_connection((server.address.strip("[]"), server.port), CONNECT_SECONDS)
        self._sock: socket.socket = plain
        try:
            plain.settimeout(stalled)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            padded = self._greeted()
            self._sock = self._secured(plain, server)
            self.size = self._opened(server.export, padded=padded)
        except BaseException:
            self._sock.close()
            raise

    def _greeted(self) -> bool:
        """Whether the server sends padding after the export's size."""
        magic, options, flags = GREETING.unpack(self._received(GREETING.size))
        if (magic, options) != (MAGIC, OPTION_MAGIC) or not flags & FIXED_NEWSTYLE:
            raise SourceError(f"{self._at} does not speak fixed newstyle NBD")
        self._sock.sendall(struct.pack(">I", flags & (FIXED_NEWSTYLE | NO_ZEROES)))
        return not flags & NO_ZEROES

    def _secured(self, plain: socket.socket, server: Server) -> ssl.SSLSocket:
        """TLS, with the very certificate that the pool named: whoever shows another is not who must be there."""
        plain.sendall(OPTION.pack(OPTION_MAGIC, STARTTLS, 0))
        magic, option, kind, length = ANSWER.unpack(self._received(ANSWER.size))
        if magic != ANSWER_MAGIC or option != STARTTLS or length > LONGEST_ANSWER:
            raise SourceError(f"{self._at} answers what is no answer to STARTTLS")
        said = self._received(length).decode(errors="replace")
        if kind != ACK:
            raise SourceError(f"{self._at} refuses TLS (answer {kind:#x}){': ' + said if said else ''}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        wrapped = context.wrap_socket(plain, server_hostname=server.subject or None)
        if not hmac.compare_digest(wrapped.getpeercert(binary_form=True) or b"", _der(server.certificate)):
            wrapped.close()
            raise SourceError(f"{self._at} does not show the certificate that the pool named for it (subject {server.subject!r})")
        return wrapped

    def _opened(self, export: str, *, padded: bool) -> int:
        name = export.encode()
        self._sock.sendall(OPTION.pack(OPTION_MAGIC, EXPORT_NAME, len(name)) + name)
        try:
            size, _flags = EXPORT.unpack(self._received(EXPORT.size))
            self._received(PADDING if padded else 0)
        except ConnectionError:
            raise SourceError(f"{self._at} does not give the disk: it is in use, or the session was not accepted") from None
        return int(size)

    def read(self, extents: Iterable[Extent]) -> Iterator[tuple[Extent, bytes]]:
        """The contents of these pieces, in order, cut into pieces of at most 1 MiB."""
        wanted = _pieces(extents)
        under_way: collections.deque[tuple[int, Extent]] = collections.deque()
        come: dict[int, bytes] = {}
        number = 0
        while True:
            while len(under_way) < UNDER_WAY and (piece := next(wanted, None)) is not None:
                number += 1
                under_way.append((number, piece))
                self._sock.sendall(REQUEST.pack(REQUEST_MAGIC, 0, READ, number, piece.offset, piece.length))
            if not under_way:
                return
            first, piece = under_way[0]
            while first not in come:
                self._take(dict(under_way), come)
            under_way.popleft()
            yield piece, come.pop(first)

    def _take(self, under_way: dict[int, Extent], come: dict[int, bytes]) -> None:
        """One reply, of whichever request."""
        magic, error, number = REPLY.unpack(self._received(REPLY.size))
        if magic != REPLY_MAGIC or number not in under_way or number in come:
            raise SourceError(f"{self._at} answers what was not asked")
        piece = under_way[number]
        if error:
            raise SourceError(f"{self._at} cannot read {piece.length} bytes at {piece.offset}: error {error}")
        come[number] = self._received(piece.length)

    def _received(self, length: int) -> bytes:
        """Exactly so many bytes."""
        have, room = 0, memoryview(bytearray(length))
        while have < length:
            got = self._sock.recv_into(room[have:])
            if not got:
                raise ConnectionError(f"{self._at} closed the connection")
            have += got
        return room.tobytes()

    def close(self) -> None:
        """Say that nothing more is wanted, and let go."""
        with contextlib.suppress(OSError):
            self._sock.sendall(REQUEST.pack(REQUEST_MAGIC, 0, DISCONNECT, 0, 0, 0))
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _pieces(extents: Iterable[Extent]) -> Iterator[Extent]:
    for extent in extents:
        for offset in range(extent.offset, extent.offset + extent.length, PIECE):
            yield Extent(offset, min(PIECE, extent.offset + extent.length - offset))


def _der(certificate: str) -> bytes:
    """The first certificate of the PEM. Raises SourceError."""
    found = re.search("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", certificate, re.DOTALL)
    if found is None:
        raise SourceError("the pool names an NBD server without its certificate: nobody knows who is there")
    return ssl.PEM_cert_to_DER_cert(found[0])
