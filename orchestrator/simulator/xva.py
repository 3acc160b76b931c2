"""The XVA format: a tar with ova.xml, then each disk as blocks of 1 MiB with a checksum each (xapi: stream_vdi.ml).

Blocks of zeros are left out, but for a disk's first and last one.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

from orchestrator.simulator import manifest, xxh64
from orchestrator.simulator.contents import Content
from orchestrator.simulator.errors import Failure

CHUNK: Final = 1 << 20
ZERO_CHUNK: Final = bytes(CHUNK)
RECORD: Final = 512
GZIP: Final = b"\x1f\x8b"
GZIP_WINDOW: Final = 31


class Sink(Protocol):
    """Where an archive goes."""

    def write(self, data: bytes) -> None:
        """Take more of it."""


class Squeezed:
    """An archive on its way through gzip."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._gzip = zlib.compressobj(1, zlib.DEFLATED, GZIP_WINDOW)

    def write(self, data: bytes) -> None:
        """Compress and pass on."""
        self._sink.write(self._gzip.compress(data))

    def close(self) -> None:
        """Pass on what is left."""
        self._sink.write(self._gzip.flush())


def put(sink: Sink, name: str, data: bytes) -> None:
    """One file of the archive."""
    header = tarfile.TarInfo(name)
    header.size = len(data)
    sink.write(header.tobuf(tarfile.USTAR_FORMAT))
    sink.write(data)
    sink.write(bytes(-len(data) % RECORD))


def end(sink: Sink) -> None:
    """Two empty records."""
    sink.write(bytes(2 * RECORD))


def put_disk(sink: Sink, name: str, content: Content, size: int) -> Iterator[int]:
    """Write a disk block by block; gives how many of its bytes each step dealt with."""
    last = (size - 1) // CHUNK
    for number in range(last + 1):
        length = min(CHUNK, size - number * CHUNK)
        chunk = _chunk(content, number * CHUNK, length)
        if chunk is not None or number in {0, last}:
            data = chunk or bytes(length)
            put(sink, f"{name}/{number:08d}", data)
            put(sink, f"{name}/{number:08d}.xxhash", xxh64.checksum(data).encode())
        yield length


def _chunk(content: Content, offset: int, length: int) -> bytes | None:
    """The bytes, None when they are zeros."""
    spans = list(content.spans(offset, length))
    if all(span.data is None and span.file is None for span in spans):
        return None
    data = b"".join(span.bytes() for span in spans)
    return None if data == ZERO_CHUNK[:length] else data


class Source:
    """An archive that comes in pieces, packed by gzip or not. IMPORT_ERROR_PREMATURE_EOF when it ends too early, or is no archive."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = bytearray()
        self._gzip: zlib._Decompress | None = None
        while len(self._buffer) < len(GZIP) and self._more():
            pass
        if self._buffer.startswith(GZIP):
            packed = bytes(self._buffer)
            self._gzip = zlib.decompressobj(GZIP_WINDOW)
            self._buffer = bytearray(self._unpacked(packed))

    def _unpacked(self, piece: bytes) -> bytes:
        if self._gzip is None:
            return piece
        try:
            return self._gzip.decompress(piece)
        except zlib.error as error:
            raise Failure("IMPORT_ERROR_PREMATURE_EOF") from error

    def _more(self) -> bool:
        piece = next(self._pieces, b"")
        self._buffer += self._unpacked(piece)
        return bool(piece)

    def read(self, length: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._buffer) < length:
            if not self._more():
                raise Failure("IMPORT_ERROR_PREMATURE_EOF")
        data = bytes(memoryview(self._buffer)[:length])
        del self._buffer[:length]
        return data

    def file(self) -> tuple[str, bytes]:
        """The next file: its name and what is in it."""
        try:
            header = tarfile.TarInfo.frombuf(self.read(RECORD), "utf-8", "strict")
        except tarfile.HeaderError as error:
            raise Failure("IMPORT_ERROR_PREMATURE_EOF") from error
        data = self.read(header.size)
        self.read(-header.size % RECORD)
        return header.name, data

    def manifest(self) -> list[manifest.Exported]:
        """The objects of the archive, which must be its first file; what begins otherwise is taken for gzip, which it is not."""
        name, data = self.file()
        if name != manifest.NAME and self._gzip is None:
            raise Failure("IMPORT_ERROR_PREMATURE_EOF")
        if name != manifest.NAME:
            raise Failure("IMPORT_ERROR_UNEXPECTED_FILE", manifest.NAME, name)
        return manifest.parse(data)

    def drain(self) -> None:
        """Read what is left: the end of the archive."""
        for _ in self._pieces:
            pass


def disk_blocks(source: Source, name: str, size: int, *, force: bool) -> Iterator[tuple[int, bytes]]:
    """Offsets and bytes of a disk's blocks as they come; what was left out is zeros. With *force* a wrong checksum is no matter."""
    offset, last, first_length = 0, -1, 0
    while offset < size:
        path, data = source.file()
        prefix, _, number = path.partition("/")
        if prefix != name or not number.isdecimal() or int(number) <= last:
            raise Failure("IMPORT_ERROR", 'Stream_vdi.Failure("Invalid XVA file")')
        first_length = first_length or len(data)
        offset += (int(number) - last - 1) * first_length
        last = int(number)
        _verify(source, path, data, force=force)
        yield offset, data
        offset += len(data)


def _verify(source: Source, path: str, data: bytes, *, force: bool) -> None:
    name, found = source.file()
    kind = name.removeprefix(path)
    if kind not in {".xxhash", ".checksum"}:
        raise Failure("IMPORT_ERROR", f'Stream_vdi.Failure("Found unsupported checksum file: {name}")')
    wanted = xxh64.checksum(data) if kind == ".xxhash" else hashlib.sha1(data, usedforsecurity=False).hexdigest()
    if found.decode("ascii", "replace") != wanted and not force:
        text = f"Block {path} checksum failed: original = {found.decode('ascii', 'replace')}; recomputed = {wanted}"
        raise Failure("IMPORT_ERROR", f'Stream_vdi.Invalid_checksum("{text}")')
