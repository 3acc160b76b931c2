"""XXH64, the checksum of an XVA's blocks, from the algorithm's public description; the fast library is used where it is installed."""

import ctypes
import functools
import hashlib
import importlib.util
import struct
from collections.abc import Callable
from typing import Final

MASK: Final = (1 << 64) - 1
P1: Final = 0x9E3779B185EBCA87
P2: Final = 0xC2B2AE3D27D4EB4F
P3: Final = 0x165667B19E3779F9
P4: Final = 0x85EBCA77C2B2AE63
P5: Final = 0x27D4EB2F165667C5
STRIPE: Final = 32
# How many blocks' checksums are kept where computing one takes long.
REMEMBERED: Final = 4096


def _turn(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & MASK


def _lane(lane: int, value: int) -> int:
    return _turn((lane + value * P2) & MASK, 31) * P1 & MASK


def _long(data: bytes) -> tuple[int, int]:
    """The state after all whole stripes, and how many bytes they were: four lanes, each of which sees every fourth number."""
    numbers = struct.unpack_from(f"<{len(data) // STRIPE * 4}Q", data)
    lanes = []
    for first, lane in enumerate(((P1 + P2) & MASK, P2, 0, -P1 & MASK)):
        for value in numbers[first::4]:
            mixed = (lane + value * P2) & MASK
            lane = (((mixed << 31) | (mixed >> 33)) & MASK) * P1 & MASK  # noqa: PLW2901 - the lane is what the loop is for
        lanes.append(lane)
    state = sum(_turn(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
    for lane in lanes:
        state = ((state ^ _lane(0, lane)) * P1 + P4) & MASK
    return state, len(numbers) * 8


def in_python(data: bytes) -> str:
    """The checksum of *data* with seed 0: 16 hexadecimal digits in upper case."""
    state, done = _long(data) if len(data) >= STRIPE else (P5, 0)
    state = (state + len(data)) & MASK
    while done + 8 <= len(data):
        state = (_turn(state ^ _lane(0, int.from_bytes(data[done : done + 8], "little")), 27) * P1 + P4) & MASK
        done += 8
    if done + 4 <= len(data):
        state = (_turn(state ^ (int.from_bytes(data[done : done + 4], "little") * P1 & MASK), 23) * P2 + P3) & MASK
        done += 4
    for byte in data[done:]:
        state = _turn(state ^ (byte * P5 & MASK), 11) * P1 & MASK
    for shift, prime in ((33, P2), (29, P3), (32, 1)):
        state = ((state ^ (state >> shift)) * prime) & MASK
    return f"{state:016X}"


def _of_library() -> Callable[[bytes], int] | None:
    """What the machine has: the package, or the library that Debian's apt brings."""
    if importlib.util.find_spec("xxhash") is not None:
        found: Callable[[bytes], int] = importlib.import_module("xxhash").xxh64_intdigest
        return found
    try:
        function = ctypes.CDLL("libxxhash.so.0").XXH64
    except (OSError, AttributeError):
        return None
    function.argtypes, function.restype = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64), ctypes.c_uint64
    return lambda data: int(function(data, len(data), 0))


@functools.cache
def _best() -> Callable[[bytes], str]:
    fast = _of_library()
    if fast is not None:
        return lambda data: f"{fast(data):016X}"
    known: dict[bytes, str] = {}

    def remembered(data: bytes) -> str:
        key = hashlib.sha256(data).digest()
        if key not in known:
            if len(known) >= REMEMBERED:
                known.clear()
            known[key] = in_python(data)
        return known[key]

    return remembered


def checksum(data: bytes) -> str:
    """As `in_python`, as fast as this machine can; blocks that come again are not computed again."""
    return _best()(data)
