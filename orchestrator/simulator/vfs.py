"""The virtual functions themselves: hidden from every client, kept in fields of PCI, VIF and VM that never go on the wire.

A port's PCI device (the physical function) knows its VFs in `_virtual_functions`. A VF knows its port's device in `_physical_function`,
the VM whose domain has it in `_attached_VM` and the VM that reserved it in `_scheduled`. A leak is a reservation whose VM is gone.
Every function here is called with the database's lock held.
"""

from typing import Final

from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.objects import NULL

# What a bus can address beyond device 0x10: 16 devices of 8 functions.
MOST_VFS: Final = 128


def of_port(db: Database, pif: str) -> list[str]:
    """The VFs of a physical PIF, by PCI address."""
    return list(db.get("PCI", db.get("PIF", pif)["PCI"]).get("_virtual_functions", ()))


def is_free(row: Row) -> bool:
    """Whether nobody has the VF and nobody reserved it (xapi_pci.ml: get_idle_vf_nums)."""
    return bool(row.get("_attached_VM", NULL) == NULL and row.get("_scheduled", NULL) == NULL)


def free(db: Database, pif: str) -> list[str]:
    """The free VFs of a physical PIF, lowest PCI address first."""
    return [vf for vf in of_port(db, pif) if is_free(db.get("PCI", vf))]


def make(db: Database, pif: str) -> None:
    """Create the PCI records of all VFs of a port that has none."""
    device = db.get("PIF", pif)["PCI"]
    if of_port(db, pif):
        return
    function = db.get("PCI", device)
    made = [_make_one(db, device, function, number) for number in range(function["_total_vfs"])]
    db.set("PCI", device, _virtual_functions=made)
    db.touch("PCI", device)


def _make_one(db: Database, device: str, function: Row, number: int) -> str:
    bus = function["pci_id"].rsplit(":", 1)[0]
    same = ("class_id", "class_name", "vendor_id", "vendor_name", "host", "subsystem_vendor_id", "subsystem_vendor_name")
    return str(
        db.create(
            "PCI",
            **{field: function[field] for field in same},
            device_id=function["_vf_device_id"],
            device_name=function["_vf_device_name"],
            driver_name=function["_vf_driver_name"],
            pci_id=f"{bus}:{0x10 + number // 8:02x}.{number % 8}",
            _physical_function=device,
        )
    )


def remove(db: Database, pif: str) -> None:
    """Destroy the PCI records of a port's VFs, with whatever was reserved on them."""
    device = db.get("PIF", pif)["PCI"]
    gone = of_port(db, pif)
    if not gone:
        return
    for vf in gone:
        db.destroy("PCI", vf)
    db.set("PCI", device, _virtual_functions=[])
    db.touch("PCI", device)


def reserve(db: Database, vf: str, vif: str, vm: str) -> None:
    """Promise the VF to the VIF of a VM that is about to start."""
    db.set("PCI", vf, _scheduled=vm)
    db.set("VIF", vif, _reserved_pci=vf)
    db.set("VM", vm, _reserved_PCIs=[*db.get("VM", vm).get("_reserved_PCIs", ()), vf])


def attach_reserved(db: Database, vm: str) -> None:
    """The domain has its VFs now: they show in VM.attached_PCIs and the reservations end."""
    reserved = db.get("VM", vm).get("_reserved_PCIs", ())
    for vf in reserved:
        db.set("PCI", vf, _attached_VM=vm, _scheduled=NULL)
    if reserved:
        db.set("VM", vm, attached_PCIs=[*db.get("VM", vm)["attached_PCIs"], *reserved], _reserved_PCIs=[])


def release(db: Database, vm: str) -> None:
    """Give back all that the VM has or reserved (xapi_vm_lifecycle.ml: force_state_reset)."""
    row = db.get("VM", vm)
    for vf in {*row["attached_PCIs"], *row.get("_reserved_PCIs", ())}:
        if db.exists("PCI", vf):
            held = db.get("PCI", vf)
            db.set(
                "PCI",
                vf,
                _attached_VM=NULL if held.get("_attached_VM") == vm else held.get("_attached_VM", NULL),
                _scheduled=NULL if held.get("_scheduled") == vm else held.get("_scheduled", NULL),
            )
    for vif in row["VIFs"]:
        db.set("VIF", vif, _reserved_pci=NULL)
    db.set("VM", vm, attached_PCIs=[], _reserved_PCIs=[])


def leak(db: Database, vf: str, holder: str) -> None:
    """Reserve a VF in the name of a VM that will never use it: a halted one, or one that is gone."""
    db.set("PCI", vf, _scheduled=holder)
    if db.exists("VM", holder):
        db.set("VM", holder, _reserved_PCIs=[*db.get("VM", holder).get("_reserved_PCIs", ()), vf])


def forget_reservations(db: Database) -> None:
    """Drop every reservation of the pool, as the coordinator's toolstack does when it starts (dbsync_master.ml: release_locks)."""
    for vf, row in list(db.rows("PCI")):
        if row.get("_scheduled", NULL) != NULL:
            db.set("PCI", vf, _scheduled=NULL)
    for vm, row in list(db.rows("VM")):
        if row.get("_reserved_PCIs"):
            db.set("VM", vm, _reserved_PCIs=[])
