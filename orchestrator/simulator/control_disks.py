"""What tests and demos may do to disks and their transfers, and what they may know of them that no XenAPI client does."""

import base64
import binascii
import hashlib
import random
from collections.abc import Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from orchestrator.simulator import space
from orchestrator.simulator.change_log import ChangeLog
from orchestrator.simulator.contents import BLOCK, PIECE, Content
from orchestrator.simulator.lookup import ControlError, find
from orchestrator.simulator.server import Server

PATHS: Final = ("export_raw_vdi", "import_raw_vdi", "export", "import", "export_metadata", "import_metadata")


def noise(seed: str, length: int) -> Iterator[bytes]:
    """Bytes that no compression makes smaller, always the same for a seed, in pieces."""
    stream = Cipher(algorithms.AES(hashlib.sha256(seed.encode()).digest()), modes.CTR(bytes(16))).encryptor()
    zeros = memoryview(bytes(min(PIECE, length)))
    while length > 0:
        size = min(PIECE, length)
        yield stream.update(zeros[:size])
        length -= size


class DiskControl:
    """The verbs for disks, in process; the control port carries them by JSON. VDIs and SRs are named by name, uuid or ref."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._db = server.db

    # -- what is on disks ----------------------------------------------------------------------------------------

    def disk(self, vdi: str, digest: bool = False) -> dict[str, Any]:
        """How many images the disk consists of, the bytes that its own image has; with *digest* the SHA-256 of all its bytes."""
        ref = find(self._db, "VDI", vdi)
        held, size = space.content(self._db, ref), int(self._db.get("VDI", ref)["virtual_size"])
        found: dict[str, Any] = {"images": held.depth, "allocated": held.allocated, "virtual_size": size}
        if digest:
            sha = hashlib.sha256()
            for span in held.spans(0, size):
                sha.update(span.bytes())
            found["sha256"] = sha.hexdigest()
        return found

    def write_disk(self, vdi: str, offset: int, data: str) -> None:
        """Write bytes (base64) at an offset of the disk, as its guest would."""
        try:
            given = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ControlError(f"data: must be base64: {error}") from error
        self.write_bytes(vdi, offset, given)

    def write_bytes(self, vdi: str, offset: int, data: bytes) -> None:
        """`write_disk` in process."""
        ref, held = self._writable(vdi, offset, len(data))
        held.write(offset, data)
        space.account(self._db, ref)

    def change_disk(self, vdi: str, fraction: float = 0.01, seed: int = 1, extent: int = BLOCK) -> dict[str, int]:
        """Overwrite this part of the disk with noise, in extents that lie anywhere: the same ones for the same seed. Says how much."""
        if not 0 < fraction <= 1 or extent <= 0:
            raise ControlError(f"fraction, extent: must be more than 0, fraction 1 at most, not {fraction!r} and {extent!r}")
        ref, held = self._writable(vdi, 0, extent)
        there = int(self._db.get("VDI", ref)["virtual_size"]) // extent
        chosen = random.Random(seed).sample(range(there), max(1, round(there * fraction)))
        for number in sorted(chosen):
            _write_noise(held, number * extent, extent, f"{seed}/{number}")
        space.account(self._db, ref)
        return {"extents": len(chosen), "bytes": len(chosen) * extent}

    def fill_disk(self, vdi: str, length: int | None = None, offset: int = 0, seed: int = 1) -> None:
        """Write noise over *length* bytes (all there are) from *offset* on."""
        size = int(self._db.get("VDI", find(self._db, "VDI", vdi))["virtual_size"])
        wanted = size - offset if length is None else length
        ref, held = self._writable(vdi, offset, wanted)
        _write_noise(held, offset, wanted, f"{seed}")
        space.account(self._db, ref)

    def _writable(self, vdi: str, offset: int, length: int) -> tuple[str, Content]:
        ref = find(self._db, "VDI", vdi)
        size = int(self._db.get("VDI", ref)["virtual_size"])
        if offset < 0 or length < 0 or offset + length > size:
            raise ControlError(f"offset: {offset} and {length} bytes from there are not within {vdi!r}, which has {size}")
        return ref, space.content(self._db, ref)

    # -- what goes wrong with them ---------------------------------------------------------------------------------

    def slow_stream(self, path: str, rate: int, times: int | None = None, match: str | None = None) -> None:
        """Transfers of the path ("export_raw_vdi") move no more than *rate* bytes a second."""
        _assert_path(path)
        if rate < 1:
            raise ControlError(f"rate: must be 1 byte a second or more, not {rate}")
        self._server.faults.slow_stream(path, rate, times, match)

    def break_stream(self, path: str, after: int, error: list[str] | None = None, times: int | None = 1, match: str | None = None) -> None:
        """The body of the next transfers ends after so many bytes, with the 200 long sent, and the task fails.

        With *error* ([code, *params]) the task has it and the body goes on with xapi's page; without, the connection closes.
        """
        _assert_path(path)
        self._server.faults.break_stream(path, after, error, times, match)

    def busy_after_transfer(self, seconds: float | None) -> None:
        """For so many seconds (on the wall) after a transfer the disk is still attached to domain 0: VDI_IN_USE. None: as on real hosts."""
        self._server.faults.busy = seconds

    def sr_free(self, sr: str, free: int) -> None:
        """The SR has so many bytes left; it grows or shrinks for that."""
        with self._db.lock:
            ref = find(self._db, "SR", sr)
            self._db.set("SR", ref, physical_size=self._db.get("SR", ref)["physical_utilisation"] + free)

    def keep_chains(self, sr: str, keep: bool = True) -> None:
        """The SR coalesces nothing until it is told to again; what is due then is done at once."""
        ref = find(self._db, "SR", sr)
        self._db.set("SR", ref, _keeps_chains=keep)
        space.coalesce(self._db, ref)

    def break_cbt(self, vdi: str, enabled_again: bool = False) -> None:
        """The log of changed blocks is lost, as after a host that died: the driver has switched it off, and somebody on again or not."""
        with self._db.lock:
            ref = find(self._db, "VDI", vdi)
            held = space.content(self._db, ref)
            if held.log is not None:
                held.log.remove()
            held.log = ChangeLog() if enabled_again else None
            self._db.set("VDI", ref, cbt_enabled=enabled_again)


def _write_noise(held: Content, offset: int, length: int, seed: str) -> None:
    for piece in noise(seed, length):
        held.write(offset, piece)
        offset += len(piece)


def _assert_path(path: str) -> None:
    if path not in PATHS:
        raise ControlError(f"path: must be one of {', '.join(PATHS)}, not {path!r}")
