"""Which role our account needs: every call that the product makes, with the least role that may make it."""

from orchestrator.xapi.client import Client

# From the least to the most powerful, each allowed all that the one before it is (xapi: datamodel_roles.ml).
LADDER = ("read-only", "vm-operator", "vm-admin", "vm-power-admin", "pool-operator", "pool-admin")

# A call that only this role and those above it may make, as permissions are written: by it a role is recognised.
_MARKS = {
    "read-only": "vm.get_record",
    "vm-operator": "vm.start",
    "vm-admin": "vif.create",
    "vm-power-admin": "vm.snapshot",
    "pool-operator": "host.reboot",
    "pool-admin": "subject.create",
}

# What the product calls today. A workflow that calls more adds it here, and the doctor then asks for it.
CALLS = {
    "PCI.get_all_records": "read-only",
    "PIF.get_all_records": "read-only",
    "VIF.get_all_records": "read-only",
    "VLAN.get_all_records": "read-only",
    "VM.get_all_records": "read-only",
    "VM.get_by_uuid": "read-only",
    "VM.get_record": "read-only",
    "event.from": "read-only",
    "event.inject": "read-only",
    "host.get_all_records": "read-only",
    "host.get_server_certificate": "read-only",
    "host.get_servertime": "read-only",
    "host_metrics.get_all_records": "read-only",
    "network.get_all_records": "read-only",
    "network_sriov.get_all_records": "read-only",
    "network_sriov.get_remaining_capacity": "read-only",
    "pool.get_all": "read-only",
    "pool.get_all_records": "read-only",
    "session.get_is_local_superuser": "read-only",
    "session.get_rbac_permissions": "read-only",
    "session.login_with_password": "read-only",
    "session.logout": "read-only",
    "task.destroy": "read-only",
    "task.get_record": "read-only",
}


def needed() -> str:
    """The least role that may make every one of our calls."""
    return max(CALLS.values(), key=LADDER.index)


def my_role(client: Client) -> str | None:
    """The role of our session, as far as a client can know; None when its permissions are of no role that we know.

    A local superuser (root) may do everything and has no list of permissions (xapi: session.is_local_superuser, rbac_permissions).
    """
    session = client.session.handle
    if client.fetch(bool, "session.get_is_local_superuser", session):
        return LADDER[-1]
    allowed = set(client.fetch(list[str], "session.get_rbac_permissions", session))
    held = [role for role in LADDER if _MARKS[role] in allowed]
    return held[-1] if held else None
