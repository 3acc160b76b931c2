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

# What the product calls. Who calls more adds it here, and the doctor then asks for it.
CALLS = {
    "PCI.get_all_records": "read-only",
    "PCI.get_record": "read-only",
    "PIF.get_all_records": "read-only",
    "PIF.get_by_uuid": "read-only",
    "PIF.get_record": "read-only",
    "PIF.get_sriov_physical_PIF_of": "read-only",
    "PIF.get_uuid": "read-only",
    "PIF.plug": "pool-operator",
    "PIF.unplug": "pool-operator",
    "SR.get_all_records": "read-only",
    "SR.get_by_uuid": "read-only",
    "SR.get_record": "read-only",
    "SR.get_uuid": "read-only",
    "VBD.create": "vm-admin",
    "VBD.get_all_records": "read-only",
    "VBD.get_record": "read-only",
    "VDI.add_to_other_config": "vm-admin",
    "VDI.create": "vm-admin",
    "VDI.data_destroy": "vm-admin",
    "VDI.destroy": "vm-admin",
    "VDI.enable_cbt": "vm-admin",
    "VDI.get_all_records": "read-only",
    "VDI.get_by_uuid": "read-only",
    "VDI.get_nbd_info": "vm-admin",
    "VDI.get_record": "read-only",
    "VDI.get_uuid": "read-only",
    "VDI.list_changed_blocks": "vm-operator",
    "VDI.remove_from_other_config": "vm-admin",
    "VIF.create": "vm-admin",
    "VIF.destroy": "vm-admin",
    "VIF.get_all_records": "read-only",
    "VIF.get_by_uuid": "read-only",
    "VIF.get_record": "read-only",
    "VIF.get_uuid": "read-only",
    "VIF.move": "vm-admin",
    "VLAN.create": "pool-operator",
    "VLAN.destroy": "pool-operator",
    "VLAN.get_all_records": "read-only",
    "VLAN.get_record": "read-only",
    "VM.add_tags": "vm-operator",
    "VM.add_to_blocked_operations": "vm-admin",
    "VM.add_to_other_config": "vm-admin",
    "VM.clean_shutdown": "vm-operator",
    "VM.create": "vm-admin",
    "VM.destroy": "vm-admin",
    "VM.get_all_records": "read-only",
    "VM.get_blocked_operations": "read-only",
    "VM.get_by_uuid": "read-only",
    "VM.get_current_operations": "read-only",
    "VM.get_other_config": "read-only",
    "VM.get_possible_hosts": "read-only",
    "VM.get_power_state": "read-only",
    "VM.get_record": "read-only",
    "VM.get_uuid": "read-only",
    "VM.hard_shutdown": "vm-operator",
    "VM.pool_migrate": "vm-power-admin",
    "VM.power_state_reset": "pool-operator",
    "VM.remove_from_blocked_operations": "vm-admin",
    "VM.remove_from_other_config": "vm-admin",
    "VM.remove_tags": "vm-operator",
    "VM.set_bios_strings": "vm-admin",
    "VM.set_is_a_template": "vm-admin",
    "VM.set_name_label": "vm-admin",
    "VM.snapshot": "vm-power-admin",
    "VM.start": "vm-operator",
    "VM.start_on": "vm-power-admin",
    "VM.update_allowed_operations": "pool-admin",
    "VM_guest_metrics.get_record": "read-only",
    "event.from": "read-only",
    "event.inject": "read-only",
    "host.add_to_other_config": "pool-operator",
    "host.disable": "pool-operator",
    "host.enable": "pool-operator",
    "host.evacuate": "pool-operator",
    "host.get_all_records": "read-only",
    "host.get_by_uuid": "read-only",
    "host.get_current_operations": "read-only",
    "host.get_other_config": "read-only",
    "host.get_record": "read-only",
    "host.get_server_certificate": "read-only",
    "host.get_servertime": "read-only",
    "host.get_uuid": "read-only",
    "host.get_vms_which_prevent_evacuation": "read-only",
    "host.reboot": "pool-operator",
    "host.remove_from_other_config": "pool-operator",
    "host.restart_agent": "pool-operator",
    "host_metrics.get_all_records": "read-only",
    "host_metrics.get_record": "read-only",
    "network.create": "vm-admin",
    "network.destroy": "vm-admin",
    "network.get_MTU": "read-only",
    "network.get_all_records": "read-only",
    "network.get_by_uuid": "read-only",
    "network.get_record": "read-only",
    "network.get_uuid": "read-only",
    "network_sriov.create": "pool-operator",
    "network_sriov.destroy": "pool-operator",
    "network_sriov.get_all_records": "read-only",
    "network_sriov.get_by_uuid": "read-only",
    "network_sriov.get_record": "read-only",
    "network_sriov.get_remaining_capacity": "read-only",
    "pool.get_all": "read-only",
    "pool.get_all_records": "read-only",
    "session.get_is_local_superuser": "read-only",
    "session.get_rbac_permissions": "read-only",
    "session.login_with_password": "read-only",
    "session.logout": "read-only",
    "task.cancel": "read-only",
    "task.create": "read-only",
    "task.destroy": "read-only",
    "task.get_all_records": "read-only",
    "task.get_record": "read-only",
}

# What is done without where it is denied.
OPTIONAL = frozenset({"VM.update_allowed_operations"})


def needed() -> str:
    """The least role that may make every one of our calls that matters."""
    return max((least for call, least in CALLS.items() if call not in OPTIONAL), key=LADDER.index)


def denied(role: str) -> list[str]:
    """Those of our calls that matter and that the role may not make."""
    return [call for call, least in CALLS.items() if call not in OPTIONAL and LADDER.index(least) > LADDER.index(role)]


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
