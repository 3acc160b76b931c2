"""Acting on VMs, and on snapshots of ours."""

from collections.abc import Iterable
from typing import Any

from orchestrator.xapi import rows
from orchestrator.xapi.port import Port, assert_idle, assert_ours
from orchestrator.xapi.records import NULL
from workflows.downtime import WAITING
from workflows.objects import Condition, Taking
from workflows.ports import Busy, Denied, Gone, Refused

TAG = "vfo"

# VM.start's start_paused and force
PLAINLY = (False, False)

# A hard shutdown does not wait for these, it cancels them (message_forwarding.ml: hard_shutdown).
CANCELLED_BY_FORCE = frozenset({"clean_shutdown", "clean_reboot"})


class Machines(Port):
    """Satisfies `workflows.ports.Machines`, but for VIFs."""

    def begin_start(self, vm: str, host: str | None = None, *, unblocking: str = "") -> str:
        """VM.start, or VM.start_on the host.

        A guard of ours that only waits for the VM to be halted is for others: who waits sees the halt that we made, and guards anew.
        """
        if unblocking:
            assert_ours(unblocking)
        on = self._refs.ref("host", host) if host is not None else None

        def act(ref: str) -> str:
            row = self._client.fetch(rows.VM, "VM.get_record", ref)
            assert_idle("VM", row.uuid, row.current_operations.values())
            for operation, why in row.blocked_operations.items():
                if why.startswith(WAITING) or why == unblocking:
                    self._client.call("VM.remove_from_blocked_operations", ref, operation)
            return self._start("VM.start_on", ref, on, *PLAINLY) if on else self._start("VM.start", ref, *PLAINLY)

        return self._on("VM", vm, act)

    def begin_clean_shutdown(self, vm: str) -> str:
        """VM.clean_shutdown."""
        return self._begin(vm, "VM.clean_shutdown")

    def begin_hard_shutdown(self, vm: str) -> str:
        """VM.hard_shutdown; it goes ahead of a clean shutdown that the guest does not heed."""

        def act(ref: str) -> str:
            self._assert_idle("VM", ref, "VM.get_current_operations", CANCELLED_BY_FORCE)
            return self._start("VM.hard_shutdown", ref)

        return self._on("VM", vm, act)

    def begin_migrate(self, vm: str, host: str) -> str:
        """VM.pool_migrate, live."""
        return self._begin(vm, "VM.pool_migrate", self._refs.ref("host", host), {"live": "true"})

    def begin_snapshot(self, vm: str, name: str, *, seen: Taking | None = None) -> str:
        """VM.snapshot (older pools know no ignore_vdis)."""
        if seen is None:
            return self._begin(vm, "VM.snapshot", name, [], optional=1)
        assert_idle("VM", vm, seen.current_operations)
        return self._on("VM", vm, lambda ref: self._start("VM.snapshot", ref, name, [], optional=1))

    def _begin(self, vm: str, method: str, *params: Any, optional: int = 0) -> str:
        def act(ref: str) -> str:
            self._assert_idle("VM", ref, "VM.get_current_operations")
            return self._start(method, ref, *params, optional=optional)

        return self._on("VM", vm, act)

    def cancel_task(self, ref: str) -> None:
        """task.cancel; xapi says OPERATION_NOT_ALLOWED for one that is over or cannot be cancelled."""
        try:
            self._client.call("task.cancel", ref)
        except (Gone, Refused):
            return

    def power_state_reset(self, vm: str) -> None:
        """VM.power_state_reset: on a halted VM it runs the release of its devices again (xapi_vm_lifecycle.ml: force_state_reset)."""

        def act(ref: str) -> None:
            self._assert_idle("VM", ref, "VM.get_current_operations")
            state = self._client.fetch(str, "VM.get_power_state", ref)
            if state != "Halted":
                raise Refused("VM_BAD_POWER_STATE", (vm, "halted", state.lower()))
            self._client.call("VM.power_state_reset", ref)

        self._on("VM", vm, act)

    def block(self, vm: str, operations: Iterable[str], reason: str, *, seen: Condition | None = None) -> None:
        """Add to VM.blocked_operations; a block of somebody else's stays as it is, also one that came meanwhile."""
        assert_ours(reason)

        def act(ref: str) -> None:
            blocked = self._blocked(ref) if seen is None else seen.blocked_operations
            for operation in operations:
                if operation not in blocked:
                    self._add("VM.add_to_blocked_operations", ref, operation, reason)

        self._on("VM", vm, act)

    def _add(self, method: str, ref: str, key: str, value: str) -> None:
        try:
            self._client.call(method, ref, key, value)
        except Refused as error:
            if error.code != "MAP_DUPLICATE_KEY":
                raise

    def _blocked(self, ref: str) -> dict[str, str]:
        return self._client.fetch(dict[str, str], "VM.get_blocked_operations", ref)

    def unblock(self, vm: str, reason: str, *, recompute: bool = True) -> None:
        """Remove our blocks; allowed_operations is stale until it is computed anew, which happens at the next operation anyway.

        Only a pool-admin may have it computed (xapi: VM.update_allowed_operations), so being denied that is no fault.
        """
        assert_ours(reason)

        def act(ref: str) -> None:
            for operation, why in self._blocked(ref).items():
                if why == reason:
                    self._client.call("VM.remove_from_blocked_operations", ref, operation)
            if recompute:
                self._recompute(ref)

        self._on("VM", vm, act)

    def _recompute(self, ref: str) -> None:
        try:
            self._client.call("VM.update_allowed_operations", ref)
        except Denied:
            return

    def note(self, vm: str, key: str, value: str) -> None:
        """Set a key of other_config. XenAPI has no way to replace one: a value that differs is away for a moment."""
        assert_ours(key)

        def act(ref: str) -> None:
            noted = self._client.fetch(dict[str, str], "VM.get_other_config", ref)
            if noted.get(key) == value:
                return
            if key in noted:
                self._client.call("VM.remove_from_other_config", ref, key)
            self._client.call("VM.add_to_other_config", ref, key, value)

        self._on("VM", vm, act)

    def erase(self, vm: str, key: str) -> None:
        """Remove a key of other_config (xapi: removing what is not there is fine)."""
        assert_ours(key)
        self._on("VM", vm, lambda ref: self._client.call("VM.remove_from_other_config", ref, key))

    def tag(self, vm: str, tag: str) -> None:
        """Add a tag (xapi: adding one that is there does nothing)."""
        self._on("VM", vm, lambda ref: self._client.call("VM.add_tags", ref, tag))

    def untag(self, vm: str, tag: str) -> None:
        """Take a tag off (xapi: taking off one that is not there does nothing)."""
        self._on("VM", vm, lambda ref: self._client.call("VM.remove_tags", ref, tag))

    def destroy_snapshot(self, snapshot: str) -> None:
        """Its disks first, then the snapshot: cut in half, what is left still says whose it is. Busy while a disk of it is in use.

        VM.destroy never destroys VDIs, and VDI.destroy takes the VBD along. A disk that is no snapshot, or that another VM has as well,
        is somebody's.
        """
        try:
            self._on("VM", snapshot, lambda ref: self._destroy_snapshot(ref, snapshot))
        except Gone:
            return

    def _destroy_snapshot(self, ref: str, uuid: str) -> list[str]:
        """The disks (refs) that outlive it."""
        row = self._client.fetch(rows.VM, "VM.get_record", ref)
        if not row.is_a_snapshot or TAG not in row.tags:
            raise Refused("NOT_OURS", (uuid, f"it is no snapshot with the tag {TAG}"))
        kept = [vdi for vdi in self._disks(row) if not self._destroy_disk(vdi, set(row.VBDs))]
        self._client.call("VM.destroy", ref)
        return kept

    def _disks(self, row: rows.VM) -> list[str]:
        places = [self._client.fetch(rows.VBD, "VBD.get_record", vbd) for vbd in row.VBDs]
        found = [place.VDI for place in places if place.type == "Disk"]
        return [vdi for vdi in (*found, row.suspend_VDI) if vdi not in {NULL, ""}]

    def _destroy_disk(self, ref: str, places: set[str]) -> bool:
        """Destroy the disk of a snapshot; False where it outlives that."""
        try:
            disk = self._client.fetch(rows.VDI, "VDI.get_record", ref)
        except Gone:
            return True
        if self._outlives(disk):
            return False
        if set(disk.VBDs) - places:
            raise Busy("VDI_IN_USE", (disk.uuid, "another VM has it as well"))
        if disk.is_a_snapshot:
            self._client.call("VDI.destroy", ref)
        return True

    def _outlives(self, disk: rows.VDI) -> bool:  # noqa: ARG002 - the tracker's is another
        """Whether the disk stays when its snapshot goes."""
        return False
