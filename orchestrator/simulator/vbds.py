"""VBDs: a VM's disks and CD drives."""

import re
from typing import Any, Final

from orchestrator.simulator import disks, durations
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages

NUMBER: Final = re.compile(r"[0-9]+")
NAMED: Final = re.compile(r"(?:xvd|hd|sd)([a-z])")
DEVICES: Final = 16
GIVEN: Final = ("bootable", "mode", "type", "unpluggable", "empty", "other_config", "qos_algorithm_type", "qos_algorithm_params")


def number_of(device: str) -> int | None:
    """The disk number of a device's name, or None when it is none ('xvda' is 0)."""
    if NUMBER.fullmatch(device):
        return int(device)
    named = NAMED.fullmatch(device)
    return ord(named[1]) - ord("a") if named else None


def allowed(db: Database, row: Row) -> list[str]:
    """What allowed_operations says of a VBD."""
    state = db.get("VM", row["VM"])["power_state"] if db.exists("VM", row["VM"]) else "Halted"
    media = ["eject" if not row["empty"] else "insert"] if row["type"] == "CD" and state == "Running" else []
    if state != "Running":
        return ["attach", "insert"] if row["type"] == "CD" else ["attach"]
    if row["currently_attached"]:
        return ["attach", "pause", "unpause", "unplug", "unplug_force", *media]
    return ["attach", "pause", "plug", "unpause", *media]


def refresh(db: Database, vbd: str) -> None:
    """Write allowed_operations anew, the disk's too."""
    row = db.get("VBD", vbd)
    db.set("VBD", vbd, allowed_operations=allowed(db, row))
    if db.exists("VDI", row["VDI"]):
        disks.refresh(db, row["VDI"])


def _attach(db: Database, vbd: str) -> None:
    row = db.get("VBD", vbd)
    number = number_of(row["userdevice"]) or 0
    db.set("VBD", vbd, currently_attached=True, device=f"xvd{chr(ord('a') + number % 26)}")


def attach_all(db: Database, vm: str) -> None:
    """The VM's domain is built: all its VBDs are in it."""
    for vbd in db.get("VM", vm)["VBDs"]:
        _attach(db, vbd)
        refresh(db, vbd)


def detach_all(db: Database, vm: str) -> None:
    """The VM's domain is gone; the device names stay."""
    for vbd in db.get("VM", vm)["VBDs"]:
        db.set("VBD", vbd, currently_attached=False)
        refresh(db, vbd)


def assert_free(db: Database, vm: str) -> None:
    """Raise VDI_IN_USE when a disk of the VM is attached elsewhere, or twice in the VM, and one of the two writes."""
    seen: dict[str, bool] = {}
    for vbd in db.get("VM", vm)["VBDs"]:
        row = db.get("VBD", vbd)
        if row["VDI"] == NULL or not db.exists("VDI", row["VDI"]) or db.get("VDI", row["VDI"])["sharable"]:
            continue
        writes = row["mode"] == "RW"
        others = [db.get("VBD", other) for other in db.get("VDI", row["VDI"])["VBDs"]]
        clash = any(other["currently_attached"] and (writes or other["mode"] == "RW") for other in others)
        if clash or (row["VDI"] in seen and (writes or seen[row["VDI"]])):
            raise Failure("VDI_IN_USE", row["VDI"])
        seen[row["VDI"]] = writes


def make(db: Database, **fields: Any) -> str:
    """Create a VBD's record and its metrics."""
    vbd = str(db.create("VBD", metrics=db.create("VBD_metrics"), **fields))
    refresh(db, vbd)
    return vbd


def copy(db: Database, vbd: str, vm: str, vdi: str) -> str:
    """A VBD like another one on another VM; xapi notes with `owner` that the disk was made for it."""
    row = db.get("VBD", vbd)
    config = {**row["other_config"], "owner": ""} if vdi != NULL and row["type"] == "Disk" else row["other_config"]
    kept = {field: row[field] for field in (*GIVEN, "userdevice") if field != "other_config"}
    return make(db, VM=vm, VDI=vdi, other_config=config, **kept)


def attach_to_control_domain(db: Database, host: str, vdi: str, mode: str) -> str:
    """The VBD by which the host itself reads or writes a disk; whoever made it removes it."""
    vm = str(db.get("host", host)["control_domain"])
    vbd = make(db, VM=vm, VDI=vdi, userdevice=_device(db, db.get("VM", vm), "autodetect"), bootable=False, mode=mode, type="Disk")
    _attach(db, vbd)
    refresh(db, vbd)
    return vbd


def create(call: Call, args: dict[str, Any]) -> str:
    """VBD.create: on a running VM too, where it plugs nothing."""
    with call.db.lock:
        vm = call.handle("VM", args["VM"])
        _assert_media(call, args)
        device = _device(call.db, vm, args["userdevice"])
        given = {field: args[field] for field in GIVEN if field in args}
        return make(call.db, VM=args["VM"], VDI=NULL if args["empty"] else args["VDI"], userdevice=device, **given)


