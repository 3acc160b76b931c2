"""What a restore would do, and what a look whether a restore point boots would, said before anything is made."""

from plugins.values import RestorePoint
from workflows import restore_examining
from workflows.outcome import Request
from workflows.plan import Plan
from workflows.ports import Pool
from workflows.restore_examining import Asked, Found

MAKING = ("VM.create",)
HANDED_OVER = ("VM.remove_from_other_config", "VM.remove_from_blocked_operations", "VM.update_allowed_operations")
ADOPTING = (
    "VM.add_to_other_config",
    "VM.add_to_blocked_operations",
    "VDI.add_to_other_config",
    "VM.set_is_a_template",
    "VM.set_name_label",
)


def of_restoring(pool: Pool, request: Request, point: RestorePoint, asked: Asked) -> Plan:
    """The plan of a request of `restore.request`; the refusals are the run's own."""
    found = restore_examining.examine(pool, point, asked)
    title = f"{request.workflow} of {request.title}"
    if found.against:
        return Plan(title, (_which(request, point),), (), found.against)
    return Plan(title, tuple(_sentences(pool, request, point, asked, found)), tuple(_calls(point, asked, found)))


def of_checking(pool: Pool, request: Request, point: RestorePoint, asked: Asked) -> Plan:
    """The plan of a request of `verify_boot.request`; the refusals are the run's own."""
    found = restore_examining.examine(pool, point, asked)
    title = f"{request.workflow} of {request.title}"
    if found.against:
        return Plan(title, (_which(request, point),), (), found.against)
    said = (
        _which(request, point),
        f"make VM {asked.name} with {len(point.disks)} disks and {len(found.vifs)} VIFs, these with other MACs on the parking network",
        "start it, and wait until its guest says that it lives; one without drivers must run for a minute",
        "pull its plug and destroy it with its disks, however it went",
    )
    opened = HANDED_OVER[1:]
    gone = ("VM.hard_shutdown", *["VDI.destroy"] * len(point.disks), "VM.destroy")
    return Plan(title, said, (*_made(point, found), *opened, "VM.start", *gone))


def _which(request: Request, point: RestorePoint) -> str:
    return f"from restore point {point.id} of product {request.data['product']}: {point.vm_name} as of {point.taken_at:%Y-%m-%d %H:%M} UTC"


def _sentences(pool: Pool, request: Request, point: RestorePoint, asked: Asked, found: Found) -> list[str]:
    names = {one.uuid: one.name for one in pool.storages()}
    said = [_which(request, point)]
    said += ["the VM that was saved is in the pool, and is not touched: this one stands beside it"] * found.beside
    said.append(f"make VM {asked.name}, halted, its start blocked until it is whole")
    said += [f"disk {disk.number} ({disk.name}), {disk.size >> 20} MiB, on SR {names[found.SRs[str(disk.number)]]}" for disk in point.disks]
    for vif in found.vifs:
        mac = vif["MAC"] or "a new one"
        how = "a VF by assign-vf" if vif["on_sriov"] else "an ordinary VIF"
        said.append(f"VIF {vif['device']}, MAC {mac}, on {vif['network_name']}: {how}")
    return [*said, "start it and see that it holds its VFs" if asked.starts else "leave it halted"]


def _calls(point: RestorePoint, asked: Asked, found: Found) -> list[str]:
    vfs = ["VIF.create"] * sum(vif["on_sriov"] for vif in found.vifs)
    marks = ["VDI.remove_from_other_config"] * len(point.disks)
    return [*_made(point, found), *HANDED_OVER, *marks, *vfs, *["VM.start"] * asked.starts]


def _made(point: RestorePoint, found: Found) -> list[str]:
    """Until the VM is whole: without the VIFs that take VFs, which come last."""
    disks, drives = len(point.disks), len(point.blueprint.get("drives", ()))
    made = ["PUT /import", *ADOPTING] if point.whole_vm else [
        *MAKING, *["VDI.create"] * disks, *["PUT /import_raw_vdi"] * disks, *["VBD.create"] * (disks + drives),
    ]  # fmt: skip
    return [*made, *["VIF.create"] * sum(not vif["on_sriov"] for vif in found.vifs)]
