"""What event.from answers, as types. A class that is not subscribed to never comes (xapi: event.from), so every one has its type here."""

from typing import Literal

import msgspec

from orchestrator.listener import records


class Event(msgspec.Struct, frozen=True, gc=False, tag_field="class"):
    """A change of one object: its newest record as *snapshot*, none when it is gone (or went while the answer was made).

    Events are states, not a log: several changes are one event, and what came and went in between makes none (xapi: event.from).
    """

    operation: Literal["add", "mod", "del"]
    ref: str


class PoolEvent(Event, frozen=True, tag="pool"):
    """Of the pool."""

    snapshot: records.Pool | None = None


class HostEvent(Event, frozen=True, tag="host"):
    """Of a host."""

    snapshot: records.Host | None = None


class HostMetricsEvent(Event, frozen=True, tag="host_metrics"):
    """Of a host's metrics."""

    snapshot: records.HostMetrics | None = None


class NetworkEvent(Event, frozen=True, tag="network"):
    """Of a network."""

    snapshot: records.Network | None = None


class NetworkSriovEvent(Event, frozen=True, tag="network_sriov"):
    """Of SR-IOV on a port."""

    snapshot: records.NetworkSriov | None = None


class PIFEvent(Event, frozen=True, tag="pif"):
    """Of a PIF."""

    snapshot: records.PIF | None = None


class VLANEvent(Event, frozen=True, tag="vlan"):
    """Of a VLAN."""

    snapshot: records.VLAN | None = None


class PCIEvent(Event, frozen=True, tag="pci"):
    """Of a PCI device."""

    snapshot: records.PCI | None = None


class VIFEvent(Event, frozen=True, tag="vif"):
    """Of a VIF."""

    snapshot: records.VIF | None = None


class VMEvent(Event, frozen=True, tag="vm"):
    """Of a VM, template, snapshot or control domain."""

    snapshot: records.VM | None = None


class TaskEvent(Event, frozen=True, tag="task"):
    """Of a task."""

    snapshot: records.Task | None = None


ObjectEvent = (
    PoolEvent | HostEvent | HostMetricsEvent | NetworkEvent | NetworkSriovEvent | PIFEvent | VLANEvent | PCIEvent | VIFEvent | VMEvent
)


class Batch(msgspec.Struct, frozen=True):
    """One answer about objects. *valid_ref_counts*: how many objects of every class are alive, subscribed to or not."""

    events: list[ObjectEvent]
    valid_ref_counts: dict[str, int]
    token: str


class TaskBatch(msgspec.Struct, frozen=True):
    """One answer about tasks."""

    events: list[TaskEvent]
    valid_ref_counts: dict[str, int]
    token: str


def kind_of(event: ObjectEvent) -> str:
    """The class of the event's object, in lower case."""
    return str(event.__struct_config__.tag)
