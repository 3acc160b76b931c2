"""What `vfo reclaim` would do to a port, said before anything is touched. Pure."""

from workflows import accounting
from workflows.accounts import PortAccount
from workflows.plan import Plan
from workflows.policy import ReclaimPolicy
from workflows.ports import PortLook

BLOCK, UNBLOCK = "VM.add_to_blocked_operations", "VM.remove_from_blocked_operations"
CALLS = {
    "power-state-reset": ("VM.power_state_reset",),
    "reinit-port": (BLOCK, "PIF.unplug", "PIF.plug", UNBLOCK, "VM.update_allowed_operations"),
    "restart-toolstack": ("host.restart_agent",),
    "reboot-in-window": ("host.disable", "host.evacuate", "VM.clean_shutdown", "host.reboot", "host.enable", "VM.start"),
}
WORDS = {
    "power-state-reset": "reset the power state of the halted VMs that most likely hold them, one after the other",
    "reinit-port": "unplug and plug the port's logical PIF",
    "restart-toolstack": "restart the coordinator's toolstack: guests run on, connections and tasks are cut",
    "reboot-in-window": "reboot the host in a maintenance window, its VMs brought to safety and back",
}


def of_port(look: PortLook, account: PortAccount, policy: ReclaimPolicy) -> Plan:
    """The run for a port: the numbers, the looks, and the cures that would follow, as far as they are allowed and can be."""
    title = f"reclaim-vfs of port {look.name}"
    numbers = accounting.in_words(look, account)
    if not look.attached:
        return Plan(title, (f"{look.name}: its logical PIF is not attached: it has no VFs, and there is nothing to free",))
    if look.in_flight:
        return Plan(title, (numbers, f"wait, for {policy.settle} at most, until the numbers can be trusted: {'; '.join(look.in_flight)}"))
    if accounting.missing(look, account) <= account.leaked:
        return Plan(title, (numbers, "nothing is lost that no other run holds: done"))
    looks = f"look {policy.looks} times over {policy.grace}; if all of them say that VFs are lost, hold them, and tell the observers"
    cures = [name for name in CALLS if name in policy.allow and (name != "reinit-port" or look.mode == "sysfs")]
    sentences = [f"{WORDS[name]}{_when(name, look)}; look, and end here if the numbers add up ({name})" for name in cures]
    calls = [call for name in cures for call in CALLS[name]]
    return Plan(title, (numbers, looks, *sentences, "what is still lost needs a person"), tuple(calls))


def _when(name: str, look: PortLook) -> str:
    if name != "reinit-port":
        return ""
    users = ", ".join(dict.fromkeys(user.vm_name for user in look.users))
    return f" when nobody uses it (now {users})" if users else ", which nobody uses now"
