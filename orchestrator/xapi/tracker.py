"""Changed-block tracking of VMs' disks, and what is left of snapshots for its sake."""

from collections.abc import Mapping

import msgspec

from orchestrator.xapi import rows
from orchestrator.xapi.machines import TAG, Machines
from workflows import tracking
from workflows.ports import Bug, Denied, Gone, Refused
from workflows.tracking import NOTE, Account

METADATA = "cbt_metadata"


class _VDI(msgspec.Struct, frozen=True):
    uuid: str
    name_label: str = ""
    type: str = "user"
    is_a_snapshot: bool = False
    cbt_enabled: bool = False
    other_config: dict[str, str] = {}
    VBDs: list[str] = []


class _VM(msgspec.Struct, frozen=True):
    uuid: str


class Tracker(Machines):
    """Satisfies `workflows.tracking.Tracking`; snapshots are destroyed but for the disks that are marked."""

    def track(self, vm: str) -> tuple[str, ...]:
        """VDI.enable_cbt, also while the VM runs; an SR whose driver, or a pool whose licence, does not have it refuses."""

        def act(ref: str) -> tuple[str, ...]:
            cannot = []
            for vdi in self._disks(self._client.fetch(rows.VM, "VM.get_record", ref)):
                disk = self._client.fetch(_VDI, "VDI.get_record", vdi)
                if disk.cbt_enabled:
                    continue
                try:
                    self._client.call("VDI.enable_cbt", vdi)
                except (Refused, Denied, Bug) as error:
                    cannot.append(f"disk {disk.name_label or disk.uuid}: {error}")
            return tuple(cannot)

        return self._on("VM", vm, act)

    def keep_accounts(self, snapshot: str, said: Mapping[str, str]) -> tuple[str, ...]:
        """The note on every disk of the snapshot that is tracked; a note that was copied with the disk is written over."""

        def act(ref: str) -> tuple[str, ...]:
            row = self._client.fetch(rows.VM, "VM.get_record", ref)
            if not row.is_a_snapshot or TAG not in row.tags:
                raise Refused("NOT_OURS", (snapshot, f"it is no snapshot with the tag {TAG}"))
            kept = []
            for vdi in self._disks(row):
                disk = self._client.fetch(_VDI, "VDI.get_record", vdi)
                if disk.cbt_enabled and disk.is_a_snapshot:
                    self._mark(vdi, disk, tracking.note_of(disk.uuid, said))
                    kept.append(disk.uuid)
            return tuple(kept)

        return self._on("VM", snapshot, act)

    def _mark(self, ref: str, disk: _VDI, note: str) -> None:
        if disk.other_config.get(NOTE) == note:
            return
        if NOTE in disk.other_config:
            self._client.call("VDI.remove_from_other_config", ref, NOTE)
        self._client.call("VDI.add_to_other_config", ref, NOTE, note)

    def accounts(self) -> tuple[Account, ...]:
        """By their marks; a snapshot's alone."""
        every = self._client.fetch(dict[str, _VDI], "VDI.get_all_records").values()
        found = [(row, note) for row in every if row.is_a_snapshot and (note := tracking.read(row.uuid, row.other_config))]
        vms = {vm.uuid for vm in self._client.fetch(dict[str, _VM], "VM.get_all_records").values()} if found else set()
        accounts = [
            Account(
                row.uuid, note["vm"], note["policy"], note["run"], note["at"], row.type == METADATA, bool(row.VBDs), note["vm"] in vms
            )
            for row, note in found
        ]  # fmt: skip
        return tuple(sorted(accounts, key=lambda account: (account.at, account.uuid)))

    def strip_account(self, vdi: str) -> None:
        """VDI.data_destroy, twice is fine (xapi_vdi.ml)."""
        try:
            ref = self._client.fetch(str, "VDI.get_by_uuid", vdi)
            disk = self._marked(ref)
            if disk.VBDs:
                raise Refused("VDI_IN_USE", (vdi, "a VM has it"))
            self._strip(ref)
        except Gone:
            return

    def drop_account(self, vdi: str) -> None:
        """VDI.destroy where nothing has it any more."""
        try:
            ref = self._client.fetch(str, "VDI.get_by_uuid", vdi)
            disk = self._marked(ref)
            if disk.VBDs:
                self._client.call("VDI.remove_from_other_config", ref, NOTE)
            else:
                self._client.call("VDI.destroy", ref)
        except Gone:
            return

    def _marked(self, ref: str) -> _VDI:
        disk = self._client.fetch(_VDI, "VDI.get_record", ref)
        if not disk.is_a_snapshot or tracking.read(disk.uuid, disk.other_config) is None:
            raise Refused("NOT_OURS", (disk.uuid, f"it is no snapshot's disk with the note {NOTE}"))
        return disk

    def _strip(self, ref: str) -> None:
        try:
            self._client.call("VDI.data_destroy", ref)
        except Refused:  # its data must go, with its metadata or without
            self._client.call("VDI.destroy", ref)

    # -- snapshots -----------------------------------------------------------------------------------------------

    def _destroy_snapshot(self, ref: str, uuid: str) -> list[str]:
        """The marked disks last, when no VBD stands in the way of VDI.data_destroy: cut in half, their marks say what they are."""
        marked = super()._destroy_snapshot(ref, uuid)
        for vdi in marked:
            try:
                self._strip(vdi)
            except Gone:
                continue
        return marked

    def _outlives(self, disk: rows.VDI) -> bool:
        return tracking.read(disk.uuid, disk.other_config) is not None
