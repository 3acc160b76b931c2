"""What we keep of VFs beside the pool's own truth, as a step reaches it: a Protocol, which `orchestrator.ledger` satisfies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from workflows.ports import PortLook


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


class Ledger(Protocol):
    """What we keep of VFs beside the pool's own truth. Durable; every call is one transaction."""

    def forget_vm(self, vm: str) -> tuple[str, ...]:
        """Remove what we keep of a VM that is gone (its VIFs, promises made to it); says what was removed, in words."""

    def homes(self, vm: str) -> Sequence[Mapping[str, Any]]:
        """The VIFs that the VM was last seen to have on SR-IOV networks, as `parking.Noted`: those that are parked now, too."""

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
        What the run promised the VM before is replaced. Of several runs' promises to a VM the highest counts: each is of all it takes.
        """

    def promised_to(self, vm: str, by: UUID | None = None) -> Mapping[str, int]:
        """What is promised to the VM, by that run only if one is named: port uuid to number of VFs."""

    def keep(self, vm: str, by: UUID | None = None) -> None:
        """What the run *by* promised to the VM (None, when the VM is gone: any run) is promised no more. No error if there was nothing."""
