"""The two things a step reaches the world through, as Protocols, with the values and errors that cross them.

`orchestrator.xapi` satisfies `Pool`, `orchestrator.ledger` satisfies `Ledger`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


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


@dataclass(frozen=True, slots=True)
class PortAccount:
    """What the ledger knows of a port, in VFs: *total* (the most ever accounted for in this epoch), held as *leaked*, *promised*."""

    total: int
    leaked: int
    promised: int


class Pool(Protocol):
    """The pool as steps see it. Every call may raise a `PoolError`."""

    name: str

    def look_at_ports(self) -> tuple[PortLook, ...]:
        """Look at every port of the pool that has SR-IOV. Reads begun after the call; several callers may share one reading."""

    def vm_exists(self, uuid: str) -> bool:
        """Whether the VM is there (whatever its state)."""


class Ledger(Protocol):
    """What we keep of VFs beside the pool's own truth. Durable; every call is one transaction."""

    def forget_vm(self, vm: str) -> tuple[str, ...]:
        """Remove what we keep of a VM that is gone (its VIFs, promises made to it); says what was removed, in words."""

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
