"""The two things a step reaches the world through, as Protocols, with the values and errors that cross them.

`orchestrator.xapi` satisfies `Pool`, `orchestrator.ledger` satisfies `Ledger`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from workflows.objects import NIC, VM, Condition, Disk, Host, Network, PoolFacts
from workflows.tasks import TaskOutcome


class PoolError(Exception):
    """Something the pool answered, or did not: *code* is XenAPI's error code, *details* its parameters."""

    def __init__(self, code: str, details: tuple[str, ...] = (), message: str = "") -> None:
        super().__init__(message or " ".join((code, *details)))
        self.code = code
        self.details = details


class Transient(PoolError):
    """The pool could not be reached or was restarting: the same call later may succeed; it took no effect."""


class Unknown(PoolError):
    """The connection was cut after the call was sent: it may or may not have taken effect. Look before repeating."""


class Busy(PoolError):
    """The object is in use by another operation: later."""


class Gone(PoolError):
    """The object does not exist any more."""


class Refused(PoolError):
    """The pool's state forbids it: the same call will fail until something else changes."""


class Denied(PoolError):
    """Our role does not allow it."""


class LockedOut(Denied):
    """The pool does not let us in, or is not the one that was pinned: nothing can be done there until a person has mended it."""


class Bug(PoolError):
    """The call itself was wrong (unknown method, bad type): ours to mend."""


@dataclass(frozen=True, slots=True)
class User:
    """A VIF that holds a VF of a port, and the VM it belongs to; uuids and names as in XenAPI."""

    vm: str
    vm_name: str
    vif: str
    device: str


@dataclass(frozen=True, slots=True)
class PortLook:
    """What was seen of one port (a NIC of a host with SR-IOV enabled) at one moment.

    *port* is the uuid of its network_sriov, *name* is "host/device", *host* and *network* are uuids. *attached*: its logical PIF is.
    *mode* is the configuration_mode. *remaining* is network_sriov.get_remaining_capacity. *users* are the attached VIFs on its network
    (VLANs on it included) whose VM is resident on the host. *in_flight* says in sentences why the numbers cannot be trusted at this
    moment; empty when they can. *records* is how many VFs the host's PCI records give this port, None where XenAPI cannot tell.
    *epoch* changes whenever the VFs were made anew (plugged, enabled, host booted): what was learned before does not count.
    *networks* are all networks (uuids) on which a VIF takes a VF of this port: its own, and those of the VLANs on top of it.
    *logical_PIF* is its uuid; *unplugged*: it is not attached, and neither a reboot nor a failed enabling is the reason.
    *addresses* are the PCI addresses of the VFs of the port's card: for people, they may change with every boot. *dangling* names the VMs
    that use the port and refer to devices that XenAPI does not have.
    """

    port: str
    name: str
    host: str
    network: str
    at: datetime
    attached: bool
    mode: str
    remaining: int
    users: tuple[User, ...]
    in_flight: tuple[str, ...]
    records: int | None
    epoch: str
    networks: tuple[str, ...] = ()
    logical_PIF: str = ""
    unplugged: bool = False
    addresses: tuple[str, ...] = ()
    dangling: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortAccount:
    """What the ledger knows of a port, in VFs: *total* (the most ever accounted for in this epoch), held as *leaked*, *promised*.

    *promised* counts those of the free ones that are promised to VMs: what a VM holds already of its promise is left out.
    *most* is the highest total of any epoch; *changed* says what was other before its VFs were made anew (see `workflows.oddities`).
    """

    total: int
    leaked: int
    promised: int
    most: int = field(default=0, compare=False)
    changed: str = field(default="", compare=False)  # both are said to people and decide nothing


