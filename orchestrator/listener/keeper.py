"""Keeps the store's knowledge of a pool's VMs in step with the mirror, and asks for the runs that the differences call for."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from orchestrator.listener import settlement, topology
from orchestrator.listener.errors import Doubt
from orchestrator.listener.holdings import Holding
from orchestrator.listener.meters import Meters
from orchestrator.listener.mirror import Change, Mirror
from orchestrator.listener.settlement import Settlement
from orchestrator.listener.topology import Topology

log = logging.getLogger(__name__)


ThereAre = Callable[[], set[str]]
"""Asks the pool anew for the uuids of its VMs."""


class Notebook(Protocol):
    """What is known of a pool, durably; only whoever holds the pool's lease may write."""

    def read(self) -> dict[str, Holding]:
        """Every VM that is known, by uuid."""

    def write(self, found: Settlement, *, now: datetime) -> None:
        """Write and remove rows, and create the runs that the causes call for: of one VM all or nothing. Raises `Deposed`."""


class Other(Protocol):
    """Whoever else finds something to do in what changed."""

    def settle_all(self, mirror: Mirror) -> None:
        """Look at everything, after a load."""

    def settle(self, mirror: Mirror, changes: Sequence[Change]) -> None:
        """Look at what changed."""


class Keeper:
    """Holds what is known in memory as well, which is the store's truth as long as nobody else writes: that is what the lease is for.

    The *others* look for VMs that are to get a VF, or to be put right, whenever this looks for those that went.
    """

    def __init__(self, notebook: Notebook, clock: Callable[[], datetime], meters: Meters, others: Sequence[Other] = ()) -> None:
        self._notebook = notebook
        self._others = others
        self._clock = clock
        self._meters = meters
        self._known: dict[str, Holding] = {}
        self._awaited: set[str] = set()
        self._topology = Topology()

    def open(self) -> None:
        """Read what is known: before the first settlement, and again after anything went wrong with the store."""
        self._known = self._notebook.read()
        self._awaited = set()

    def settle_all(self, mirror: Mirror, there_are: ThereAre, *, sure: bool) -> None:
        """Compare everything, after a load.

        Not *sure*: the load could not be checked against the pool's own counts. *there_are* is asked when in doubt.
        """
        self._topology = topology.draw(mirror)
        self._settle(mirror, settlement.concerned(self._known, mirror, self._topology), there_are, sure=sure)
        for other in self._others:
            other.settle_all(mirror)

    def settle(self, mirror: Mirror, changes: Iterable[Change], there_are: ThereAre) -> None:
        """Compare what the changes concern; everything, when they changed which networks lead to VFs."""
        real = [change for change in changes if change.before != change.after]
        if any(change.kind in topology.KINDS for change in real):
            drawn = topology.draw(mirror)
            if drawn != self._topology:
                self.settle_all(mirror, there_are, sure=True)
                return
        vms = _vms(real, mirror) | self._awaited
        if vms:
            self._settle(mirror, vms, there_are, sure=True)
        for other in self._others:
            other.settle(mirror, real)

    def _settle(self, mirror: Mirror, vms: Iterable[str], there_are: ThereAre, *, sure: bool) -> None:
        found = settlement.settle(self._known, mirror, self._topology, vms, self._awaited)
        if found.destroyed and (not sure or found.is_doubtful(len(self._known))):
            self._look_twice(found, there_are())
        if found.put or found.gone:
            self._notebook.write(found, now=self._clock())
        self._known.update((holding.vm, holding) for holding in found.put)
        for uuid in found.gone:
            del self._known[uuid]
        self._awaited = found.later
        self._meters.causes += len(found.destroyed) + len(found.reverted)
        for cause in found.destroyed:
            log.info("VM %s (%s) is gone; it had VIFs that take VFs", cause.was.name, cause.was.vm)
        for cause in found.reverted.values():
            log.info("VM %s (%s) was reverted, and has lost VIFs that take VFs", cause.was.name, cause.was.vm)

    def _look_twice(self, found: Settlement, there: set[str]) -> None:
        risen = [uuid for uuid, cause in found.gone.items() if cause is not None and uuid in there]
        seen = f"{len(found.destroyed)} of {len(self._known)} known VMs seemed to be gone; asked again, the pool has {len(risen)} of them"
        log.warning("%s", seen)
        if risen or not there:
            raise Doubt(seen)


def _vms(changes: Iterable[Change], mirror: Mirror) -> set[str]:
    """The VMs (uuids) that the changes concern: VMs, and the owners of VIFs that are still there."""
    found = set()
    for change in changes:
        if change.kind == "vm":
            found |= {record.uuid for record in (change.before, change.after) if record is not None}
        elif change.kind == "vif":
            owners = {getattr(record, "VM", "") for record in (change.before, change.after)}
            found |= {mirror.vms[ref].uuid for ref in owners if ref in mirror.vms}
    return found
