"""Where the partitions of a disk are, by its MBR or GPT, and what a place of a disk holds, by the marks of its beginning."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

SECTOR = 512
SECTORS = (512, 4096)
EXTENDED = (0x05, 0x0F, 0x85)
PROTECTIVE = 0xEE
MOST = 128
MARKS = (
    (1080, b"\x53\xef", "ext"),
    (0, b"XFSB", "XFS"),
    (3, b"NTFS    ", "NTFS"),
    (0x10040, b"_BHRfS_M", "Btrfs"),
    (0, b"LUKS\xba\xbe", "LUKS (encrypted)"),
    (512, b"LABELONE", "LVM"),
    (4086, b"SWAPSPACE2", "swap"),
    (82, b"FAT32", "FAT"),
    (54, b"FAT", "FAT"),
    (3, b"EXFAT", "exFAT"),
)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: its number as the guest counts it; *start* and *size* in bytes."""

    number: int
    start: int
    size: int


def read(disk: BinaryIO) -> list[Partition]:
    """Its partitions; none where it has no table, or a filesystem begins at its first byte."""
    first = _at(disk, 0, SECTOR)
    if first[510:512] != b"\x55\xaa" or contents(disk, 0):
        return []
    if any(entry[4] == PROTECTIVE for entry in _entries(first)):
        return list(_gpt(disk))
    return sorted(_mbr(disk, first), key=lambda partition: partition.number)


def contents(disk: BinaryIO, offset: int) -> str:
    """What begins at this byte; "" when it is not known."""
    return next((name for at, mark, name in MARKS if _at(disk, offset + at, len(mark)) == mark), "")


def _mbr(disk: BinaryIO, first: bytes) -> Iterator[Partition]:
    for number, entry in enumerate(_entries(first), 1):
        start, length = struct.unpack("<II", entry[8:16])
        if entry[4] in EXTENDED:
            yield from _logical(disk, start)
        elif entry[4] and length:
            yield Partition(number, start * SECTOR, length * SECTOR)


def _logical(disk: BinaryIO, base: int) -> Iterator[Partition]:
    """The chain of tables within the extended partition; each names one partition and the next table."""
    here, seen = base, set[int]()
    while here not in seen and len(seen) < MOST:
        seen.add(here)
        table = _at(disk, here * SECTOR, SECTOR)
        if table[510:512] != b"\x55\xaa":
            return
        entries = list(_entries(table))
        start, length = struct.unpack("<II", entries[0][8:16])
        if entries[0][4] and length:
            yield Partition(4 + len(seen), (here + start) * SECTOR, length * SECTOR)
        if entries[1][4] not in EXTENDED:
            return
        here = base + struct.unpack("<I", entries[1][8:12])[0]


def _gpt(disk: BinaryIO) -> Iterator[Partition]:
    for sector in SECTORS:
        header = _at(disk, sector, 92)
        if header[:8] != b"EFI PART":
            continue
        table, count, size = struct.unpack("<QII", header[72:88])
        for number in range(min(count, MOST) if size >= SECTOR // 4 else 0):
            entry = _at(disk, table * sector + number * size, 48)
            if len(entry) == 48 and entry[:16] != bytes(16):
                first, last = struct.unpack("<QQ", entry[32:48])
                yield Partition(number + 1, first * sector, (last - first + 1) * sector)
        return


def _entries(table: bytes) -> Iterator[bytes]:
    return (table[446 + 16 * number : 462 + 16 * number] for number in range(4))


def _at(disk: BinaryIO, offset: int, length: int) -> bytes:
    disk.seek(offset)
    return disk.read(length)