def _assert_media(call: Call, args: dict[str, Any]) -> None:
    if args["type"] == "Disk" and args["empty"]:
        raise Failure("VBD_NOT_REMOVABLE_MEDIA", "in constructor")
    if args["type"] == "CD" and args["mode"] != "RO":
        raise Failure("VBD_CDS_MUST_BE_READONLY")
    if not args["empty"] and call.handle("VDI", args["VDI"])["type"] == "cbt_metadata":
        raise Failure("VDI_INCOMPATIBLE_TYPE", args["VDI"], "CBT metadata")


def _device(db: Database, vm: Row, wanted: str) -> str:
    taken = {number_of(db.get("VBD", vbd)["userdevice"]) for vbd in vm["VBDs"]}
    if wanted == "autodetect":
        return str(next(number for number in range(256) if number not in taken))
    number = number_of(wanted)
    if number is None:
        raise Failure("INVALID_DEVICE", wanted)
    if number in taken:
        raise Failure("DEVICE_ALREADY_EXISTS", wanted)
    return wanted


def destroy(call: Call, self: str) -> None:
    """VBD.destroy: refused while attached; the VDI stays."""
    with call.db.lock:
        row = call.handle("VBD", self)
        if row["currently_attached"]:
            vm = call.db.get("VM", row["VM"])["uuid"]
            raise Failure("OPERATION_NOT_ALLOWED", f"VBD '{row['uuid']}' still attached to '{vm}'")
        remove(call.db, self)


def remove(db: Database, vbd: str) -> None:
    """Destroy a VBD's record and its metrics; its disk is free then."""
    row = db.get("VBD", vbd)
    db.destroy("VBD", vbd)
    if db.exists("VBD_metrics", row["metrics"]):
        db.destroy("VBD_metrics", row["metrics"])
    if db.exists("VDI", row["VDI"]):
        disks.refresh(db, row["VDI"])


def plug(call: Call, self: str) -> None:
    """VBD.plug: on a running VM."""
    _plug(call, self, attached=True)


def unplug(call: Call, self: str) -> None:
    """VBD.unplug and unplug_force: on a running VM."""
    _plug(call, self, attached=False)


def _plug(call: Call, vbd: str, *, attached: bool) -> None:
    with call.db.lock:
        row = call.handle("VBD", vbd)
        vm = call.db.get("VM", row["VM"])
        if vm["power_state"] != "Running":
            raise Failure("VM_BAD_POWER_STATE", row["VM"], "running", vm["power_state"].lower())
        if row["currently_attached"] == attached:
            raise Failure("DEVICE_ALREADY_ATTACHED" if attached else "DEVICE_ALREADY_DETACHED", vbd)
    call.work(durations.PLUG)
    with call.db.lock:
        call.handle("VBD", vbd)
        if attached:
            _attach(call.db, vbd)
        else:
            call.db.set("VBD", vbd, currently_attached=False)
        refresh(call.db, vbd)


def set_mode(call: Call, self: str, value: str) -> None:
    """VBD.set_mode: only while the VM is halted."""
    with call.db.lock:
        row = call.handle("VBD", self)
        state = call.db.get("VM", row["VM"])["power_state"]
        if state != "Halted":
            raise Failure("VM_BAD_POWER_STATE", row["VM"], "halted", state.lower())
        call.db.set("VBD", self, mode=value)


def eject(call: Call, vbd: str) -> None:
    """VBD.eject: of a CD drive, empty or not."""
    with call.db.lock:
        if call.handle("VBD", vbd)["type"] != "CD":
            raise Failure("VBD_NOT_REMOVABLE_MEDIA", vbd)
        call.db.set("VBD", vbd, VDI=NULL, empty=True)
        refresh(call.db, vbd)


def insert(call: Call, vbd: str, vdi: str) -> None:
    """VBD.insert: into an empty CD drive."""
    with call.db.lock:
        row = call.handle("VBD", vbd)
        call.handle("VDI", vdi)
        if row["type"] != "CD":
            raise Failure("VBD_NOT_REMOVABLE_MEDIA", vbd)
        if not row["empty"]:
            raise Failure("VBD_NOT_EMPTY", vbd)
        call.db.set("VBD", vbd, VDI=vdi, empty=False)
        refresh(call.db, vbd)


def get_allowed_devices(call: Call, vm: str) -> list[str]:
    """VM.get_allowed_VBD_devices."""
    with call.db.lock:
        taken = {number_of(call.db.get("VBD", vbd)["userdevice"]) for vbd in call.handle("VM", vm)["VBDs"]}
        return [str(device) for device in range(DEVICES) if device not in taken]


MESSAGES: Messages = {
    "VBD.create": create,
    "VBD.destroy": destroy,
    "VBD.plug": plug,
    "VBD.unplug": unplug,
    "VBD.unplug_force": unplug,
    "VBD.set_mode": set_mode,
    "VBD.eject": eject,
    "VBD.insert": insert,
    "VM.get_allowed_VBD_devices": get_allowed_devices,
}
