"""Why the numbers of a port cannot be trusted at this moment, in sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.xapi.records import NULL, VIF, VM, Reading, Sriov

JUST_BOOTED = 120.0

# Operations that take, move or release VFs while they run (xapi: vm_operations).
MOVING = frozenset(
    {
        "start",
        "start_on",
        "clean_shutdown",
        "hard_shutdown",
        "shutdown",
        "clean_reboot",
        "hard_reboot",
        "pool_migrate",
        "migrate_send",
        "suspend",
        "resume",
        "resume_on",
        "checkpoint",
        "power_state_reset",
        "revert",
        "reverting",
        "destroy",
    }
)

STARTING = frozenset({"start", "start_on"})


@dataclass(frozen=True, slots=True)
class Claim:
    """A VIF on a port's networks, and its VM; None when that was destroyed while we looked."""

    vif: VIF
    vm: VM | None


def is_starting(claim: Claim, host: str) -> bool:
    """Whether the VM is being started on the host and the VIF is said to be attached to it already."""
    vif, vm = claim.vif, claim.vm
    if vm is None or not vif.currently_attached or host not in (vm.scheduled_to_be_resident_on, vm.resident_on):
        return False
    return vm.power_state == "Halted" and not STARTING.isdisjoint(vm.current_operations.values())


def of_port(ref: str, sriov: Sriov, reading: Reading) -> Iterator[str]:
    """What the port itself says: its numbers moved, it is not up, or its host is not up or was just booted."""
    before, after = reading.before[ref], reading.after[ref]
    if before != after:
        yield f"its free VFs went from {before} to {after} during the look"
    if sriov.configuration_mode == "unknown":
        yield "SR-IOV is being enabled on it, or failed to be (configuration_mode unknown)"
    if sriov.requires_reboot:
        yield "its host must be rebooted before it has VFs"
    logical = reading.pifs[sriov.logical_PIF]
    if not logical.currently_attached:
        yield "its logical PIF is not attached"
    yield from _of_host(logical.host, reading)


def _of_host(ref: str, reading: Reading) -> Iterator[str]:
    """A host that an administrator disabled stands still and is looked at; one that comes up is not: its VFs may take longer than it."""
    host = reading.hosts.get(ref)
    metrics = reading.metrics.get(host.metrics) if host else None
    if host is None or metrics is None or not metrics.live:
        yield "its host is not live"
        return
    if reading.now - host.since("boot_time") < JUST_BOOTED:
        yield f"{host.name_label} booted less than {JUST_BOOTED:.0f} s ago"
    if not host.enabled and reading.now - host.since("agent_start_time") < JUST_BOOTED:
        yield f"{host.name_label} is not enabled and its toolstack started less than {JUST_BOOTED:.0f} s ago"


def of_claim(claim: Claim, host: str) -> Iterator[str]:
    """What a VIF on one of the port's networks says: its VM takes or releases a VF of the port on *host*, or might."""
    vif, vm = claim.vif, claim.vm
    if vm is None:
        yield f"the VM of VIF {vif.uuid} was destroyed during the look"
        return
    places = {vm.resident_on, vm.scheduled_to_be_resident_on} - {NULL, ""}
    if places and host not in places:
        return
    moving = sorted(MOVING.intersection(vm.current_operations.values()))
    if moving:
        yield f"{vm.name_label} is in {', '.join(moving)}"
    elif vif.current_operations:
        yield f"VIF {vif.device} of {vm.name_label} is in {', '.join(sorted(set(vif.current_operations.values())))}"
    if vm.scheduled_to_be_resident_on not in {NULL, ""}:
        yield f"{vm.name_label} is scheduled to start on a host"
    if vm.power_state == "Halted" and vif.currently_attached and not moving:
        yield f"VIF {vif.device} of {vm.name_label} is attached although the VM is halted"


def of_holder(vm: VM, vifs: int, reading: Reading) -> Iterator[str]:
    """A VIF that was moved to an SR-IOV network under a running VM says attached and holds nothing: then the sum is wrong by one.

    The other end is VM.attached_PCIs, which may hold more than VFs, and references to devices that are gone.
    """
    held = sum(pci in reading.pcis for pci in vm.attached_PCIs)
    if held < vifs:
        yield f"{vm.name_label} has {vifs} attached SR-IOV VIFs and holds {held} PCI devices"
