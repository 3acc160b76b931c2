"""Whether a VM holds the VFs that its VIFs want, as far as XenAPI tells."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from workflows.objects import VIF, VM
from workflows.outcome import Done, Outcome, Stuck, Wait, wake_on_object
from workflows.ports import PortLook
from workflows.workflow import Data
from workflows.world import World

PATIENCE = timedelta(minutes=2)
"""How long after a start VM.attached_PCIs may take to show what the VM holds."""

AGAIN = timedelta(seconds=2)


def seen(world: World, data: Data, vm: VM, uuid: str) -> Outcome:
    """See that the VM's VIF has its VF; a halted VM takes it when it starts. Stuck, with what was seen, when it runs and has none."""
    vif = next((one for one in vm.vifs if one.uuid == uuid), None)
    if vif is not None and vm.power_state == "Halted" and not vm.current_operations:
        return Done(f"it is halted, and takes a VF on {vif.network_name} when it starts")
    lacking = "its VIF is gone" if vif is None else _lacking(world, data, vm, vif)
    if not lacking and vif is not None:
        return Done(f"it holds {len(vfs(vm))} VFs, one of them by VIF {vif.device} on {vif.network_name}")
    since = datetime.fromisoformat(data.setdefault("looking_since", world.now.isoformat()))
    if world.now - since < PATIENCE:
        return Wait(lacking, on=wake_on_object(world.pool.name, "vm", vm.uuid), at_most=AGAIN)
    del data["looking_since"]
    evidence = {"attached_PCIs": [pci.pci_id for pci in vm.held], "power_state": vm.power_state, "resident_on": vm.resident_on}
    return Stuck(f"VM {vm.name}: {lacking}", next_command=f"vfo run {world.run_id} retry", evidence=evidence)


def vfs(vm: VM) -> list[str]:
    """The VFs (PCI addresses) that it holds on the host where it runs; references to devices that are gone do not count."""
    return [pci.pci_id for pci in vm.held if pci.is_vf and not pci.gone and pci.host == vm.resident_on]


def _lacking(world: World, data: Data, vm: VM, vif: VIF) -> str:
    """What is missing, "" when nothing is.

    XenAPI does not say which VF belongs to which port or VIF: the VIF must be attached, the host where the VM runs must have a port for it
    (the one where its VF was promised has), and the VM must hold as many VFs as it has attached VIFs that take one.
    """
    if vm.power_state != "Running":
        return f"it is {vm.power_state.lower()}"
    if not vif.currently_attached:
        return f"VIF {vif.device} is not attached: the VM was started before it was there, and needs a shutdown and a start"
    if vm.resident_on != data.get("host") and not _has_port(world.pool.look_at_ports(), vm, vif):
        return f"VIF {vif.device} is attached, but its host has no port for network {vif.network_name}"
    attached = sum(one.currently_attached for one in vm.sriov_vifs)
    if len(vfs(vm)) < attached:
        return f"it has {attached} VIFs that take a VF, and VM.attached_PCIs shows {len(vfs(vm))} VFs"
    return ""


def _has_port(looks: Iterable[PortLook], vm: VM, vif: VIF) -> bool:
    """Whether a port of the VM's host has the VIF among its users."""
    return any(look.host == vm.resident_on and any(user.vif == vif.uuid for user in look.users) for look in looks)
