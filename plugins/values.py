"""The frozen values that plugins are given: never the application, never a session. Sizes in bytes, moments aware, uuids XenAPI's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

# -- what a backup is about ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BackupVM:
    """One VM that is backed up: by which run (after a crash the same one comes again), for which policy, in which window.

    *window* is "" outside of one. *product* is the NAME of [products.NAME]. *power_state* is XenAPI's, as it was before anything was done.
    """

    run_id: UUID
    pool: str
    vm: str
    name: str
    policy: str
    product: str
    window: str
    power_state: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of a snapshot: *number* counts from 0 in order of *device* (userdevice), *uuid* is the snapshot's VDI, *of* the VM's own."""

    number: int
    device: str
    uuid: str
    of: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The snapshot that is to be saved, with all that is needed to make the VM anew.

    *blueprint* is plain JSON: the VM's record, its VIFs, its disks (`orchestrator.xapi` writes it and reads it again). A product keeps it
    beside the disks and gives it back in a `RestorePoint`.
    """

    uuid: str
    name: str
    taken_at: datetime
    disks: tuple[Disk, ...]
    blueprint: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extent:
    """A piece of a disk."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Needs:
    """What a product needs of a VM.

    *no_vf_during*: "nothing", the "snapshot", or its whole "job" ([backup] needs says what it means). *disks*: whether it reads the
    snapshot's disks at all. *changed_blocks*: whether it asks what changed since an earlier backup.
    """

    no_vf_during: str = "nothing"
    disks: bool = True
    changed_blocks: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How a job stands.

    *state*: "running", "done", "failed" (it will not go on), or "lost" (nobody is at work on it: begin it again). *fraction* is 0 to 1,
    None where nobody knows. *read*: bytes that were read from the pool, *stored*: that the repository grew by. *point*: the id of the
    restore point, when done. *message*: for people. *details*: plain JSON for the report ("changed": bytes that had changed, ...).
    """

    state: str
    fraction: float | None = None
    read: int = 0
    stored: int = 0
    point: str = ""
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A backup that a product has: enough to make the VM anew, whatever has become of our database.

    *id* is unique in the repository and names the backup to people. *disks* as they were in the snapshot; *whole_vm*: it is one XVA
    (`open_vm`), else a stream per disk (`open_disk`). *sha256*: by disk number, of the raw contents, where the product knows it: as hex, or
    as `plugins.streams.Piecewise` writes it, which is quicker; of a whole VM, under 0, that of its XVA.
    """

    id: str
    run_id: str
    pool: str
    vm: str
    vm_name: str
    policy: str
    taken_at: datetime
    disks: tuple[Disk, ...]
    blueprint: Mapping[str, Any] = field(default_factory=dict)
    whole_vm: bool = False
    sha256: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a product found when it looked at a restore point: whether it is *sound*, and in words."""

    sound: bool
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended, for the hooks that come after.

    *status*: "saved", "failed", "refused", "skipped" or "cancelled"; for `after_snapshot`: "taken" or "failed". *point*: the restore point.
    """

    status: str
    reason: str = ""
    point: str = ""
    read: int = 0
    stored: int = 0


@dataclass(frozen=True, slots=True)
class WindowOpening:
    """One opening of a window in one pool; *closes* is None for a policy that a person runs without a window."""

    run_id: UUID
    name: str
    pool: str
    opens: datetime
    closes: datetime | None


@dataclass(frozen=True, slots=True)
class WindowEnded:
    """What became of the VMs of the window, each counted once.

    *saved*; *failed* (cancelled ones included); *missed*: not begun, for want of time or room; *skipped*: there was nothing to do, which is
    well; *refused*: a hook would not have it, or the VM could not be made ready as it is.
    """

    saved: int
    failed: int
    missed: int
    skipped: int = 0
    refused: int = 0

    @property
    def well(self) -> bool:
        """Whether nobody is left who was to be saved and was not."""
        return not (self.failed or self.missed or self.refused)

    def __str__(self) -> str:
        """As a person reads it: "8 saved, 1 skipped, 2 failed, 0 missed"."""
        counted = {"saved": self.saved, "skipped": self.skipped, "refused": self.refused, "failed": self.failed, "missed": self.missed}
        return ", ".join(f"{count} {name}" for name, count in counted.items() if count or name not in ("skipped", "refused"))


# -- what observers are told -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VFFreed:
    """The VFs of a VM that is gone are proven free on *port* ("host/device"); *free* of *total* VFs are free now."""

    run_id: UUID
    pool: str
    vm: str
    vm_name: str
    port: str
    free: int
    total: int
    at: datetime


@dataclass(frozen=True, slots=True)
class VFLeaked:
    """*count* VFs of *port* are neither free nor used by anybody; *evidence* holds the looks (plain JSON)."""

    run_id: UUID
    pool: str
    port: str
    count: int
    evidence: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run ended: *end* is done, refused, undone or stuck."""

    run_id: UUID
    pool: str
    workflow: str
    title: str
    end: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class BackupEnded:
    """The backup of a VM ended: *ended* says how."""

    vm: BackupVM
    ended: Ended
    at: datetime


@dataclass(frozen=True, slots=True)
class WindowChanged:
    """A window opened (*ended* is None) or all that was to be done in it is over."""

    window: WindowOpening
    ended: WindowEnded | None
    at: datetime


@dataclass(frozen=True, slots=True)
class HostChanged:
    """A host came into service or went out of it: *live* (it answers) and *enabled* (VMs may start there), as they are now."""

    pool: str
    host: str
    name: str
    live: bool
    enabled: bool
    at: datetime


Happening = VFFreed | VFLeaked | RunEnded | BackupEnded | WindowChanged | HostChanged
