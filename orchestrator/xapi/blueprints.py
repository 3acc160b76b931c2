"""The blueprint of a VM: all that is needed to make it anew from its disks, in this pool or another, as plain JSON.

    {
      "version": 1,
      "snapshot": {"uuid", "name", "taken_at"},           # taken_at: ISO 8601, UTC
      "vm": {"uuid", "record": {...}},                    # the VM that it is of; what VM.create takes, by XenAPI's own names
      "vifs": [{...}],                                    # in order of device, as `workflows.objects.VIF.as_note` has them
      "disks": [{...}],                                   # in order of device
      "drives": [{...}],                                  # CD drives, which come back empty
    }

*record* has no refs: affinity, appliance, suspend_SR and the like belong to one pool. Its other_config, tags and blocked_operations are
those of the VM without what is ours. `RUNTIME` ones among its fields are not taken by VM.create: set them after it (bios_strings, by
VM.set_bios_strings). NVRAM is taken by it, and VM.set_NVRAM sets it as well.

A VIF is where it belongs, on its own network, also when it was parked while the snapshot was taken: "network" is the uuid, "network_name"
its name, "on_sriov" whether it takes a VF.

A disk has the fields of its place (VBD) "device" (userdevice), "mode", "bootable", "unpluggable", "qos_algorithm_type",
"qos_algorithm_params", "vbd_other_config", and those of the VDI: "uuid" (the snapshot's), "of" (the VM's own disk, "" where that is
gone), "name", "description", "size" (virtual_size, bytes), "used" (physical_utilisation), "type", "sharable", "read_only",
"other_config", "sm_config", "xenstore_data", "tags", "SR" (uuid) and "SR_name", where it was.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.xapi import decode
from orchestrator.xapi.reading import Reader
from orchestrator.xapi.records import NULL
from workflows import backup_snapshots, objects, parking
from workflows.ports import Gone

VERSION = 1
OURS = "vfo"
RUNTIME = ("bios_strings",)


class _VM(msgspec.Struct, frozen=True):
    """What VM.create takes and a restored VM should have (datamodel: VM's constructor fields, refs left out), and its bios_strings."""

    name_label: str = ""
    name_description: str = ""
    user_version: int = 1
    memory_static_max: int = 0
    memory_dynamic_max: int = 0
    memory_dynamic_min: int = 0
    memory_static_min: int = 0
    VCPUs_params: dict[str, str] = {}
    VCPUs_max: int = 1
    VCPUs_at_startup: int = 1
    actions_after_softreboot: str = "soft_reboot"
    actions_after_shutdown: str = "destroy"
    actions_after_reboot: str = "restart"
    actions_after_crash: str = "restart"
    PV_bootloader: str = ""
    PV_kernel: str = ""
    PV_ramdisk: str = ""
    PV_args: str = ""
    PV_bootloader_args: str = ""
    PV_legacy_args: str = ""
    HVM_boot_policy: str = ""
    HVM_boot_params: dict[str, str] = {}
    HVM_shadow_multiplier: float = 1.0
    platform: dict[str, str] = {}
    PCI_bus: str = ""
    other_config: dict[str, str] = {}
    recommendations: str = ""
    xenstore_data: dict[str, str] = {}
    ha_always_run: bool = False
    ha_restart_priority: str = ""
    tags: list[str] = []
    blocked_operations: dict[str, str] = {}
    start_delay: int = 0
    shutdown_delay: int = 0
    order: int = 0
    version: int = 0
    generation_id: str = ""
    hardware_platform_version: int = 0
    has_vendor_device: bool = False
    reference_label: str = ""
    domain_type: str = "unspecified"
    NVRAM: dict[str, str] = {}
    bios_strings: dict[str, str] = {}


class _Rest(msgspec.Struct, frozen=True):
    """What else is read of the snapshot's record."""

    uuid: str
    snapshot_of: str = NULL
    snapshot_time: str = ""
    VBDs: list[str] = []


class _VBD(msgspec.Struct, frozen=True):
    """A disk's or CD's place, with all that VBD.create takes."""

    type: str
    VDI: str = NULL
    userdevice: str = "0"
    mode: str = "RW"
    bootable: bool = False
    unpluggable: bool = True
    other_config: dict[str, str] = {}
    qos_algorithm_type: str = ""
    qos_algorithm_params: dict[str, str] = {}


class _VDI(msgspec.Struct, frozen=True):
    """A disk, with all that VDI.create takes."""

    uuid: str
    name_label: str = ""
    name_description: str = ""
    SR: str = NULL
    virtual_size: int = 0
    physical_utilisation: int = 0
    type: str = "user"
    sharable: bool = False
    read_only: bool = False
    other_config: dict[str, str] = {}
    sm_config: dict[str, str] = {}
    xenstore_data: dict[str, str] = {}
    tags: list[str] = []
    snapshot_of: str = NULL


class _SR(msgspec.Struct, frozen=True):
    """Where a disk is."""

    uuid: str
    name_label: str = ""


class Blueprints(Reader):
    """Satisfies `workflows.ports.Looking.blueprint`."""

    def blueprint(self, snapshot: str) -> dict[str, Any]:
        """The blueprint of a snapshot (see the module); `Gone` when it is not there."""
        whole = self.vm(snapshot)
        raw = self._on("VM", snapshot, lambda ref: self._client.fetch(msgspec.Raw, "VM.get_record", ref))
        record, rest = msgspec.to_builtins(decode.into(_VM, raw)), decode.into(_Rest, raw)
        record["name_label"] = self._name(whole)
        record["other_config"] = _not_ours(record["other_config"])
        record["tags"] = [tag for tag in record["tags"] if not _ours(tag)]
        record["blocked_operations"] = {what: why for what, why in record["blocked_operations"].items() if not _ours(why)}
        places = list(self._places(rest.VBDs))
        return {
            "version": VERSION,
            "snapshot": {"uuid": snapshot, "name": whole.name, "taken_at": decode.moment(rest.snapshot_time).isoformat()},
            "vm": {"uuid": whole.snapshot_of or (parking.read(whole) or {}).get("vm", ""), "record": record},
            "vifs": _vifs(whole),
            "disks": [{**_place(place), **self._contents(place.VDI)} for place in places if place.type == "Disk" and place.VDI != NULL],
            "drives": [_place(place) for place in places if place.type == "CD"],
        }

    def _name(self, snapshot: objects.VM) -> str:
        """What the VM was called: its snapshot has a name of its own."""
        if note := backup_snapshots.read(snapshot):
            return str(note.get("vm_name", snapshot.name))
        try:
            return self.condition(snapshot.snapshot_of or "").name
        except Gone:
            return snapshot.name

    def _places(self, refs: list[str]) -> Iterator[_VBD]:
        places = [self._client.fetch(_VBD, "VBD.get_record", ref) for ref in refs]
        yield from sorted(places, key=lambda place: (len(place.userdevice), place.userdevice))

    def _contents(self, ref: str) -> dict[str, Any]:
        row = self._client.fetch(_VDI, "VDI.get_record", ref)
        sr = self._client.fetch(_SR, "SR.get_record", row.SR)
        return {
            "uuid": row.uuid, "of": self._refs.uuid_if_there("VDI", row.snapshot_of) or "", "name": row.name_label,
            "description": row.name_description, "size": row.virtual_size, "used": row.physical_utilisation, "type": row.type,
            "sharable": row.sharable, "read_only": row.read_only, "other_config": _not_ours(row.other_config), "sm_config": row.sm_config,
            "xenstore_data": row.xenstore_data, "tags": row.tags, "SR": sr.uuid, "SR_name": sr.name_label,
        }  # fmt: skip


def _place(place: _VBD) -> dict[str, Any]:
    return {
        "device": place.userdevice, "mode": place.mode, "bootable": place.bootable, "unpluggable": place.unpluggable,
        "qos_algorithm_type": place.qos_algorithm_type, "qos_algorithm_params": place.qos_algorithm_params,
        "vbd_other_config": place.other_config,
    }  # fmt: skip


def _vifs(snapshot: objects.VM) -> list[dict[str, Any]]:
    """The VIFs; those that are parked as the note on the snapshot (or, copied from it, of its VM) says that they belong."""
    noted = {(one["device"], one["MAC"].lower()): one for one in (parking.read(snapshot) or {"vifs": []})["vifs"]}
    found = []
    for vif in snapshot.vifs:
        home = noted.get((vif.device, vif.MAC.lower()), {})
        found.append({**vif.as_note(), **{name: home[name] for name in ("network", "network_name", "on_sriov") if name in home}})
    return found


def _ours(text: str) -> bool:
    return text == OURS or text.startswith(f"{OURS}:")


def _not_ours(config: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in config.items() if not _ours(key)}
