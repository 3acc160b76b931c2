"""What a restore reaches of a pool, as a Protocol, and the values that cross it.

Whatever a restore makes bears its mark from the first moment: the key `NOTE` in other_config, which names the run. What does not bear the
mark of the run that asks is never destroyed. The mark goes when the VM is whole and is handed over.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

NOTE = "vfo:restore"


def note_of(run: object, number: int | None = None) -> str:
    """The mark for a VM, or for the disk of that *number*."""
    return json.dumps({"run": str(run)} if number is None else {"run": str(run), "number": number}, sort_keys=True)


def read(other_config: Mapping[str, str]) -> dict[str, Any] | None:
    """What the mark says; None where there is none that can be read."""
    try:
        note = json.loads(other_config.get(NOTE, ""))
    except ValueError:
        return None
    return note if isinstance(note, dict) and isinstance(note.get("run"), str) else None


@dataclass(frozen=True, slots=True)
class Storage:
    """An SR: *kind* is its type ("nfs", "lvm"); *free* in bytes; *for_disks*: it holds disks of VMs (no ISOs)."""

    uuid: str
    name: str
    kind: str
    free: int
    for_disks: bool
    shared: bool


@dataclass(frozen=True, slots=True)
class MarkedDisk:
    """A disk that bears the mark: of which *run*, as which disk of the VM (*number*), and which VMs (uuids) have it.

    A host that reads or writes it (it is plugged into the control domain then) does not have it.
    """

    uuid: str
    name: str
    run: str
    number: int
    vms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """What bears the mark of one run: VMs (uuids; one, but for an answer that was lost), and its disks, one after the other."""

    vms: tuple[str, ...]
    disks: tuple[MarkedDisk, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """A VM (uuid, templates too) that an import has made, and the ref of that import's task; "": it does not say."""

    uuid: str
    task: str


class Restoring(Protocol):
    """Making VMs and disks anew, and taking away what is half made."""

    def storages(self) -> tuple[Storage, ...]:
        """Every SR, by name."""

    def most_memory(self) -> int:
        """How much memory (bytes) the largest host that is live has; 0 where the pool does not say."""

    def made_by(self, run: str) -> Made:
        """What bears the mark of the run. Reads whole tables."""

    def marked_disks(self) -> tuple[MarkedDisk, ...]:
        """Every disk that bears the mark of any run; snapshots of such disks are none."""

    def imports_of(self, run: str) -> Mapping[str, bool]:
        """The tasks (refs) of imports of the run that the pool knows, and whether each is over."""

    def imported_by(self, run: str, tasks: Collection[str]) -> tuple[Imported, ...]:
        """VMs that bear the run's mark, or that an import with one of these tasks has made. Snapshots are none."""

    def forget_import(self, task: str) -> None:
        """task.destroy: an import under it cannot begin any more, one that is at work goes on. One that is gone is no error."""

    def create_vm(self, record: Mapping[str, Any], run: str, reasons: Mapping[str, str]) -> str:
        """VM.create from the record of a blueprint, halted, with the mark and these blocks; the uuid. It has neither disks nor VIFs."""

    def mark_vm(self, vm: str, run: str, reasons: Mapping[str, str]) -> None:
        """Mark an imported VM and its disks, and block it."""

    def adopt_vm(self, vm: str, name: str, run: str, reasons: Mapping[str, str]) -> None:
        """Have an imported VM as if `create_vm` had made it: marked, its disks too, blocked, no template, with this name."""

    def create_disk(self, SR: str, disk: Mapping[str, Any], number: int, run: str) -> str:
        """VDI.create from a blueprint's disk, empty, with the mark; the uuid. *SR* is a uuid."""

    def attach_disk(self, vm: str, vdi: str | None, place: Mapping[str, Any]) -> None:
        """VBD.create at the place of a blueprint's disk; None: an empty CD drive. A device that has one already is left as it is."""

    def block_as_before(self, vm: str, blocked: Mapping[str, str]) -> None:
        """Add these blocks, which are of people, where nothing blocks the operation."""

    def unmark_disk(self, vdi: str) -> None:
        """Take the mark off a disk; one that is gone is no error."""

    def destroy_made_vm(self, vm: str, run: str) -> None:
        """VM.destroy of a halted VM that bears the run's mark; else `Refused`. One that is gone is no error. Its disks stay."""

    def destroy_made_disk(self, vdi: str, run: str) -> None:
        """VDI.destroy of a disk that bears the run's mark and that no VM without it has; else `Refused`. One that is gone is no error.

        `Busy` while a host reads or writes it.
        """

    def guest_is_seen(self, vm: str) -> bool:
        """Whether the guest says of itself that it lives (VM_guest_metrics: live, or drivers that were seen)."""
