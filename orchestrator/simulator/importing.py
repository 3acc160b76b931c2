"""Making the objects of an export anew: a VM with its VIFs, VBDs and disks (xapi: import.ml).

Networks are found by name, then by bridge, and made when they are not there. A restore keeps uuids and MACs, anything else gets new ones.
"""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, Final

from orchestrator.simulator import disks, operations, space, vbds, vifs, vms
from orchestrator.simulator.call import Call
from orchestrator.simulator.contents import Content
from orchestrator.simulator.database import Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.manifest import Exported
from orchestrator.simulator.objects import NULL

# Where the classes of an export are dealt with: what others refer to comes first.
ORDER: Final = ("SR", "VDI", "VM", "network", "VBD", "VIF")


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """`sr` takes the disks, None: they are there already. `restore` keeps uuids and MACs; `force` overlooks what would be refused."""

    sr: str | None
    restore: bool = False
    force: bool = False
    dry_run: bool = False


class Importing:
    """One import. `disks` are those that wait for their contents: VDI and size by the name in the archive."""

    def __init__(self, call: Call, options: Options, found: list[Exported]) -> None:
        self.options = options
        self.disks: dict[str, tuple[str, int]] = {}
        self._call = call
        self._db = call.db
        self._found = found
        self._by_name = {one.name: one for one in found}
        self._made: dict[str, str] = {}
        self._vms: list[str] = []
        self._undo: list[Callable[[], None]] = []

    def make(self) -> list[str]:
        """Make the records; gives the VMs, without their snapshots. What is refused is refused before anything else was made."""
        handlers: dict[str, Callable[[Exported], None]] = {
            "SR": self._sr,
            "VDI": self._vdi,
            "VM": self._vm,
            "network": self._network,
            "VBD": self._vbd,
            "VIF": self._vif,
        }
        with self._db.lock:
            try:
                for cls in ORDER:
                    for one in self._found:
                        if one.cls == cls:
                            handlers[cls](one)
                self._link_snapshots()
            except Failure:
                self.take_back()
                raise
            return [vm for vm in self._vms if not self._db.get("VM", vm)["is_a_snapshot"]]

    def finish(self) -> None:
        """The VMs are nobody's any more."""
        for vm in self._vms:
            operations.let_go(self._call, vm)

    def take_back(self) -> None:
        """Destroy what was made, the last first."""
        with self._db.lock:
            while self._undo:
                with contextlib.suppress(Failure):  # somebody else was quicker
                    self._undo.pop()()

    def _find(self, name: str) -> str:
        found = self._made.get(name)
        if found is None:
            raise Failure("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", name)
        return found

    # -- what it runs on -----------------------------------------------------------------------------------------

    def _sr(self, one: Exported) -> None:
        if self.options.sr is not None:
            self._made[one.name] = self.options.sr
        elif (found := self._db.by_uuid("SR", one.snapshot["uuid"])) is not None:
            self._made[one.name] = found

    def _vdi(self, one: Exported) -> None:
        original = self._by_name.get(one.snapshot["SR"])
        if original is not None and original.snapshot["content_type"] == "iso":
            self._iso(one)
        elif self.options.sr is None:
            self._disk_that_is_there(one)
        else:
            self._new_disk(one)

    def _iso(self, one: Exported) -> None:
        """An image with the same location on any ISO SR; without one the drive stays empty."""
        for ref, row in self._db.rows("VDI"):
            if row["location"] == one.snapshot["location"] and self._db.get("SR", row["SR"])["content_type"] == "iso":
                self._made[one.name] = ref

    def _disk_that_is_there(self, one: Exported) -> None:
        sr = self._made.get(one.snapshot["SR"], NULL)
        for vdi in self._db.get("SR", sr)["VDIs"] if sr != NULL else ():
            if self._db.get("VDI", vdi)["location"] == one.snapshot["location"]:
                self._made[one.name] = vdi
                return
        if not self.options.force:
            raise Failure("VDI_LOCATION_MISSING", sr, one.snapshot["location"])

    def _new_disk(self, one: Exported) -> None:
        given = {name: value for name, value in one.record(self._db.schema).items() if name in {*disks.GIVEN, "tags"}}
        given["SR"] = self._find(one.snapshot["SR"])
        space.assert_room(self._db, given["SR"])
        vdi = disks.make(self._db, **given, physical_utilisation=0, _content=Content())
        self._undo.append(lambda: disks.remove(self._db, vdi))
        self._made[one.name] = vdi
        self.disks[one.name] = (vdi, int(given["virtual_size"]))

    def _network(self, one: Exported) -> None:
        named = self._db.by_name("network", one.snapshot["name_label"])
        named += [ref for ref, row in self._db.rows("network") if row["bridge"] == one.snapshot["bridge"]]
        if named or self.options.dry_run:
            self._made[one.name] = named[0] if named else NULL
            return
        network = str(self._db.create("network", **one.record(self._db.schema)))
        self._undo.append(lambda: self._db.destroy("network", network))
        self._made[one.name] = network

    # -- the VM ----------------------------------------------------------------------------------------------------

    def _vm(self, one: Exported) -> None:
        present = self._db.by_uuid("VM", one.snapshot["uuid"]) if self.options.restore else None
        given = one.record(self._db.schema)
        if present is not None and not self._may_replace(present, given):
            return
        if self.options.dry_run:
            return
        if present is not None:
            vms.remove(self._db, present)
        vm = vms.make(self._db, **self._vm_fields(one, given))
        self._undo.append(lambda: vms.remove(self._db, vm))
        self._made[one.name] = vm
        self._vms.append(vm)
        operations.hold(self._call, vm, "import")

    def _may_replace(self, present: str, given: Row) -> bool:
        """Whether the VM that is there with this uuid gives way, or stays because it runs and *force* was asked for; else it is refused."""
        row = self._db.get("VM", present)
        if row["power_state"] != "Halted" and self.options.force:
            return False
        if row["power_state"] != "Halted":
            raise Failure("VM_BAD_POWER_STATE", present, "halted", row["power_state"].lower())
        if row["version"] >= given["version"] and not self.options.force:
            raise Failure("VM_TO_IMPORT_IS_NOT_NEWER_VERSION", present, row["version"], given["version"])
        return True

    def _vm_fields(self, one: Exported, given: Row) -> Row:
        restore = self.options.restore
        config = {**given["other_config"], "import_task": self._call.task}
        if not restore:
            config |= vms.new_seed(self._call)
        fields = {name: value for name, value in given.items() if name not in {"power_state", "suspend_VDI", "snapshot_schedule"}}
        fields |= {"other_config": config, "version": given["version"] + 1 if restore else 0}
        for name in ("affinity", "suspend_SR", "appliance", "protection_policy"):
            if name in fields:
                fields[name] = NULL
        if restore:
            fields["uuid"] = one.snapshot["uuid"]
        if one.snapshot["power_state"] == "Suspended" and one.snapshot["suspend_VDI"] in self._made:
            fields |= {"power_state": "Suspended", "suspend_VDI": self._made[one.snapshot["suspend_VDI"]]}
        for name in ("is_a_snapshot", "snapshot_info", "transportable_snapshot_id", "is_control_domain"):
            fields[name] = one.snapshot[name]
        if one.snapshot["is_a_snapshot"]:
            fields["snapshot_time"] = str(one.snapshot["snapshot_time"])
        return fields

    def _link_snapshots(self) -> None:
        for one in self._found:
            if one.cls == "VM" and one.name in self._made:
                links = {name: self._made.get(one.snapshot[name], NULL) for name in ("snapshot_of", "parent")}
                self._db.set("VM", self._made[one.name], **links)

    def _vbd(self, one: Exported) -> None:
        vdi = self._made.get(one.snapshot["VDI"])
        if one.snapshot["currently_attached"] and vdi is None and one.snapshot["type"] != "CD":
            raise Failure("IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND")
        if one.snapshot["VM"] not in self._made or (vdi is None and one.snapshot["type"] == "Disk"):
            return
        given = self._common(one, vbds.GIVEN)
        vbd = vbds.make(self._db, **{**given, "VDI": vdi or NULL, "empty": vdi is None, "userdevice": one.snapshot["userdevice"]})
        self._undo.append(lambda: vbds.remove(self._db, vbd))

    def _vif(self, one: Exported) -> None:
        if one.snapshot["VM"] not in self._made:
            return
        given: dict[str, Any] = {**self._common(one, vifs.GIVEN), "network": self._find(one.snapshot["network"])}
        device, mac = one.snapshot["device"], one.snapshot["MAC"]
        if not self.options.restore:
            seed = self._db.get("VM", given["VM"])["other_config"]["mac_seed"]
            given["MAC_autogenerated"], mac = True, vifs.make_mac(seed, device)
        vif = vifs.make(self._db, **{**given, "device": device, "MAC": mac})
        self._undo.append(lambda: vifs.remove(self._db, vif))

    def _common(self, one: Exported, kept: tuple[str, ...]) -> Row:
        given = {name: value for name, value in one.record(self._db.schema).items() if name in kept}
        if self.options.restore and self._db.by_uuid(one.cls, one.snapshot["uuid"]) is None:
            given["uuid"] = one.snapshot["uuid"]
        return {**given, "VM": self._made[one.snapshot["VM"]]}
