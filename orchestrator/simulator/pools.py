"""The pool: high availability, a new coordinator, and questions."""

from orchestrator.simulator import objects, vms
from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.registry import Messages


def enable_ha(call: Call, heartbeat_srs: list[str], configuration: dict[str, str]) -> None:
    """pool.enable_ha: on a shared SR; protected VMs must be agile already."""
    with call.db.lock:
        pool, row = objects.pool_of(call.db)
        if row["ha_enabled"]:
            raise Failure("HA_IS_ENABLED")
        for sr in heartbeat_srs:
            call.handle("SR", sr)
        for vm, record in call.db.rows("VM"):
            if record["ha_restart_priority"] == "restart":
                vms.assert_agile(call, vm)
        failures = 1 if len(call.db.refs("host")) > 1 else 0
        call.db.set(
            "pool", pool, ha_enabled=True, ha_host_failures_to_tolerate=failures, ha_plan_exists_for=failures, ha_cluster_stack="xhad"
        )


def disable_ha(call: Call) -> None:
    """pool.disable_ha."""
    with call.db.lock:
        pool, row = objects.pool_of(call.db)
        if not row["ha_enabled"]:
            raise Failure("HA_NOT_ENABLED")
        call.db.set("pool", pool, ha_enabled=False, ha_host_failures_to_tolerate=0, ha_plan_exists_for=0)


def set_ha_host_failures_to_tolerate(call: Call, self: str, value: int) -> None:
    """pool.set_ha_host_failures_to_tolerate."""
    call.handle("pool", self)
    call.db.set("pool", self, ha_host_failures_to_tolerate=value, ha_plan_exists_for=value)


def designate_new_master(call: Call, host: str) -> None:
    """pool.designate_new_master: answers, then the other host takes over; connections, sessions and tasks are lost."""
    call.handle("host", host)
    if not objects.is_live(call.db, host):
        raise Failure("HOST_OFFLINE", host)
    server = call.server

    def later() -> None:
        server.pause(0.2)  # the answer must be out before the connections are cut
        server.failover(host)

    if host != server.coordinator:
        server.spawn(later)


def join(call: Call, master_address: str, master_username: str, master_password: str) -> None:
    """pool.join: never with SR-IOV enabled, nor from a pool of several hosts; else the simulator knows no other pool to join."""
    if call.db.refs("network_sriov"):
        raise Failure("POOL_JOINING_HOST_HAS_NETWORK_SRIOVS")
    if len(call.db.refs("host")) > 1:
        raise Failure("JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS")
    raise Failure("JOINING_HOST_CONNECTION_FAILED")


def sync_database(call: Call) -> None:
    """pool.sync_database: nothing to do."""


def get_license_state(call: Call, self: str) -> dict[str, str]:
    """pool.get_license_state."""
    call.handle("pool", self)
    return {"edition": "xcp-ng", "expiry": "never"}


def has_extension(call: Call, self: str, name: str) -> bool:
    """pool.has_extension: none."""
    call.handle("pool", self)
    return False


MESSAGES: Messages = {
    "pool.enable_ha": enable_ha,
    "pool.disable_ha": disable_ha,
    "pool.set_ha_host_failures_to_tolerate": set_ha_host_failures_to_tolerate,
    "pool.designate_new_master": designate_new_master,
    "pool.join": join,
    "pool.join_force": join,
    "pool.sync_database": sync_database,
    "pool.get_license_state": get_license_state,
    "pool.has_extension": has_extension,
}
