"""What the workflows of backups reach besides the pool and the ledger, as Protocols: other runs, plugins, the catalogue of backups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from plugins.values import BackupVM, Needs, Progress, RestorePoint, Snapshot, Verified


@dataclass(frozen=True, slots=True)
class RunView:
    """Another run as it stands: *status* as in `vfo runs`, *data* as its last step left it; *over*: it has ended (a stuck one too)."""

    id: UUID
    workflow: str
    status: str
    step: str
    reason: str
    next_command: str
    data: Mapping[str, Any]
    over: bool


class Runs(Protocol):
    """Other runs of the same pool."""

    def look(self, run_id: UUID) -> RunView | None:
        """The run; None when there is none of that id."""

    def active_on(self, workflow: str, subject: str) -> RunView | None:
        """The active run of the workflow on the subject."""

    def active_of(self, workflow: str) -> Sequence[RunView]:
        """All active runs of the workflow."""

    def approve(self, run_id: UUID, by: str) -> None:
        """As `vfo run ID approve`; no error when it has ended."""

    def cancel(self, run_id: UUID, by: str) -> None:
        """As `vfo run ID cancel`; no error when it has ended."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one plugin said in an acting hook.

    *end*: "ok", "refuse", "skip", "later", "give-up" (it raised that), "failed" (anything else), "late" (it took longer than it may).
    *after*: for "later", when to ask again, where the plugin says so. *seconds*: how long it took.
    """

    plugin: str
    end: str
    reason: str = ""
    after: timedelta | None = None
    seconds: float = 0.0

    @property
    def well(self) -> bool:
        """Whether the thing may go on."""
        return self.end == "ok"

    def as_data(self) -> dict[str, Any]:
        """As plain JSON, for the record."""
        return {"plugin": self.plugin, "end": self.end, "reason": self.reason, "seconds": round(self.seconds, 3)}


class Plugins(Protocol):
    """The configured plugins, each by the NAME of its table.

    A product's calls may raise RetryLater and GiveUp (plugins/errors.py); whatever else a plugin raises comes as GiveUp that names it.
    A product that does not have the hook: GiveUp that says so.
    """

    def act(self, hook: str, names: Sequence[str], *values: object, timeout: timedelta) -> tuple[Verdict, ...]:
        """Call the acting hook of these instances in their order ("after_..." in the opposite one), each with *timeout*.

        A "before_..." stops at the first that is not well, which is the last of the answer; an "after_..." calls all. Those that do not
        have the hook are left out. Never raises.
        """

    def needs(self, product: str, vm: BackupVM) -> Needs | None:
        """What the product needs of the VM; None: it does not say."""

    def start(self, product: str, vm: BackupVM, snapshot: Snapshot) -> str:
        """Begin the job; its id."""

    def poll(self, product: str, job: str) -> Progress:
        """How the job stands."""

    def cancel(self, product: str, job: str) -> None:
        """End the job."""

    def points(self, product: str) -> tuple[RestorePoint, ...]:
        """Every restore point of the product, oldest first."""

    def verify(self, product: str, point: RestorePoint) -> Verified:
        """Look whether it can be given back."""

    def forget(self, product: str, points: Sequence[RestorePoint]) -> int:
        """Remove these; bytes freed."""


@dataclass(frozen=True, slots=True)
class Saved:
    """One line of the catalogue: what became of one VM that a policy was to save.

    *id*: of the run that did it, or made up for one that was never begun. *status*: "saved", "failed", "refused", "skipped", "cancelled",
    "missed" (it was not begun in its window), "late" (it is at work after its window's end). *downtime*: how long the guest was down.
    *point*: the product's restore point. *details*: plain JSON of the product.
    """

    id: UUID
    pool: str
    vm: str
    vm_name: str
    policy: str
    product: str
    window: str
    opened_at: datetime | None
    status: str
    reason: str
    began_at: datetime
    ended_at: datetime | None
    downtime: timedelta = timedelta()
    size: int = 0
    read: int = 0
    stored: int = 0
    point: str = ""
    mode: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier backups of a VM by a policy teach: when the last one was saved, and how long the last ones took (newest first)."""

    saved_at: datetime | None
    took: tuple[timedelta, ...]


class Catalogue(Protocol):
    """What became of every backup; durable, each call a transaction."""

    def record(self, saved: Saved) -> None:
        """Write the line of this id, anew or over the one that is there."""

    def record_new(self, lines: Sequence[Saved]) -> None:
        """Write those lines of whose id there is none: what a run has written of itself stays."""

    def known(self, policy: str) -> Mapping[str, Known]:
        """What is known of the VMs (uuids) of this pool that the policy has saved; a pool of 10,000 VMs is one query or two."""

    def paused(self) -> Mapping[str, str]:
        """The policies that are paused, each with who paused it and when, in words."""


class Transfers(Protocol):
    """Moving disks between products and the pool in the background, as jobs like those of products (`plugins.kit.Jobs`)."""

    def begin_restore(self, run_id: UUID, product: str, point: RestorePoint, number: int, vdi: str) -> str:
        """Write disk *number* of the restore point into the VDI; the job's id. Begun anew when it was lost.

        Its details have "sha256": the checksum of what was written, of the kind that the restore point has (`RestorePoint.sha256`).
        """

    def begin_import(self, run_id: UUID, product: str, point: RestorePoint, SR: str, key: str) -> str:
        """Import the whole VM of the restore point; the job's id. Its `point` is then the uuid of the VM that was made.

        Asked again with the same *key* it is the same job, also when it is done.
        """

    def import_job(self, run_id: UUID, key: str) -> str:
        """The id that `begin_import` gives."""

    def begin_check(self, run_id: UUID, product: str, point: RestorePoint) -> str:
        """Read every disk of the restore point from the repository and compare its SHA-256; fails where one differs."""

    def look(self, job: str) -> Progress:
        """How the job stands."""

    def cancel(self, job: str) -> None:
        """End it."""


@dataclass(frozen=True, slots=True)
class Services:
    """All of them."""

    runs: Runs
    plugins: Plugins
    catalogue: Catalogue
    transfers: Transfers
