"""The pool as one question sees it that asks the same of it several times."""

from collections.abc import Mapping

from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from workflows.objects import VM


class Glance(PoolPort):
    """Reads VMs and their disks once, for whoever proposes something and is done in a moment."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._seen_vms: tuple[VM, ...] | None = None
        self._seen_sizes: Mapping[str, Mapping[str, int]] | None = None

    def vms(self) -> tuple[VM, ...]:
        """As they were when they were first asked for."""
        self._seen_vms = super().vms() if self._seen_vms is None else self._seen_vms
        return self._seen_vms

    def disk_sizes(self) -> Mapping[str, Mapping[str, int]]:
        """The same."""
        self._seen_sizes = super().disk_sizes() if self._seen_sizes is None else self._seen_sizes
        return self._seen_sizes
