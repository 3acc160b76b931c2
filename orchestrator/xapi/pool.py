"""The pool as steps see it, over the client."""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import TypeVar

from orchestrator.xapi import decode, looks, records
from orchestrator.xapi.blueprints import Blueprints
from orchestrator.xapi.client import Client
from orchestrator.xapi.hosting import Hosting
from orchestrator.xapi.interfaces import Interfaces
from orchestrator.xapi.networking import Networking
from orchestrator.xapi.reading import FEW, READINGS
from orchestrator.xapi.records import PCI, PIF, VIF, VLAN, VM, Host, HostMetrics, Network, Reading, Sriov
from orchestrator.xapi.restoring import Restorer
from orchestrator.xapi.sharing import Shared
from orchestrator.xapi.sizes import Sizes
from orchestrator.xapi.tracker import Tracker
from workflows.ports import Gone, PortLook, Transient

T = TypeVar("T")

AT_ONCE = 8  # records that a call for all of them takes in the time of one call for one: a pool has thousands, and they are large


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


CALLS_OF_A_LOOK = (
    "pool.get_all_records",
    "host.get_servertime",
    *(f"{name}.get_all_records" for name in ("network_sriov", "PIF", "VLAN", "VIF", "network", "host", "host_metrics", "PCI")),
    "VM.get_record",
    "network_sriov.get_remaining_capacity",
)


class PoolPort(Interfaces, Blueprints, Tracker, Networking, Hosting, Restorer, Sizes):
    """Satisfies `workflows.ports.Pool`; shared by all threads."""

    def __init__(self, client: Client, clock: Callable[[], datetime] = system_clock) -> None:
        super().__init__(client)
        self._clock = clock
        self._looks = Shared(self._look)

    def look_at_ports(self) -> tuple[PortLook, ...]:
        """What is seen of every port now; runs that look at once share a reading (see `sharing`)."""
        return self._looks.get()

    def _look(self) -> tuple[PortLook, ...]:
        """A reading of one coordinator under one session: what was read before and after a restart does not belong together."""
        for _ in range(READINGS):
            reading, epoch = self._read()
            if epoch == self._client.epoch:
                return looks.looks(reading, self._clock())
        raise Transient("COORDINATOR_CHANGED", (self.name,))

    def _read(self) -> tuple[Reading, int]:
        """Capacities, everything that explains them, and the capacities again; with the epoch in which that began."""
        sriovs = self._all(Sriov, "network_sriov")
        epoch = self._client.epoch
        before = self._capacities(sriovs)
        pifs, vlans = self._all(PIF, "PIF"), self._all(VLAN, "VLAN")
        networks = records.all_sriov_networks(sriovs, pifs, vlans)
        every = self._all(VIF, "VIF")
        vifs = {ref: vif for ref, vif in every.items() if vif.network in networks}
        reading = Reading(
            now=self._server_time(),
            before=before,
            sriovs=sriovs,
            pifs=pifs,
            networks=self._all(Network, "network"),
            vlans=vlans,
            hosts=self._all(Host, "host"),
            metrics=self._all(HostMetrics, "host_metrics"),
            pcis=self._all(PCI, "PCI"),
            vifs=vifs,
            vms=self._vms(
                {vif.VM for vif in vifs.values() if vif.currently_attached or vif.current_operations},
                of=len({vif.VM for vif in every.values()}),
            ),
            after=self._capacities(sriovs),
        )
        for ref, host in reading.hosts.items():
            self._refs.learn("host", ref, host.uuid)
        return reading, epoch

    def _all(self, kind: type[T], name: str) -> dict[str, T]:
        return self._client.fetch(dict[str, kind], f"{name}.get_all_records")  # type: ignore[valid-type]

    def _capacities(self, sriovs: Iterable[str]) -> dict[str, int]:
        """How many VFs are free, by network_sriov (xapi_pci.ml: get_idle_vf_nums); one that went meanwhile is left out."""
        found: dict[str, int] = {}
        for ref in sriovs:
            try:
                found[ref] = self._client.fetch(int, "network_sriov.get_remaining_capacity", ref)
            except Gone:
                continue
        return found

    def _vms(self, refs: Collection[str], *, of: int) -> dict[str, VM]:
        """The VMs that hold VFs or are about to; *of*: how many VMs have VIFs. All in one call where they are not few among those."""
        if len(refs) > max(FEW, of / AT_ONCE):
            return {ref: row for ref, row in self._all(VM, "VM").items() if ref in refs}
        found: dict[str, VM] = {}
        for ref in refs:
            try:
                found[ref] = self._client.fetch(VM, "VM.get_record", ref)
            except Gone:
                continue
        return found

    def _server_time(self) -> float:
        """The coordinator's clock: ours may be wrong, and hosts write their boot times by theirs."""
        coordinator = next(iter(self._client.fetch(dict[str, records.Pool], "pool.get_all_records").values())).master
        return decode.moment(self._client.fetch(str, "host.get_servertime", coordinator)).timestamp()
