"""Making VMs and disks anew, and destroying those that bear the mark of the run that asks, and no others."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from orchestrator.xapi.port import Port
from orchestrator.xapi.records import NULL
from workflows import restoring
from workflows.ports import Busy, Gone, Refused
from workflows.restoring import NOTE, Imported, Made, MarkedDisk, Storage

OURS = "vfo"
IMPORT = "vfo: import"
OVER = frozenset({"success", "failure", "cancelled"})
NOT_TAKEN = ("ha_always_run", "ha_restart_priority", "bios_strings", "blocked_operations")
"""Of a blueprint's record: protection by HA is given by people (and refuses VFs); the others have their turns after VM.create."""

_PLACE = ("mode", "bootable", "unpluggable", "qos_algorithm_type", "qos_algorithm_params")
_TEXTS = ("sharable", "read_only", "xenstore_data", "tags")


class _VM(msgspec.Struct, frozen=True):
    uuid: str
    name_label: str = ""
    power_state: str = "Halted"
    is_a_template: bool = False
    is_a_snapshot: bool = False
    is_control_domain: bool = False
    other_config: dict[str, str] = {}
    blocked_operations: dict[str, str] = {}
    tags: list[str] = []
    VBDs: list[str] = []
    guest_metrics: str = NULL


class _VBD(msgspec.Struct, frozen=True):
    VM: str
    type: str = "Disk"
    VDI: str = NULL
    userdevice: str = ""
    currently_attached: bool = False


class _VDI(msgspec.Struct, frozen=True):
    uuid: str
    name_label: str = ""
    is_a_snapshot: bool = False
    other_config: dict[str, str] = {}
    VBDs: list[str] = []


class _SR(msgspec.Struct, frozen=True):
    uuid: str
    name_label: str = ""
    type: str = ""
    content_type: str = ""
    shared: bool = False
    physical_size: int = 0
    physical_utilisation: int = 0


class _Task(msgspec.Struct, frozen=True):
    name_label: str = ""
    name_description: str = ""
    status: str = "pending"


class _Metrics(msgspec.Struct, frozen=True):
    live: bool = False
    memory_total: int = 0


class _Guest(msgspec.Struct, frozen=True):
    live: bool = False
    PV_drivers_detected: bool = False
    PV_drivers_version: dict[str, str] = {}


