"""In which mode a VM is prepared for a backup, and what stands against it: each reason in a sentence, before anything is touched. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workflows import downtime, parking
from workflows.objects import VM, Disk, Network, PoolFacts
from workflows.policy import BackupPolicy

ONLINE, OFFLINE, FAILOVER, AUTO = "online", "offline", "failover", "auto"
MODES = (AUTO, ONLINE, OFFLINE, FAILOVER)
BY_NEED = {"nothing": ONLINE, "snapshot": OFFLINE, "job": FAILOVER}
GUARDED = ("start", "start_on")
OPERATIONS = {
    ONLINE: ("snapshot",),
    OFFLINE: ("clean_shutdown", "snapshot", *GUARDED),
    FAILOVER: ("clean_shutdown", "snapshot", *GUARDED),
}


@dataclass(frozen=True, slots=True)
class Mode:
    """The mode, and why it is that one."""

    name: str
    why: str

    @property
    def parks(self) -> bool:
        """Whether the VM's own VIFs are taken off their network."""
        return self.name != ONLINE


def choose(asked: str, vm: VM, policy: BackupPolicy) -> Mode:
    """The mode that was asked for; for auto the least that the product needs of this VM."""
    if asked != AUTO:
        return Mode(asked, "as it was asked for")
    if not vm.sriov_vifs:
        return Mode(ONLINE, "the VM has no VIF that takes a VF")
    if vm.power_state != "Running":
        return Mode(ONLINE, "the VM is halted and holds no VF")
    if policy.memory:
        return Mode(FAILOVER, "the product takes the memory too ([backup] memory), and xapi takes none of a VM that holds a VF")
    needs = {"nothing": "does not mind VFs", "snapshot": "wants no VF while the snapshot is taken", "job": "wants no VF during its job"}
    return Mode(BY_NEED[policy.needs], f"the product {needs[policy.needs]} ([backup] needs)")


def objections(vm: VM, mode: Mode, policy: BackupPolicy, facts: PoolFacts) -> list[str]:
    """Everything that stands against preparing the VM; empty when nothing does."""
    kind = list(_to_kind(vm))
    return kind or [*_to_state(vm), *_to_vusbs(vm), *_to_blocks(vm, mode, policy), *_to_protection(vm, mode, facts)]


def _to_kind(vm: VM) -> Iterator[str]:
    if vm.is_control_domain:
        yield f"{vm.name} is a control domain"
    elif vm.is_snapshot:
        yield f"{vm.name} is a snapshot: name its VM"
    elif vm.is_template:
        yield f"{vm.name} is a template: it never runs"


def _to_state(vm: VM) -> Iterator[str]:
    if vm.power_state not in ("Running", "Halted"):
        yield f"VM {vm.name} is {vm.power_state.lower()}: resume it or shut it down first"
    note = parking.own_note(vm)
    if note is not None and not note.get("untouched"):
        what = f"vfo backup release {vm.uuid}" if note.get("until") else "vfo recover"
        yield f"VM {vm.name} has its VIFs off their network since run {note['run'][:8]}: `{what}` first"


def to_disks(vm: VM, disks: Iterable[Disk], policy: BackupPolicy) -> list[str]:
    """Chains that are too long, and SRs without room for a snapshot."""
    found, wanted = [], Counter[tuple[str, int]]()
    for disk in disks:
        wanted[disk.SR_name, disk.free] += int(disk.size * policy.room)
        if disk.snapshots > policy.max_snapshots:
            found.append(
                f"disk {disk.name} of VM {vm.name} has {disk.snapshots} snapshots, more than [backup] max_snapshots ="
                f" {policy.max_snapshots}: delete some and let their chain coalesce"
            )
    short = [(name, free, size) for (name, free), size in wanted.items() if size > free]
    return found + [f"SR {name} has {free >> 20} MiB free, and [backup] room asks for {size >> 20} MiB" for name, free, size in short]


def _to_vusbs(vm: VM) -> Iterator[str]:
    if vm.vusbs:
        yield f"VM {vm.name} has {vm.vusbs} VUSBs, and xapi takes no snapshot then (VM_HAS_VUSBS): unplug them first"


def _to_blocks(vm: VM, mode: Mode, policy: BackupPolicy) -> Iterator[str]:
    needed = [*OPERATIONS[mode.name], *(["hard_shutdown"] if mode.parks and policy.shutdown == "hard" else [])]
    for operation in needed:
        why = vm.blocked_operations.get(operation)
        if why is not None and not why.startswith(downtime.WAITING):  # a start of ours passes a guard that only waits for a halt
            yield f"VM {vm.name}: {operation} is blocked: {why or 'no reason is given'}"


def _to_protection(vm: VM, mode: Mode, facts: PoolFacts) -> Iterator[str]:
    if mode.parks and facts.ha_enabled and vm.ha_restart_priority == "restart":
        yield f"VM {vm.name} is protected by HA, which would start it while its VIFs are away: end the protection, or use --mode online"


def stand_in(policy: BackupPolicy, networks: Iterable[Network]) -> Network:
    """The ordinary network for mode failover; LookupError says what is wrong with it."""
    if not policy.fallback_network:
        raise LookupError("mode failover needs an ordinary network: write [backup] fallback_network")
    found = parking.named(networks, policy.fallback_network)
    if found.is_sriov or found.is_parking:
        raise LookupError(f"[backup] fallback_network: {found.name} is no ordinary network")
    return found
