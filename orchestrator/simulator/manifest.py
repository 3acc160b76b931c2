"""ova.xml, the first file of an XVA: the records of a VM and of what it needs, with references of their own.

As xapi writes and reads it: export.ml, importexport.ml.
"""

import dataclasses
import itertools
import xmlrpc.client
from typing import Any, Final

from orchestrator.simulator import convert
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.schema import EPOCH, Date, Schema
from orchestrator.simulator.wire import xmlrpc as wire

NAME: Final = "ova.xml"
VERSION: Final = {
    "hostname": "simulator",
    "date": "2026-08-01",
    "product_version": "8.3.0",
    "product_brand": "XCP-ng",
    "build_number": "cloud",
}
API: Final = {"xapi_major": 2, "xapi_minor": 21, "export_vsn": 2}
# In the order of the file.
CLASSES: Final = ("VM", "VM_guest_metrics", "VBD", "VIF", "network", "VDI", "SR", "host")
# What of a record stays here: it says what goes on, or refers to what is not exported.
EMPTIED: Final = frozenset({"allowed_operations", "current_operations", "PIFs", "PBDs", "crash_dumps", "consoles", "blobs"})
LEFT_OUT: Final = {
    "VM": ("metrics", "attached_PCIs"),
    "VIF": ("metrics",),
    "VBD": ("metrics",),
    "host": ("metrics", "PCIs", "PGPUs", "host_CPUs", "license_params", "other_config", "software_version", "capabilities", "tags"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What of the VMs is exported: metadata keep the power state and have snapshots, a whole export has the VM as if it were halted."""

    snapshots: bool = False
    power_state: bool = False


class Manifest:
    """The objects of an export by the references they have in it, `Ref:0` and so on."""

    def __init__(self, db: Database, vms: list[str], wanted: Wanted) -> None:
        self._db = db
        self._wanted = wanted
        self._numbers = itertools.count()
        self.names: dict[str, str] = {}
        self._found: dict[str, list[str]] = {cls: [] for cls in CLASSES}
        for vm in vms:
            self._add_vm(vm)

    def _add(self, cls: str, ref: str) -> None:
        if ref not in self.names and self._db.exists(cls, ref):
            self.names[ref] = f"Ref:{next(self._numbers)}"
            self._found[cls].append(ref)

    def _add_vm(self, vm: str) -> None:
        if vm in self.names or not self._db.exists("VM", vm):
            return
        self._add("VM", vm)
        row = self._db.get("VM", vm)
        for vif in row["VIFs"]:
            self._add("VIF", vif)
            self._add("network", self._db.get("VIF", vif)["network"])
        for vbd in row["VBDs"]:
            self._add("VBD", vbd)
            self._add_vdi(self._db.get("VBD", vbd)["VDI"])
        if self._wanted.power_state and row["power_state"] == "Suspended":
            self._add_vdi(row["suspend_VDI"])
        self._add("VM_guest_metrics", row["guest_metrics"])
        for field in ("resident_on", "affinity"):
            self._add("host", row[field])
        for snapshot in row["snapshots"] if self._wanted.snapshots else ():
            self._add_vm(snapshot)

    def _add_vdi(self, vdi: str) -> None:
        self._add("VDI", vdi)
        if self._db.exists("VDI", vdi):
            self._add("SR", self._db.get("VDI", vdi)["SR"])

    def disks(self, vm: str) -> list[tuple[str, str]]:
        """The names and refs of the VM's disks that are exported with their contents, in the order of their names: no CDs."""
        row = self._db.get("VM", vm)
        vdis = [self._db.get("VBD", vbd)["VDI"] for vbd in row["VBDs"] if self._db.get("VBD", vbd)["type"] != "CD"]
        if self._wanted.power_state and row["power_state"] == "Suspended":
            vdis.append(row["suspend_VDI"])
        return sorted((self.names[vdi], vdi) for vdi in set(vdis) if vdi in self.names and not self._is_iso(vdi))

    def _is_iso(self, vdi: str) -> bool:
        sr = self._db.get("VDI", vdi)["SR"]
        return self._db.exists("SR", sr) and self._db.get("SR", sr)["content_type"] == "iso"

    def xml(self) -> bytes:
        """The file."""
        objects = [
            {"class": cls, "id": self.names[ref], "snapshot": self._snapshot(cls, ref)} for cls in CLASSES for ref in self._found[cls]
        ]
        return wire.encode({"version": {**VERSION, **API}, "objects": objects}).encode()

    def _snapshot(self, cls: str, ref: str) -> Row:
        row = self._db.record(cls, ref).public()
        gone = LEFT_OUT.get(cls, ())
        defaults = {name: field.default for name, field in self._db.schema.classes[cls].fields.items()}
        kept = {name: defaults[name] if name in EMPTIED or name in gone else self._renamed(value) for name, value in row.items()}
        if cls == "VM":
            kept |= self._vm_fields()
        elif cls in {"VIF", "VBD"} and not self._wanted.power_state:
            kept["currently_attached"] = False
        return kept

    def _vm_fields(self) -> Row:
        fields: Row = {}
        if not self._wanted.power_state:
            fields |= {"power_state": "Halted", "suspend_VDI": NULL}
        if not self._wanted.snapshots:
            fields |= {"is_a_snapshot": False, "snapshot_of": NULL, "snapshots": [], "snapshot_time": Date(EPOCH), "parent": NULL}
            fields |= {"transportable_snapshot_id": ""}
        return fields

    def _renamed(self, value: Any) -> Any:
        """References as they are called in the export: those of what is not in it are NULL, or missing from lists."""
        if isinstance(value, list):
            return [self._renamed(one) for one in value if not _is_ref(one) or one in self.names]
        return self.names.get(value, NULL) if _is_ref(value) else value


def _is_ref(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("OpaqueRef:")


@dataclasses.dataclass(frozen=True, slots=True)
class Exported:
    """One object that was read: its class, its name in the export, and its record as the wire has it."""

    cls: str
    name: str
    snapshot: dict[str, Any]

    def record(self, schema: Schema) -> Row:
        """The fields that one may give when the object is made."""
        return convert.convert_record(schema, self.cls, self.snapshot)


def parse(xml: bytes) -> list[Exported]:
    """The objects of an ova.xml; IMPORT_ERROR when it is none."""
    try:
        body = b"<methodResponse><params><param>" + xml + b"</param></params></methodResponse>"
        loaded: Any = xmlrpc.client.loads(body)[0][0]
        return [Exported(one["class"], one["id"], one["snapshot"]) for one in loaded["objects"]]
    except Exception as error:  # expat's errors, and whatever the unmarshaller meets in values that make no sense
        raise Failure("IMPORT_ERROR", f"{type(error).__name__}: {error}") from error
