"""Reading a pool for steps, commands and rules: each answer is made of records read for it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

from orchestrator.xapi import nics, rows, sources, views
from orchestrator.xapi.client import Client
from orchestrator.xapi.nics import Tables
from orchestrator.xapi.port import Port
from orchestrator.xapi.records import HostMetrics, Sriov
from orchestrator.xapi.sharing import Shared
from orchestrator.xapi.sources import AllAtOnce, OneByOne
from workflows.objects import NIC, VM, Condition, Disk, Fabric, Guest, Host, Network, PoolFacts, Taking
from workflows.ports import Gone, Transient
from workflows.tasks import TaskOutcome

T = TypeVar("T")

READINGS = 3
FEW = 16


def _is_real(row: rows.VM, _: object = None) -> bool:
    return not (row.is_a_template or row.is_a_snapshot or row.is_control_domain)


def _guest_tables(client: Client) -> tuple[dict[str, rows.VM], dict[str, rows.VIF]]:
    vms = client.fetch(dict[str, rows.VM], "VM.get_all_records")
    return vms, client.fetch(dict[str, rows.VIF], "VIF.get_all_records")


class Reader(Port):
    """The readings of `workflows.ports.Looking`, but for the looks at ports."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._source = OneByOne(client, self._refs)
        # readings of whole tables are shared by those who ask at once: a hundred runs that begin together cost two of each
        self._tables = Shared(lambda: AllAtOnce(client))
        self._guest_tables = Shared(lambda: _guest_tables(client))
        self._topology = Shared(lambda: sources.topology(client))
        self._pools = Shared(lambda: client.fetch(dict[str, rows.Pool], "pool.get_all_records"))

    def vm_exists(self, uuid: str) -> bool:
        """Whether the VM is there (xapi: VM.get_by_uuid answers UUID_INVALID when it is not)."""
        try:
            self._refs.ask("VM", uuid)
        except Gone:
            return False
        return True

    def condition(self, uuid: str) -> Condition:
        """The VM as its own record says, in one call (one more for a snapshot: whether its VM is there)."""

        def act(ref: str) -> Condition:
            row = self._client.fetch(rows.VM, "VM.get_record", ref)
            self._refs.learn("VM", ref, row.uuid)
            return views.condition(row, self._source)

        return self._on("VM", uuid, act)

    def power_state(self, uuid: str) -> str:
        """VM.get_power_state, in one call."""
        return self._on("VM", uuid, lambda ref: self._client.fetch(str, "VM.get_power_state", ref))

    def taking(self, vm: str, name: str, besides: Collection[str]) -> Taking:
        """A snapshot of that name, by the VM's record and those of its snapshots that are not *besides*; the newest by its time."""

        def act(ref: str) -> Taking:
            row = self._client.fetch(rows.VM, "VM.get_record", ref)
            unknown = [snapshot for snapshot in row.snapshots if self._refs.known_uuid(snapshot) not in besides]
            taken = [found for found in map(self._snapshot, unknown) if found and found.name_label == name and found.uuid not in besides]
            newest = max(taken, key=lambda found: found.snapshot_time, default=None)
            return Taking(newest.uuid if newest else None, tuple(sorted(set(row.current_operations.values()))))

        return self._on("VM", vm, act)

    def _snapshot(self, ref: str) -> rows.VM | None:
        try:
            row = self._client.fetch(rows.VM, "VM.get_record", ref)
        except Gone:
            return None
        self._refs.learn("VM", ref, row.uuid)
        return row

    def facts(self) -> PoolFacts:
        """The pool itself."""
        return self._facts(self._pool())

    def _facts(self, pool: rows.Pool) -> PoolFacts:
        return PoolFacts(
            uuid=pool.uuid,
            name=pool.name_label,
            coordinator=self._refs.uuid("host", pool.master),
            ha_enabled=pool.ha_enabled,
            restricted=pool.restrictions.get(views.NO_LICENCE) == "true",
            default_SR=self._refs.uuid_if_there("SR", pool.default_SR),
        )

    def vm(self, uuid: str) -> VM:
        """The VM and what belongs to it: one call for its record, one for each VIF, network and device."""
        return self._on("VM", uuid, self._vm)

    def _vm(self, ref: str) -> VM:
        for _ in range(READINGS):
            row = self._client.fetch(rows.VM, "VM.get_record", ref)
            self._refs.learn("VM", ref, row.uuid)
            try:
                return views.vm(row, self._source)
            except Gone:  # a VIF or network went between the two: the VM's record names it no more, or the VM is gone as well
                continue
        raise Transient("VM_CHANGES", (ref,))

    def disks(self, vm: str) -> tuple[Disk, ...]:
        """Its disks, each with its SR; one that went meanwhile is left out."""
        row = self._on("VM", vm, lambda ref: self._client.fetch(rows.VM, "VM.get_record", ref))
        places = sorted(
            (place for place in map(self._place, row.VBDs) if place), key=lambda place: (len(place.userdevice), place.userdevice)
        )
        srs: dict[str, rows.SR] = {}
        return tuple(disk for disk in (self._disk(place.VDI, srs) for place in places if place.type == "Disk") if disk)

    def _place(self, vbd: str) -> rows.VBD | None:
        try:
            return self._client.fetch(rows.VBD, "VBD.get_record", vbd)
        except Gone:
            return None

    def _disk(self, vdi: str, srs: dict[str, rows.SR]) -> Disk | None:
        try:
            row = self._client.fetch(rows.VDI, "VDI.get_record", vdi)
            if row.SR not in srs:
                srs[row.SR] = self._client.fetch(rows.SR, "SR.get_record", row.SR)
        except Gone:
            return None
        return views.disk(row, srs[row.SR])

    def vms(self) -> tuple[VM, ...]:
        """All real VMs, by name, from a reading of every table."""
        return self._of_all(_is_real)[0]

    def census(self) -> tuple[tuple[VM, ...], tuple[Network, ...]]:
        """All real VMs and all networks, each by name, of one reading."""
        vms, source = self._of_all(_is_real)
        return vms, self._networks(*source.topology)

    def guests(self) -> tuple[Guest, ...]:
        """All real VMs, by name, from their records and those of VIFs; VIFs and networks that went meanwhile are left out."""
        vms, vifs = self._guest_tables.get()
        found = [
            Guest(
                row.uuid,
                row.name_label,
                row.power_state,
                row.blocked_operations,
                tuple(self._networks_of(row, vifs)),
                tuple(vifs[ref].MAC.lower() for ref in row.VIFs if ref in vifs),
            )
            for row in filter(_is_real, vms.values())
        ]
        return tuple(sorted(found, key=lambda guest: (guest.name, guest.uuid)))

    def _networks_of(self, row: rows.VM, vifs: dict[str, rows.VIF]) -> Iterator[str]:
        for ref in row.VIFs:
            network = self._refs.uuid_if_there("network", vifs[ref].network) if ref in vifs else None
            if network is not None:
                yield network

    def marked(self) -> tuple[VM, ...]:
        """Those with a mark of ours, snapshots and templates too, by name, from a reading of every table."""
        return self._of_all(views.is_marked)[0]

    def _of_all(self, wanted: Callable[[rows.VM, AllAtOnce], bool]) -> tuple[tuple[VM, ...], AllAtOnce]:
        """The VMs that are wanted, by name, and the reading that they are of."""
        for _ in range(READINGS):
            source = self._tables.get()
            try:
                found = [views.vm(row, source) for row in source.vms.values() if wanted(row, source)]
            except Gone:
                continue
            return tuple(sorted(found, key=lambda vm: (vm.name, vm.uuid))), source
        raise Transient("POOL_CHANGES", (self.name,))

    def host(self, uuid: str) -> Host:
        """The host."""
        return self._on("host", uuid, self._host)

    def _host(self, ref: str) -> Host:
        row = self._client.fetch(rows.Host, "host.get_record", ref)
        try:
            live = self._client.fetch(HostMetrics, "host_metrics.get_record", row.metrics).live
        except Gone:  # as xapi itself takes a host without metrics
            live = False
        return views.host(row, live=live, is_coordinator=self._pool().master == ref, residents=self._guests(row))

    def hosts(self) -> tuple[Host, ...]:
        """All hosts, by name."""
        coordinator = self._pool().master
        metrics = self._client.fetch(dict[str, HostMetrics], "host_metrics.get_all_records")
        return self._hosts(self._all_hosts(), metrics, coordinator)

    def _all_hosts(self) -> dict[str, rows.Host]:
        return self._client.fetch(dict[str, rows.Host], "host.get_all_records")

    def _hosts(self, found: dict[str, rows.Host], metrics: dict[str, HostMetrics], coordinator: str) -> tuple[Host, ...]:
        self._learn_vms(vm for row in found.values() for vm in row.resident_VMs)
        hosts = [
            views.host(
                row,
                live=row.metrics in metrics and metrics[row.metrics].live,
                is_coordinator=ref == coordinator,
                residents=self._guests(row),
            )
            for ref, row in found.items()
        ]
        return tuple(sorted(hosts, key=lambda host: (host.name, host.uuid)))

    def _guests(self, host: rows.Host) -> tuple[str, ...]:
        """The uuids of the VMs on the host, its control domain left out."""
        guests = [vm for vm in host.resident_VMs if vm != host.control_domain]
        self._learn_vms(guests)
        return tuple(uuid for uuid in (self._refs.uuid_if_there("VM", ref) for ref in guests) if uuid)

    def _learn_vms(self, refs: Iterable[str]) -> None:
        """Where many uuids are to be asked for, they are asked for at once."""
        if sum(self._refs.known_uuid(ref) is None for ref in refs) > FEW:
            for ref, row in self._client.fetch(dict[str, rows.VM], "VM.get_all_records").items():
                self._refs.learn("VM", ref, row.uuid)

    def networks(self) -> tuple[Network, ...]:
        """All networks, by name."""
        return self._networks(*self._topology.get())

    @staticmethod
    def _networks(found: dict[str, rows.Network], pifs: dict[str, rows.PIF], vlans: dict[str, rows.VLAN]) -> tuple[Network, ...]:
        seen = [views.network(row, is_sriov=sources.is_sriov(row, pifs, vlans)) for row in found.values()]
        return tuple(sorted(seen, key=lambda network: (network.name, network.uuid)))

    def nics(self) -> tuple[NIC, ...]:
        """All physical PIFs, by host and device."""
        return nics.nics(self._nic_tables())

    def _nic_tables(self) -> Tables:
        networks, pifs, vlans = self._topology.get()
        return Tables(
            pifs=pifs,
            vlans=vlans,
            networks=networks,
            sriovs=self._client.fetch(dict[str, Sriov], "network_sriov.get_all_records"),
            hosts=self._all_hosts(),
            pcis=self._client.fetch(dict[str, rows.PCI], "PCI.get_all_records"),
        )

    def fabric(self) -> Fabric:
        """The pool and what it consists of; hosts and their metrics are read last: what is said of a port is no newer than its host."""
        tables = self._nic_tables()
        metrics = self._client.fetch(dict[str, HostMetrics], "host_metrics.get_all_records")
        pool = self._pool()
        return Fabric(
            facts=self._facts(pool),
            hosts=self._hosts(tables.hosts, metrics, pool.master),
            nics=nics.nics(tables),
            networks=self._networks(tables.networks, tables.pifs, tables.vlans),
        )

    def task(self, ref: str) -> TaskOutcome:
        """How the task stands; one that ended is destroyed in the pool."""
        return self._client.task_outcome(ref)

    def possible_hosts(self, vm: str) -> tuple[str, ...]:
        """Where the VM could start now, as xapi sees it (VM.get_possible_hosts)."""
        refs = self._on("VM", vm, lambda ref: self._client.fetch(list[str], "VM.get_possible_hosts", ref))
        return tuple(uuid for uuid in (self._refs.uuid_if_there("host", ref) for ref in refs) if uuid)

    def _pool(self) -> rows.Pool:
        return next(iter(self._pools.get().values()))