class Looking(Protocol):
    """Reading a pool. Everything is read anew at every call, from the server, never from a mirror. Every call may raise a `PoolError`."""

    name: str

    def look_at_ports(self) -> tuple[PortLook, ...]:
        """Look at every port of the pool that has SR-IOV. Reads begun after the call; several callers may share one reading."""

    def vm_exists(self, uuid: str) -> bool:
        """Whether the VM is there (whatever its state)."""

    def facts(self) -> PoolFacts:
        """The pool itself."""

    def vm(self, uuid: str) -> VM:
        """The VM, template or snapshot; `Gone` when it is not there."""

    def disks(self, vm: str) -> tuple[Disk, ...]:
        """The disks of a VM or snapshot (CDs left out), in order of device."""

    def condition(self, uuid: str) -> Condition:
        """As `vm`, in a single call: without its VIFs and what it holds. Every call less is time that a guest is not down."""

    def power_state(self, uuid: str) -> str:
        """The VM's power_state ("Halted", "Running", ...) in a single call, where that is all a step asks; `Gone` when it is not there."""

    def vms(self) -> tuple[VM, ...]:
        """All real VMs (no templates, snapshots, control domains), by name. Heavy: for commands and rules, not for steps."""

    def marked(self) -> tuple[VM, ...]:
        """Every VM, template and snapshot that bears a mark of ours, by name. As heavy as `vms`.

        A mark is a note "vfo:...", the tag "vfo", a block "vfo: ...", a VIF on our parking network.
        """

    def host(self, uuid: str) -> Host:
        """The host; `Gone` when it is not there."""

    def hosts(self) -> tuple[Host, ...]:
        """All hosts, by name."""

    def networks(self) -> tuple[Network, ...]:
        """All networks, by name."""

    def nics(self) -> tuple[NIC, ...]:
        """All physical PIFs, by host and device."""

    def task(self, ref: str) -> TaskOutcome:
        """How the task stands; one that ended is destroyed in the pool, so its answer must be recorded."""

    def possible_hosts(self, vm: str) -> tuple[str, ...]:
        """Where the VM could start now (VM.get_possible_hosts), as uuids."""


class Machines(Protocol):
    """Acting on VMs and VIFs. `begin_...` returns the ref of a task at once (see workflows/tasks.py); the others are done when they return.

    A `begin_...` raises RetryLater while the VM has an operation in progress: what was begun before a crash is never begun twice.
    """

    def begin_start(self, vm: str, host: str | None = None) -> str:
        """VM.start, or VM.start_on the host."""

    def begin_clean_shutdown(self, vm: str) -> str:
        """VM.clean_shutdown: needs the guest's help and may never end."""

    def begin_hard_shutdown(self, vm: str) -> str:
        """VM.hard_shutdown: pulls the plug, also of a VM whose clean shutdown is under way (xapi cancels that)."""

    def begin_migrate(self, vm: str, host: str) -> str:
        """VM.pool_migrate, live."""

    def begin_snapshot(self, vm: str, name: str) -> str:
        """VM.snapshot (disks only)."""

    def cancel_task(self, ref: str) -> None:
        """task.cancel; a task that is gone or refuses is no error."""

    def power_state_reset(self, vm: str) -> None:
        """VM.power_state_reset of a halted VM: what it still holds is released."""

    def block(self, vm: str, operations: Iterable[str], reason: str) -> None:
        """Add to VM.blocked_operations; an operation that somebody else blocks is left as it is. *reason* begins with "vfo:"."""

    def unblock(self, vm: str, reason: str, *, recompute: bool = True) -> None:
        """Remove every block that has exactly this reason; *recompute* allowed_operations, unless a start follows at once."""

    def note(self, vm: str, key: str, value: str) -> None:
        """Set a key ("vfo:...") of the VM's other_config, whatever it was."""

    def erase(self, vm: str, key: str) -> None:
        """Remove a key ("vfo:...") of the VM's other_config; no error when it is not there."""

    def tag(self, vm: str, tag: str) -> None:
        """Add a tag to a VM or snapshot."""

    def create_vif(self, vm: str, network: str, device: str, mac: str, other_config: Mapping[str, str]) -> str:
        """VIF.create; the new VIF's uuid. *mac* "" lets xapi choose."""

    def destroy_vif(self, vif: str) -> None:
        """VIF.destroy; one that is gone is no error."""

    def move_vif(self, vif: str, network: str) -> None:
        """VIF.move: keeps uuid, MAC, device and the rest. Refuses (`Refused`) to move to an SR-IOV network while the VM is not halted."""

    def destroy_snapshot(self, snapshot: str) -> None:
        """Destroy a snapshot that bears the tag "vfo", with its disks; `Refused` when it is not ours. One that is gone is no error."""


