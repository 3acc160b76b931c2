"""How long the backup of a VM will take: as its last ones did; the first time by the size of its disks. Pure."""

import statistics
from collections.abc import Sequence
from datetime import timedelta

FIXED = timedelta(minutes=2)
"""What a backup takes however small its disks are: the guest's shutdown and start, the snapshot, the product's beginning and end."""
RATE = 100 * 10**6
"""Bytes a second at which disks that nobody has measured are read: a gigabit network's, nearly."""


def takes(size: int, took: Sequence[timedelta]) -> timedelta:
    """*size*: of its disks, in bytes; *took*: how long its last backups took, of which the median counts."""
    if took:
        return timedelta(seconds=statistics.median(one.total_seconds() for one in took))
    return FIXED + timedelta(seconds=size / RATE)
