"""What the pool looked like at the last answer: every mirrored object by its reference. Not thread-safe: its owner takes turns."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from orchestrator.listener import events, records


class Change(NamedTuple):
    """An object before and after; None where it was not there. Both may be equal: somebody touched it, or a field we do not mirror."""

    kind: str
    ref: str
    before: records.Record | None
    after: records.Record | None

    @property
    def uuid(self) -> str:
        """The object's uuid."""
        return cast("records.Record", self.after or self.before).uuid


class Mirror:
    """Every mirrored object of one pool, and which VIFs a VM has."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Any]] = {kind: {} for kind in records.KINDS}
        self._vifs_of: dict[str, set[str]] = {}
        self._vm_refs: dict[str, str] = {}

    @property
    def vms(self) -> Mapping[str, records.VM]:
        """VMs by reference; templates, snapshots and control domains are among them."""
        return self._tables["vm"]

    @property
    def vifs(self) -> Mapping[str, records.VIF]:
        """VIFs by reference."""
        return self._tables["vif"]

    @property
    def networks(self) -> Mapping[str, records.Network]:
        """Networks by reference."""
        return self._tables["network"]

    @property
    def pifs(self) -> Mapping[str, records.PIF]:
        """PIFs by reference."""
        return self._tables["pif"]

    @property
    def vlans(self) -> Mapping[str, records.VLAN]:
        """VLANs by reference."""
        return self._tables["vlan"]

    @property
    def hosts(self) -> Mapping[str, records.Host]:
        """Hosts by reference."""
        return self._tables["host"]

    def is_live(self, host: records.Host) -> bool:
        """Whether the pool sees that the host is up."""
        metrics: records.HostMetrics | None = self._tables["host_metrics"].get(host.metrics)
        return metrics is not None and metrics.live

    @property
    def sriovs(self) -> Mapping[str, records.NetworkSriov]:
        """network_sriov objects by reference."""
        return self._tables["network_sriov"]

    @property
    def pool_ref(self) -> str | None:
        """The reference of the pool; None before the first load."""
        return next(iter(self._tables["pool"]), None)

    def vifs_of(self, vm: str) -> Iterable[records.VIF]:
        """The VIFs of the VM with this reference, in no order."""
        return [self.vifs[ref] for ref in self._vifs_of.get(vm, ())]

    def vm_ref(self, uuid: str) -> str | None:
        """The reference of the VM with this uuid; None when there is none."""
        return self._vm_refs.get(uuid)

    def counts(self) -> dict[str, int]:
        """How many objects of each class are mirrored."""
        return {kind: len(table) for kind, table in self._tables.items()}

    def differing(self, valid_ref_counts: Mapping[str, int]) -> list[str]:
        """The classes of which the pool has another number of objects than the mirror.

        That is the only sign of lost deletions: a class remembers its latest 256 to 512 of them, and event.from reports no error when
        there were more (xapi: db_cache_types.ml).
        """
        return [kind for kind, table in self._tables.items() if valid_ref_counts.get(kind, len(table)) != len(table)]

    def apply(self, batch: Iterable[events.ObjectEvent]) -> list[Change]:
        """Take a batch over. A deletion of something never seen is no change; an object that went while the answer was made comes later."""
        changes = []
        for event in batch:
            kind, table = events.kind_of(event), self._tables[events.kind_of(event)]
            before, after = table.get(event.ref), event.snapshot
            if event.operation == "del":
                table.pop(event.ref, None)
            elif after is not None:
                table[event.ref] = after
            else:
                continue
            if before is not None or after is not None:
                changes.append(Change(kind, event.ref, before, after))
                self._index(changes[-1])
        return changes

    def load(self, kind: str, loaded: dict[str, Any]) -> list[Change]:
        """Take a whole class over, as get_all_records gave it; the changes are the differences to what was mirrored."""
        old, self._tables[kind] = self._tables[kind], loaded
        changes = [Change(kind, ref, old.get(ref), after) for ref, after in loaded.items() if old.get(ref) != after]
        changes += [Change(kind, ref, before, None) for ref, before in old.items() if ref not in loaded]
        for change in changes:
            self._index(change)
        return changes

    def _index(self, change: Change) -> None:
        if change.kind == "vif":
            before, after = cast("records.VIF | None", change.before), cast("records.VIF | None", change.after)
            if before is not None and before.VM in self._vifs_of:
                self._vifs_of[before.VM].discard(change.ref)
                if not self._vifs_of[before.VM]:
                    del self._vifs_of[before.VM]
            if after is not None:
                self._vifs_of.setdefault(after.VM, set()).add(change.ref)
        elif change.kind == "vm":
            if change.after is not None:
                self._vm_refs[change.after.uuid] = change.ref
            elif change.before is not None and self._vm_refs.get(change.before.uuid) == change.ref:
                del self._vm_refs[change.before.uuid]
