"""The data of one snapshot as products are given it (`plugins.kit.Source`)."""

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from orchestrator.xapi.transfers import PoolTransfers
from plugins.values import Disk, Extent, Snapshot


class PoolSource:
    """What the pool gives of the snapshot: whole over HTTP, in pieces by NBD."""

    def __init__(self, transfers: PoolTransfers, snapshot: Snapshot) -> None:
        self._transfers = transfers
        self._snapshot = snapshot

    def open_disk(self, disk: Disk) -> BinaryIO:
        """As `plugins.kit.Source` says."""
        if not disk.size:
            return io.BytesIO()
        return cast("BinaryIO", self._transfers.read_disk(disk.uuid, disk.size))

    def open_vm(self) -> BinaryIO:
        """As `plugins.kit.Source` says."""
        return cast("BinaryIO", self._transfers.read_vm(self._snapshot.uuid))

    def changed(self, disk: Disk, since: str) -> tuple[Extent, ...] | None:
        """As `plugins.kit.Source` says."""
        return self._transfers.changed(disk.uuid, disk.size, since) if disk.size else ()

    def read(self, disk: Disk, extents: Iterable[Extent]) -> Iterator[tuple[Extent, bytes]]:
        """As `plugins.kit.Source` says."""
        return self._transfers.read_extents(disk.uuid, disk.size, extents)