class Networking(Protocol):
    """Acting on networks, PIFs and SR-IOV."""

    def create_network(self, name: str, other_config: Mapping[str, str]) -> str:
        """network.create; the uuid."""

    def destroy_network(self, network: str) -> None:
        """network.destroy, only when no VIF and no PIF is on it (xapi would silently destroy VIFs of halted VMs): else `Refused`."""

    def begin_enable(self, pif: str, network: str) -> str:
        """network_sriov.create."""

    def begin_disable(self, sriov: str) -> str:
        """network_sriov.destroy."""

    def begin_plug(self, pif: str) -> str:
        """PIF.plug."""

    def begin_unplug(self, pif: str) -> str:
        """PIF.unplug; never of a PIF that is a management interface."""

    def create_vlan(self, logical_PIF: str, tag: int, network: str) -> None:
        """VLAN.create on top of a logical PIF; one that is there already is no error."""

    def remove_vlan(self, logical_PIF: str, tag: int) -> None:
        """VLAN.destroy of the VLAN with this tag on the logical PIF; none is no error. `Refused` while a running VM uses it."""


class Hosting(Protocol):
    """Acting on hosts."""

    def disable_host(self, host: str) -> None:
        """host.disable: no VM starts there any more."""

    def enable_host(self, host: str) -> None:
        """host.enable; `Transient` while it is still booting."""

    def evacuation_blockers(self, host: str) -> Mapping[str, tuple[str, ...]]:
        """host.get_vms_which_prevent_evacuation: VM uuid to [code, parameters]."""

    def begin_evacuate(self, host: str) -> str:
        """host.evacuate: all or nothing."""

    def begin_reboot(self, host: str) -> str:
        """host.reboot: reboots under running VMs; only after looking that none is there (`Refused` otherwise, and when enabled)."""

    def restart_toolstack(self, host: str) -> None:
        """host.restart_agent: guests go on, connections and tasks are cut; being cut itself is no error."""

    def note_host(self, host: str, key: str, value: str | None) -> None:
        """Set or (None) remove a key ("vfo:...") of the host's other_config."""


class Pool(Looking, Machines, Networking, Hosting, Protocol):
    """The pool as steps see it."""


class Ledger(Protocol):
    """What we keep of VFs beside the pool's own truth. Durable; every call is one transaction."""

    def forget_vm(self, vm: str) -> tuple[str, ...]:
        """Remove what we keep of a VM that is gone (its VIFs, promises made to it); says what was removed, in words."""

    def last_ports(self) -> Mapping[str, tuple[str, ...]]:
        """The VMs (uuids) with VIFs that take VFs, as far as known, each with the ports it takes or last took them of; newest first."""

    def learn(self, look: PortLook) -> PortAccount:
        """Take a look into account: a trusted one may raise the total; a new epoch begins anew. The account after it."""

    def account(self, look: PortLook) -> PortAccount:
        """The account as `learn` would leave it; nothing is kept."""

    def hold_leaks(self, port: str, wanted: int, run_id: UUID) -> int:
        """Make *run_id* the holder of up to *wanted* leaked VFs that no other run of the port holds yet. How many it holds now.

        *wanted* is how many are leaked in all. Decided in one transaction, so that two runs never hold the same VF.
        """

    def let_go(self, run_id: UUID) -> None:
        """The run holds no VF as leaked any more, of any port."""

    def holders(self, port: str) -> tuple[UUID, ...]:
        """The runs that hold leaked VFs of the port, the oldest first."""

    def promise(self, look: PortLook, vm: str, count: int, run_id: UUID) -> bool:
        """Promise *count* VFs of the port to the VM, if they are there besides what is promised to others; whether they are.

        Those that the VM holds at the look count as there: they are promised before they are taken off. Decided in one transaction.
        A promise to the same VM on the same port is replaced; one that another run gave it is taken over.
        """

    def promised_to(self, vm: str) -> Mapping[str, int]:
        """What is promised to the VM: port uuid to number of VFs."""

    def keep(self, vm: str) -> None:
        """What was promised to the VM is promised no more: it holds its VFs, or does not want them. No error when there was nothing."""
