"""The pool as a step reaches it, a Protocol, with the values and errors that cross it. `orchestrator.xapi` satisfies it.

The other thing that a step reaches the world through is the ledger, in `workflows/accounts.py`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from workflows.objects import NIC, VM, Condition, Disk, Fabric, Guest, Host, Kept, Network, PoolFacts, Taking
from workflows.restoring import Restoring
from workflows.tasks import TaskOutcome
from workflows.tracking import Tracking


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
    that use the port and refer to devices that XenAPI does not have. *starting*: the attached VIFs whose VM is just being started on the
    host: their VFs are reserved and not among the remaining ones any more, but the VM is not resident yet. *network_name*: of its network.
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
    starting: tuple[User, ...] = ()
    network_name: str = ""

    def taken_by(self, vm: str) -> int:
        """How many VFs of the port the VM (a uuid) holds, or has reserved as it starts."""
        return sum(user.vm == vm for user in (*self.users, *self.starting))


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

    def blueprint(self, snapshot: str) -> dict[str, Any]:
        """All that is needed to make the snapshot's VM anew, as plain JSON (its shape: `orchestrator.xapi.blueprints`), its disks included.

        "disks" are in order of device, each with "device", "uuid", "of", "name", "size" (bytes) and more.
        """

    def condition(self, uuid: str) -> Condition:
        """As `vm`, in a single call: without its VIFs and what it holds. Every call less is time that a guest is not down."""

    def power_state(self, uuid: str) -> str:
        """The VM's power_state ("Halted", "Running", ...) in a single call, where that is all a step asks; `Gone` when it is not there."""

    def taking(self, vm: str, name: str, besides: Collection[str]) -> Taking:
        """The newest snapshot of that name that the VM has *besides* these (uuids), and what is in progress on the VM."""

    def vms(self) -> tuple[VM, ...]:
        """All real VMs (no templates, snapshots, control domains), by name. Heavy: for commands and rules, not for steps."""

    def census(self) -> tuple[tuple[VM, ...], tuple[Network, ...]]:
        """`vms` and `networks` in one: each table is read once."""

    def guests(self) -> tuple[Guest, ...]:
        """What all real VMs take when they start, by name: as `vms`, from two tables."""

    def marked(self) -> tuple[VM, ...]:
        """Every VM, template and snapshot that bears our note, tag or block, or a VIF on our parking network, by name. Heavy."""

    def host(self, uuid: str) -> Host:
        """The host; `Gone` when it is not there."""

    def hosts(self) -> tuple[Host, ...]:
        """All hosts, by name."""

    def networks(self) -> tuple[Network, ...]:
        """All networks, by name."""

    def nics(self) -> tuple[NIC, ...]:
        """All physical PIFs, by host and device."""

    def fabric(self) -> Fabric:
        """`facts`, `hosts`, `nics` and `networks` in one: each table is read once."""

    def task(self, ref: str) -> TaskOutcome:
        """How the task stands; one that ended is destroyed in the pool, so its answer must be recorded."""

    def disk_sizes(self) -> Mapping[str, Mapping[str, int]]:
        """How large the disks of every VM are: VM uuid to SR uuid to bytes. As heavy as `vms`."""

    def possible_hosts(self, vm: str) -> tuple[str, ...]:
        """Where the VM could start now (VM.get_possible_hosts), as uuids."""


class Machines(Protocol):
    """Acting on VMs and VIFs. `begin_...` returns the ref of a task at once (see workflows/tasks.py); the others are done when they return.

    A `begin_...` raises RetryLater while the VM has an operation in progress: what was begun before a crash is never begun twice.
    """

    def begin_start(self, vm: str, host: str | None = None, *, unblocking: str = "") -> str:
        """VM.start, or VM.start_on the host; blocks that have exactly the reason *unblocking* are removed right before."""

    def begin_clean_shutdown(self, vm: str) -> str:
        """VM.clean_shutdown: needs the guest's help and may never end."""

    def begin_hard_shutdown(self, vm: str) -> str:
        """VM.hard_shutdown: pulls the plug, also of a VM whose clean shutdown is under way (xapi cancels that)."""

    def begin_migrate(self, vm: str, host: str) -> str:
        """VM.pool_migrate, live."""

    def begin_snapshot(self, vm: str, name: str, *, seen: Taking | None = None) -> str:
        """VM.snapshot (disks only). *seen*: how it stood at a look right before, which is not taken twice."""

    def cancel_task(self, ref: str) -> None:
        """task.cancel; a task that is gone or refuses is no error."""

    def power_state_reset(self, vm: str) -> None:
        """VM.power_state_reset of a halted VM: what it still holds is released."""

    def block(self, vm: str, operations: Iterable[str], reason: str, *, seen: Condition | None = None) -> None:
        """Add to VM.blocked_operations; an operation that somebody else blocks is left as it is. *reason* begins with "vfo:".

        *seen*: the VM as it was looked at right before, which is not looked at again.
        """

    def unblock(self, vm: str, reason: str, *, recompute: bool = True) -> None:
        """Remove every block that has exactly this reason; *recompute* allowed_operations, unless a start follows at once."""

    def note(self, vm: str, key: str, value: str) -> None:
        """Set a key ("vfo:...") of the VM's other_config, whatever it was."""

    def erase(self, vm: str, key: str) -> None:
        """Remove a key ("vfo:...") of the VM's other_config; no error when it is not there."""

    def tag(self, vm: str, tag: str) -> None:
        """Add a tag to a VM or snapshot."""

    def untag(self, vm: str, tag: str) -> None:
        """Take a tag off a VM or snapshot; no error when it has none."""

    def create_vif(self, vm: str, network: str, device: str, mac: str, other_config: Mapping[str, str], kept: Kept = None) -> str:
        """VIF.create; the new VIF's uuid. *mac* "" lets xapi choose. Of *kept*, as of a note, it gets the `objects.SETTINGS`."""

    def destroy_vif(self, vif: str) -> None:
        """VIF.destroy; one that is gone is no error."""

    def move_vif(self, vif: str, network: str, *, seen: VM | None = None) -> None:
        """VIF.move: keeps uuid, MAC, device and the rest. Refuses (`Refused`) to move to an SR-IOV network while the VM is not halted.

        *seen*: the VM as it was looked at right before. That look counts where nobody can have started the VM since, and is taken else.
        """

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


class Pool(Looking, Machines, Networking, Hosting, Restoring, Tracking, Protocol):
    """The pool as steps see it."""
