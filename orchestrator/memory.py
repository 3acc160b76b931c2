"""Keeps the process small: what a pool's large answers took goes back to the system when they have been read."""

import ctypes

M_MMAP_THRESHOLD = -3  # malloc.h
M_ARENA_MAX = -8
LARGE = 128 * 1024


def bound() -> None:
    """Let many threads share two arenas, and give each large block a mapping of its own, for as long as the process lives.

    glibc would make an arena for each thread and, once a large block was freed, take the next ones from there: a thousand runs that read a
    pool leave tens of megabytes behind. Where the C library has no mallopt nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_ARENA_MAX, 2)
    mallopt(M_MMAP_THRESHOLD, LARGE)
