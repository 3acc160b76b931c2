"""Running VMs that change their host."""

from orchestrator.simulator import durations, objects, operations, placement, vm_power
from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages


def pool_migrate(call: Call, vm: str, host: str, options: dict[str, str]) -> None:
    """VM.pool_migrate: refused with a PCI device; to its own host it is fine."""
    call.handle("host", host)
    with operations.during(call, vm, "pool_migrate"):
        move(call, vm, host)


def move(call: Call, vm: str, host: str) -> None:
    """Move a running VM within the pool, its operation being under way."""
    with call.db.lock:
        placement.assert_can_run(call.db, vm, host)
        call.db.set("VM", vm, scheduled_to_be_resident_on=host)
    try:
        vm_power.wait_while_it_runs(call, vm, durations.MIGRATE)
        with call.db.lock:
            if not objects.is_live(call.db, host):
                raise Failure("HOST_OFFLINE", host)
            call.db.set("VM", vm, resident_on=host)
    finally:
        with call.db.lock:
            if call.db.exists("VM", vm):
                call.db.set("VM", vm, scheduled_to_be_resident_on=NULL)


def assert_can_migrate(call: Call, vm: str, *rest: object) -> None:
    """VM.assert_can_migrate: what the VM itself forbids."""
    with call.db.lock:
        operations.check(call, vm, "migrate_send")


def migrate_send(call: Call, vm: str, dest: dict[str, str], *rest: object) -> str:
    """VM.migrate_send: the VM's own refusals; else the simulator knows no other pool."""
    assert_can_migrate(call, vm)
    raise Failure("VM_MIGRATE_FAILED", vm, "", dest.get("host", ""), "the destination cannot be reached")


MESSAGES: Messages = {
    "VM.pool_migrate": pool_migrate,
    "VM.assert_can_migrate": assert_can_migrate,
    "VM.migrate_send": migrate_send,
}
