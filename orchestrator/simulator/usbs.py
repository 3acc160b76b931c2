"""USB devices of VMs: their only part here is what they forbid (snapshot, suspend, checkpoint, migration)."""

from orchestrator.simulator import operations
from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.registry import Messages


def create(call: Call, VM: str, USB_group: str, other_config: dict[str, str]) -> str:
    """VUSB.create: one VM at a time has the devices of a group."""
    with call.db.lock:
        call.handle("VM", VM)
        if call.handle("USB_group", USB_group)["VUSBs"]:
            raise Failure("USB_GROUP_CONFLICT", USB_group)
        vusb = str(call.db.create("VUSB", VM=VM, USB_group=USB_group, other_config=other_config))
        operations.refresh(call.db, VM)
        return vusb


def destroy(call: Call, self: str) -> None:
    """VUSB.destroy."""
    with call.db.lock:
        vm = call.handle("VUSB", self)["VM"]
        call.db.destroy("VUSB", self)
        operations.refresh(call.db, vm)


MESSAGES: Messages = {"VUSB.create": create, "VUSB.destroy": destroy}
