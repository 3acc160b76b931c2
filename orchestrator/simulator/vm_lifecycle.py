"""What becoming Running, Suspended or Halted writes: the VM's row, its VIFs and VBDs, its VFs.

Every function here is called with the database's lock held.
"""

from orchestrator.simulator import objects, operations, placement, vbds, vfs, vifs
from orchestrator.simulator.database import Database
from orchestrator.simulator.objects import NULL

GUEST_NAME = {"name": "Debian GNU/Linux 12 (bookworm)", "distro": "debian", "major": "12", "minor": "0", "uname": "6.1.0-18-amd64"}


def announce_devices(db: Database, vm: str, task: str) -> None:
    """While a start runs the VIFs already say currently_attached, with an `attach` operation (recorded on a running xapi)."""
    for vif in db.get("VM", vm)["VIFs"]:
        db.set("VIF", vif, currently_attached=True, current_operations={task: "attach"}, allowed_operations=[])


def retract_devices(db: Database, vm: str) -> None:
    """A start that failed: nothing is attached, nothing is reserved."""
    vfs.release(db, vm)
    db.set("VM", vm, scheduled_to_be_resident_on=NULL)
    for vif in db.get("VM", vm)["VIFs"]:
        db.set("VIF", vif, currently_attached=False, current_operations={})
        vifs.refresh(db, vif)


def run(db: Database, vm: str, host: str, *, paused: bool = False) -> None:
    """The domain is built: it has its VFs and disks, and the VM runs (or is paused) on the host."""
    domid = db.get("host", host).get("_last_domid", 0) + 1
    db.set("host", host, _last_domid=domid)
    vfs.attach_reserved(db, vm)
    db.set(
        "VM",
        vm,
        power_state="Paused" if paused else "Running",
        resident_on=host,
        scheduled_to_be_resident_on=NULL,
        domid=domid,
        domarch="x64",
        **_last_seen(db, vm),
    )
    metrics = db.get("VM", vm)["metrics"]
    if db.exists("VM_metrics", metrics):
        now = objects.now_text()
        row = db.get("VM", vm)
        db.set(
            "VM_metrics",
            metrics,
            start_time=now,
            last_updated=now,
            memory_actual=row["memory_dynamic_max"],
            VCPUs_number=row["VCPUs_at_startup"],
            current_domain_type=row["domain_type"],
        )
    for vif in db.get("VM", vm)["VIFs"]:
        db.set("VIF", vif, current_operations={})
        vifs.refresh(db, vif)
    vbds.attach_all(db, vm)
    operations.refresh(db, vm)


def _last_seen(db: Database, vm: str) -> dict[str, object]:
    """The guest's agent reports itself."""
    if db.get("VM", vm)["guest_metrics"] != NULL:
        return {}
    guest = db.create(
        "VM_guest_metrics",
        os_version=GUEST_NAME,
        PV_drivers_version={"major": "8", "minor": "3", "micro": "1", "build": "1"},
        PV_drivers_up_to_date=True,
        PV_drivers_detected=True,
        live=True,
        last_updated=objects.now_text(),
        other={"feature-shutdown": "1", "feature-reboot": "1", "feature-suspend": "1"},
    )
    return {"guest_metrics": guest}


def start_now(db: Database, vm: str, host: str) -> None:
    """A VM that runs on a host without anybody having asked by XenAPI: a world that is built, HA, a boot."""
    placement.reserve(db, vm, host)
    for vif in db.get("VM", vm)["VIFs"]:
        db.set("VIF", vif, currently_attached=True)
    run(db, vm, host)


def halt(db: Database, vm: str) -> None:
    """The domain is gone: VFs, disks and VIFs are given back (xapi_vm_lifecycle.ml: force_state_reset)."""
    vfs.release(db, vm)
    row = db.get("VM", vm)
    _forget_guest(db, row["guest_metrics"])
    db.set(
        "VM",
        vm,
        power_state="Halted",
        resident_on=NULL,
        scheduled_to_be_resident_on=NULL,
        domid=-1,
        domarch="",
        guest_metrics=NULL,
        requires_reboot=False,
    )
    for vif in row["VIFs"]:
        db.set("VIF", vif, currently_attached=False, current_operations={})
        vifs.refresh(db, vif)
    vbds.detach_all(db, vm)
    operations.refresh(db, vm)


def suspend(db: Database, vm: str, image: str) -> None:
    """The domain is gone, its memory is on a disk: VFs are given back, VIFs stay attached as far as the record goes."""
    vfs.release(db, vm)
    _forget_guest(db, db.get("VM", vm)["guest_metrics"])
    db.set("VM", vm, power_state="Suspended", resident_on=NULL, domid=-1, guest_metrics=NULL, suspend_VDI=image)
    vbds.detach_all(db, vm)
    operations.refresh(db, vm)


def _forget_guest(db: Database, guest: str) -> None:
    if db.exists("VM_guest_metrics", guest):
        db.destroy("VM_guest_metrics", guest)
