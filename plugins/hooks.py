"""Every hook there is, on one page. A plugin implements those it wants with `@hookimpl`; all values are frozen (plugins/values.py).

Observing hooks are told what has happened, at least once (after a crash the same happening, with the same `run_id`, may come again), one
plugin after the other, each on its own. What they raise is logged and hurts nobody else.

Acting hooks are called for the policies that name them, in the order in which the policy does; the ones that come after a thing run in the
opposite order. They may raise `Refuse`, `Skip`, `RetryLater` or `GiveUp` (plugins/errors.py); anything else, and a hook that takes too
long, counts as `GiveUp`. Each outcome is recorded; after a crash a hook may be called again with the same `run_id`. The hooks that come
after always run, when the thing failed too; what they raise is recorded and changes nothing else.

Producing hooks are what a backup product does. They are called for the one product that the policy names.
"""

from collections.abc import Sequence
from typing import BinaryIO

import pluggy

from plugins.kit import Source
from plugins.values import (
    BackupEnded,
    BackupVM,
    Ended,
    HostChanged,
    Needs,
    Progress,
    RestorePoint,
    RunEnded,
    Snapshot,
    Verified,
    VFFreed,
    VFLeaked,
    WindowChanged,
    WindowEnded,
    WindowOpening,
)

GROUP = "vf_orchestrator"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Observing:
    """What observers may be told of."""

    @hookspec
    def vf_freed(self, freed: VFFreed) -> None:
        """The VFs of a VM that is gone are proven free on a port."""

    @hookspec
    def vf_leaked(self, leaked: VFLeaked) -> None:
        """VFs of a port are neither free nor used by anybody; the run is stuck and holds the evidence."""

    @hookspec
    def run_ended(self, ended: RunEnded) -> None:
        """A run ended: done, refused, undone or stuck."""

    @hookspec
    def backup_ended(self, backup: BackupEnded) -> None:
        """The backup of a VM ended, well or not."""

    @hookspec
    def window_changed(self, change: WindowChanged) -> None:
        """A window opened, or all that was to be done in it is over."""

    @hookspec
    def host_changed(self, change: HostChanged) -> None:
        """A host came into service or went out of it."""


class Acting:
    """What may be done, and said no to, around a window, a VM and the product's job."""

    @hookspec
    def before_window(self, window: WindowOpening) -> None:
        """Before the first VM of a window is begun. `Refuse` and `Skip`: nothing of this opening is done; `RetryLater`: a little later."""

    @hookspec
    def after_window(self, window: WindowOpening, result: WindowEnded) -> None:
        """Everything that was begun in the window is over."""

    @hookspec
    def before_vm(self, vm: BackupVM) -> None:
        """Before anything is done to the VM."""

    @hookspec
    def before_snapshot(self, vm: BackupVM) -> None:
        """Just before the snapshot. In modes offline and failover the VM is halted; in mode online it runs: freeze it now."""

    @hookspec
    def after_snapshot(self, vm: BackupVM, result: Ended) -> None:
        """Just after the snapshot was taken or failed ("taken" or "failed"): thaw."""

    @hookspec
    def before_job(self, vm: BackupVM, snapshot: Snapshot) -> None:
        """The VM is back in service; before the product begins."""

    @hookspec
    def after_job(self, vm: BackupVM, result: Ended) -> None:
        """The product is done, or failed, or was cancelled; the snapshot is there yet."""

    @hookspec
    def after_vm(self, vm: BackupVM, result: Ended) -> None:
        """After everything, however it ended: nothing of ours is left on the VM, or a run is stuck that says so."""


class Producing:
    """What a backup product does. The first three are needed; a product without the others says so to whoever asks for them."""

    @hookspec(firstresult=True)
    def start_backup(self, vm: BackupVM, snapshot: Snapshot, source: Source) -> str | None:
        """Begin to save the snapshot; the job's id.

        Called again with the same `vm.run_id` after a crash, and when the job was lost: give the job that was begun, or begin it anew.
        `RetryLater` while the product is busy, `GiveUp` when it never will. *source* may be used by the job until it ends.
        """

    @hookspec(firstresult=True)
    def poll_backup(self, job: str) -> Progress | None:
        """How the job stands."""

    @hookspec(firstresult=True)
    def cancel_backup(self, job: str) -> bool | None:
        """End the job if it is at work; True when it will not go on. Nothing that it has made is left behind."""

    @hookspec(firstresult=True)
    def needs(self, vm: BackupVM) -> Needs | None:
        """What the product needs of this VM; without this hook: `Needs()` with what [backup] needs says."""

    @hookspec(firstresult=True)
    def list_backups(self) -> Sequence[RestorePoint] | None:
        """Every restore point of ours that the repository has, oldest first; nothing that others put there."""

    @hookspec(firstresult=True)
    def open_disk(self, point: RestorePoint, number: int) -> BinaryIO | None:
        """The raw contents of a disk of a restore point, from the first byte to the last."""

    @hookspec(firstresult=True)
    def open_vm(self, point: RestorePoint) -> BinaryIO | None:
        """The whole VM of a restore point as XVA (`RestorePoint.whole_vm`)."""

    @hookspec(firstresult=True)
    def verify_backup(self, point: RestorePoint) -> Verified | None:
        """Look whether the repository can give back what it was given, by its own checksums."""

    @hookspec(firstresult=True)
    def forget_backups(self, points: Sequence[RestorePoint]) -> int | None:
        """Remove these restore points and what only they need; bytes freed. Those that are gone already are no error. Never others."""
