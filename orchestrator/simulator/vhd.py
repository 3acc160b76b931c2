"""The VHD format as a stream: dynamic disks, and differencing ones over a base (Microsoft's specification; xapi: vhd_format's f.ml).

Layout: footer, header, the parent's name if there is one, the table of blocks, for each block a bitmap of its sectors and 2 MiB, footer.
"""

import struct
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from orchestrator.simulator.contents import Span
from orchestrator.simulator.errors import Failure

SECTOR: Final = 512
BLOCK: Final = 1 << 21
BITMAP: Final = BLOCK // SECTOR // 8
TABLE: Final = 2048
UNUSED: Final = 0xFFFFFFFF
NOWHERE: Final = 0xFFFFFFFFFFFFFFFF
DYNAMIC, DIFFERENCING = 3, 4
FOOTER: Final = struct.Struct(">8sIIQI4sI4sQQHBBII16sB427x")
HEADER: Final = struct.Struct(">8sQQIIII16sII512s")
LOCATOR: Final = struct.Struct(">4sIIIQ")
YEAR_2000: Final = 946684800


class Disk(NamedTuple):
    """What is exported: its size and uuid, its base's uuid if there is one, and the numbers of the blocks that are in it, in order."""

    size: int
    uuid: str
    base: str | None
    blocks: list[int]


def _checked(data: bytes, at: int) -> bytes:
    """With the checksum of the structure at this offset: the complement of the sum of all bytes."""
    return data[:at] + struct.pack(">I", ~sum(data) & 0xFFFFFFFF) + data[at + 4 :]


def _raw(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))


def _geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors, as the specification's appendix computes them."""
    sectors = min(size // SECTOR, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    track, heads = 17, max(4, (sectors // 17 + 1023) // 1024)
    if sectors // 17 >= heads * 1024 or heads > 16:
        track, heads = 31, 16
    if sectors // track >= heads * 1024:
        track, heads = 63, 16
    return sectors // track // heads, heads, track


def _footer(disk: Disk) -> bytes:
    kind = DIFFERENCING if disk.base else DYNAMIC
    now = int(time.time()) - YEAR_2000
    made = (
        b"conectix",
        2,
        0x10000,
        SECTOR,
        now,
        b"caml",
        1,
        bytes(4),
        disk.size,
        disk.size,
        *_geometry(disk.size),
        kind,
        0,
        _raw(disk.uuid),
        0,
    )
    return _checked(FOOTER.pack(*made), 64)


def _header(disk: Disk, entries: int) -> bytes:
    name = f"{disk.base}.vhd" if disk.base else ""
    parent = _raw(disk.base) if disk.base else bytes(16)
    made = HEADER.pack(b"cxsparse", NOWHERE, TABLE, 0x10000, entries, BLOCK, 0, parent, 0, 0, name.encode("utf-16-be"))
    locator = LOCATOR.pack(b"MacX", SECTOR, len(_location(disk)), 0, 3 * SECTOR) if disk.base else b""
    return _checked((made + locator).ljust(1024, b"\0"), 36)


def _location(disk: Disk) -> bytes:
    return f"file://./{disk.base}.vhd".encode() if disk.base else b""


def stream(disk: Disk, read: Callable[[int, int], Iterator[Span]]) -> Iterator[Span]:
    """The whole file; *read* gives the spans of an offset and length of the disk."""
    entries = -(-disk.size // BLOCK)
    table_size = -(-entries * 4 // SECTOR) * SECTOR
    first = (TABLE + table_size) // SECTOR
    table = [UNUSED] * entries
    for position, number in enumerate(disk.blocks):
        table[number] = first + position * ((BITMAP + BLOCK) // SECTOR)
    footer = _footer(disk)
    head = footer + _header(disk, entries) + _location(disk).ljust(SECTOR, b"\0")
    yield _span(head + struct.pack(f">{entries}I", *table).ljust(table_size, b"\xff"))
    for number in disk.blocks:
        yield _span(b"\xff" * BITMAP)
        length = min(BLOCK, disk.size - number * BLOCK)
        yield from read(number * BLOCK, length)
        if length < BLOCK:
            yield _span(bytes(BLOCK - length))
    yield _span(footer)


def length(disk: Disk) -> int:
    """How long the stream is."""
    entries = -(-disk.size // BLOCK)
    return TABLE + -(-entries * 4 // SECTOR) * SECTOR + len(disk.blocks) * (BITMAP + BLOCK) + SECTOR


def _span(data: bytes) -> Span:
    return Span(len(data), data)


def blocks(read: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    """Offsets and bytes of what a VHD that is read from its beginning holds; *read* gives exactly so many bytes.

    VDI_IO_ERROR for what is no VHD with blocks of 2 MiB: the tool that xapi runs ends with an error.
    """
    footer, header = read(SECTOR), read(1024)
    if footer[:8] != b"conectix" or header[:8] != b"cxsparse":
        raise Failure("VDI_IO_ERROR", "Device I/O errors")
    disk_size = int(FOOTER.unpack(footer)[8])
    _, _, table_at, _, entries, size, *_ = HEADER.unpack_from(header)
    if size != BLOCK or table_at < 3 * SECTOR:
        raise Failure("VDI_IO_ERROR", "Device I/O errors")
    read(table_at - 3 * SECTOR)
    at = table_at + entries * 4
    table = struct.unpack(f">{entries}I", read(entries * 4))
    for sector, number in sorted((sector, number) for number, sector in enumerate(table) if sector != UNUSED):
        if sector * SECTOR < at:
            raise Failure("VDI_IO_ERROR", "Device I/O errors")
        read(sector * SECTOR - at)
        bitmap, data = read(BITMAP), read(BLOCK)
        at = sector * SECTOR + BITMAP + BLOCK
        for offset, part in _present(number * BLOCK, bitmap, data):
            if offset < disk_size:
                yield offset, part[: disk_size - offset]


def _present(offset: int, bitmap: bytes, data: bytes) -> Iterator[tuple[int, bytes]]:
    """The parts of a block whose bits are set, neighbours together."""
    if bitmap == b"\xff" * BITMAP:
        yield offset, data
        return
    start: int | None = None
    for sector in range(BLOCK // SECTOR + 1):
        there = sector < BLOCK // SECTOR and bool(bitmap[sector // 8] & 0x80 >> sector % 8)
        if there and start is None:
            start = sector
        elif not there and start is not None:
            yield offset + start * SECTOR, data[start * SECTOR : sector * SECTOR]
            start = None