class Restorer(Port):
    """Satisfies `workflows.restoring.Restoring`."""

    # -- looking -------------------------------------------------------------------------------------------------

    def storages(self) -> tuple[Storage, ...]:
        """Every SR; what it has free is what XenAPI says, which a scan may correct."""
        found = self._client.fetch(dict[str, _SR], "SR.get_all_records").values()
        seen = [
            Storage(sr.uuid, sr.name_label, sr.type, sr.physical_size - sr.physical_utilisation, _for_disks(sr), sr.shared) for sr in found
        ]
        return tuple(sorted(seen, key=lambda storage: (storage.name, storage.uuid)))

    def most_memory(self) -> int:
        """host_metrics.memory_total of the largest host that is live."""
        metrics = self._client.fetch(dict[str, _Metrics], "host_metrics.get_all_records").values()
        return max((one.memory_total for one in metrics if one.live), default=0)

    def made_by(self, run: str) -> Made:
        """What bears the mark; snapshots copy other_config and are none of it."""
        vms = self._client.fetch(dict[str, _VM], "VM.get_all_records").values()
        ours = tuple(sorted(vm.uuid for vm in vms if not vm.is_a_snapshot and _run(vm.other_config) == run))
        return Made(ours, tuple(disk for disk in self.marked_disks() if disk.run == run))

    def marked_disks(self) -> tuple[MarkedDisk, ...]:
        """Every one, by run and number."""
        found = []
        for row in self._client.fetch(dict[str, _VDI], "VDI.get_all_records").values():
            note = restoring.read(row.other_config)
            if note is not None and not row.is_a_snapshot:
                found.append(MarkedDisk(row.uuid, row.name_label, note["run"], int(note.get("number", 0)), self._users(row)))
        return tuple(sorted(found, key=lambda disk: (disk.run, disk.number, disk.uuid)))

    def _users(self, row: _VDI) -> tuple[str, ...]:
        users = set()
        for ref in row.VBDs:
            try:
                user = self._client.fetch(_VM, "VM.get_record", self._client.fetch(_VBD, "VBD.get_record", ref).VM)
                if not user.is_control_domain:
                    users.add(user.uuid)
            except Gone:
                continue
        return tuple(sorted(users))

    def imports_of(self, run: str) -> dict[str, bool]:
        """The task of ours names its run (`transfers.py`); xapi says "cancelling" of one that is not over."""
        tasks = self._client.fetch(dict[str, _Task], "task.get_all_records")
        ours = {ref: task for ref, task in tasks.items() if task.name_label == IMPORT and run in task.name_description}
        return {ref: task.status in OVER for ref, task in ours.items()}

    def imported_by(self, run: str, tasks: Collection[str]) -> tuple[Imported, ...]:
        """Xapi names the import's task in the VM's other_config (import.ml: import_task)."""
        found = []
        for vm in self._client.fetch(dict[str, _VM], "VM.get_all_records").values():
            task = vm.other_config.get("import_task", "")
            if not vm.is_a_snapshot and (task in tasks or _run(vm.other_config) == run):
                found.append(Imported(vm.uuid, task))
        return tuple(sorted(found, key=lambda one: one.uuid))

    def forget_import(self, task: str) -> None:
        """task.destroy."""
        try:
            self._client.call("task.destroy", task)
        except Gone:
            return

    def guest_is_seen(self, vm: str) -> bool:
        """Whether VM_guest_metrics says that the guest lives."""
        ref = self._on("VM", vm, lambda ref: self._client.fetch(_VM, "VM.get_record", ref)).guest_metrics
        if ref in {NULL, ""}:
            return False
        try:
            guest = self._client.fetch(_Guest, "VM_guest_metrics.get_record", ref)
        except Gone:
            return False
        return guest.live or guest.PV_drivers_detected or bool(guest.PV_drivers_version)

    # -- making --------------------------------------------------------------------------------------------------

    def create_vm(self, record: Mapping[str, Any], run: str, reasons: Mapping[str, str]) -> str:
        """VM.create: the mark is there from its first moment. Its BIOS strings can be set on a VM that has none."""
        given = {name: value for name, value in record.items() if name not in NOT_TAKEN}
        given |= {
            "is_a_template": False, "affinity": NULL, "ha_always_run": False, "ha_restart_priority": "",
            "other_config": {**record.get("other_config", {}), NOTE: restoring.note_of(run)}, "blocked_operations": dict(reasons),
        }  # fmt: skip
        ref = self._client.fetch(str, "VM.create", given)
        if strings := record.get("bios_strings"):
            self._tell_bios(ref, strings)
        return self._refs.uuid("VM", ref)

    def _tell_bios(self, ref: str, strings: Mapping[str, str]) -> None:
        """VM.set_bios_strings takes only those that are for people to choose, and refuses what is set already (xapi_vm.ml)."""
        try:
            self._client.call("VM.set_bios_strings", ref, dict(strings))
        except Refused:
            return

    def mark_vm(self, vm: str, run: str, reasons: Mapping[str, str]) -> None:
        """The mark first, so that whatever follows may be cut off."""
        self._on("VM", vm, lambda ref: self._mark_made(ref, run, reasons))

    def _mark_made(self, ref: str, run: str, reasons: Mapping[str, str]) -> _VM:
        row = self._client.fetch(_VM, "VM.get_record", ref)
        if _run(row.other_config) != run:
            self._client.call("VM.add_to_other_config", ref, NOTE, restoring.note_of(run))
        for operation in reasons.keys() - row.blocked_operations.keys():
            self._client.call("VM.add_to_blocked_operations", ref, operation, reasons[operation])
        for number, vdi in enumerate(self._disks_of(row)):
            self._mark_disk(vdi, run, number)
        return row

    def adopt_vm(self, vm: str, name: str, run: str, reasons: Mapping[str, str]) -> None:
        """Marked first; what the export had of ours goes."""

        def act(ref: str) -> None:
            row = self._mark_made(ref, run, reasons)
            for key in [key for key in row.other_config if key.startswith(f"{OURS}:") and key != NOTE]:
                self._client.call("VM.remove_from_other_config", ref, key)
            for tag in {tag for tag in row.tags if tag == OURS or tag.startswith(f"{OURS}:")}:
                self._client.call("VM.remove_tags", ref, tag)
            if row.is_a_template:
                self._client.call("VM.set_is_a_template", ref, False)  # noqa: FBT003 - XenAPI's
            if row.name_label != name:
                self._client.call("VM.set_name_label", ref, name)

        self._on("VM", vm, act)

    def _disks_of(self, row: _VM) -> list[str]:
        places = [self._client.fetch(_VBD, "VBD.get_record", ref) for ref in row.VBDs]
        found = sorted((place for place in places if place.type == "Disk"), key=lambda place: (len(place.userdevice), place.userdevice))
        return [place.VDI for place in found if place.VDI not in {NULL, ""}]

    def _mark_disk(self, ref: str, run: str, number: int) -> None:
        row = self._client.fetch(_VDI, "VDI.get_record", ref)
        if _run(row.other_config) == run:
            return
        if NOTE in row.other_config:
            self._client.call("VDI.remove_from_other_config", ref, NOTE)
        self._client.call("VDI.add_to_other_config", ref, NOTE, restoring.note_of(run, number))

    def create_disk(self, SR: str, disk: Mapping[str, Any], number: int, run: str) -> str:
        """VDI.create, sparse where the SR is; sm_config is the old storage's own and is left out."""
        other_config = {key: value for key, value in disk.get("other_config", {}).items() if key != "content_id"}
        record = {
            "name_label": disk["name"], "name_description": disk.get("description", ""), "virtual_size": int(disk["size"]),
            "type": disk.get("type", "user"), "other_config": {**other_config, NOTE: restoring.note_of(run, number)}, "sm_config": {},
            **{name: disk[name] for name in _TEXTS if name in disk}, "SR": self._ref_of("SR", SR),
        }  # fmt: skip
        return self._refs.uuid("VDI", self._client.fetch(str, "VDI.create", {"sharable": False, "read_only": False, **record}))

    def attach_disk(self, vm: str, vdi: str | None, place: Mapping[str, Any]) -> None:
        """VBD.create, once for a device."""

        def act(ref: str) -> None:
            row = self._client.fetch(_VM, "VM.get_record", ref)
            if place["device"] in {self._client.fetch(_VBD, "VBD.get_record", vbd).userdevice for vbd in row.VBDs}:
                return
            drive: dict[str, Any] = {"type": "Disk", "VDI": self._ref_of("VDI", vdi), "empty": False} if vdi else {
                "type": "CD", "VDI": NULL, "empty": True,
            }  # fmt: skip
            record = {name: place[name] for name in _PLACE}
            record |= {"VM": ref, "userdevice": place["device"], "other_config": dict(place.get("vbd_other_config", {})), **drive}
            self._client.call("VBD.create", record)

        self._on("VM", vm, act)

    def block_as_before(self, vm: str, blocked: Mapping[str, str]) -> None:
        """VM.add_to_blocked_operations, for those that nothing blocks."""

        def act(ref: str) -> None:
            there = self._client.fetch(dict[str, str], "VM.get_blocked_operations", ref)
            for operation in sorted(blocked.keys() - there.keys()):
                self._client.call("VM.add_to_blocked_operations", ref, operation, blocked[operation])

        self._on("VM", vm, act)

    def unmark_disk(self, vdi: str) -> None:
        """VDI.remove_from_other_config (removing what is not there is fine)."""
        try:
            self._client.call("VDI.remove_from_other_config", self._ref_of("VDI", vdi), NOTE)
        except Gone:
            return

    # -- destroying ----------------------------------------------------------------------------------------------

    def destroy_made_vm(self, vm: str, run: str) -> None:
        """VM.destroy, looked at before: the mark, no snapshot, halted."""

        def act(ref: str) -> None:
            row = self._client.fetch(_VM, "VM.get_record", ref)
            if row.is_a_snapshot or _run(row.other_config) != run:
                raise Refused("NOT_OURS", (vm, f"VM {row.name_label} does not bear the mark of run {run}"))
            if row.power_state != "Halted":
                raise Refused("VM_BAD_POWER_STATE", (vm, "halted", row.power_state.lower()))
            self._client.call("VM.destroy", ref)

        try:
            self._on("VM", vm, act)
        except Gone:
            return

    def destroy_made_disk(self, vdi: str, run: str) -> None:
        """VDI.destroy, looked at before: the mark, and whose it is."""
        try:
            ref = self._ref_of("VDI", vdi)
            row = self._client.fetch(_VDI, "VDI.get_record", ref)
            if row.is_a_snapshot or _run(row.other_config) != run:
                raise Refused("NOT_OURS", (vdi, f"disk {row.name_label} does not bear the mark of run {run}"))
            for place in row.VBDs:
                self._assert_ours(place, run, row)
            self._client.call("VDI.destroy", ref)
        except Gone as error:
            if "VBD" in error.details:
                raise Busy("VDI_IN_USE", (vdi, "its users change")) from None

    def _assert_ours(self, place: str, run: str, disk: _VDI) -> None:
        vbd = self._client.fetch(_VBD, "VBD.get_record", place)
        user = self._client.fetch(_VM, "VM.get_record", vbd.VM)
        if user.is_control_domain:
            if vbd.currently_attached:
                raise Busy("VDI_IN_USE", (disk.uuid, "a host reads or writes it"))
        elif user.is_a_snapshot or _run(user.other_config) != run:
            raise Refused("NOT_OURS", (disk.uuid, f"disk {disk.name_label} is one of VM {user.name_label} by now"))

    def _ref_of(self, kind: str, uuid: str) -> str:
        """The ref, asked for anew: few are asked for, and they may have gone."""
        return self._client.fetch(str, "SR.get_by_uuid" if kind == "SR" else "VDI.get_by_uuid", uuid)


def _run(other_config: Mapping[str, str]) -> str | None:
    note = restoring.read(other_config)
    return note["run"] if note is not None else None


def _for_disks(sr: _SR) -> bool:
    return sr.content_type not in ("iso", "tools") and sr.type not in ("iso", "udev")
