"""Keeps SR-IOV as [sriov.NAME] wants it once a person has enabled it: what drifted gets a run, or is only told."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from orchestrator.bootstrap import PoolAccess
from orchestrator.engine.engine import Engine
from orchestrator.views.care import care
from state import runs
from state.clock import of_machine
from state.store import Store
from workflows import enable, sriov
from workflows.outcome import wake_on_object
from workflows.ports import PoolError
from workflows.sriov import Sight, State
from workflows.wanted import SriovPolicy

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=5)
LOOK_UP = timedelta(seconds=2)
KINDS = ("pif", "network_sriov", "vlan")
"""A change of one of these may be drift: a host that joins brings PIFs, and one that boots plugs them."""


class Upkeep:
    """One pool's, in the process that listens to it (*is_ours*).

    What is seen for as long as *settles* is drift; a port that a host's boot is just plugging is none.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the five things it joins, and two that say when
        self,
        access: PoolAccess,
        store: Store,
        engine: Engine,
        policies: Mapping[str, SriovPolicy],
        is_ours: Callable[[], bool],
        settles: timedelta,
        clock: Callable[[], datetime] = of_machine,
    ) -> None:
        self._access = access
        self._store = store
        self._engine = engine
        self._policies = [policy for policy in policies.values() if policy.pool in (None, access.name)]
        self._is_ours = is_ours
        self._changed = threading.Event()
        self._prefixes = tuple(wake_on_object(access.name, kind, "") for kind in KINDS)
        self._told: dict[str, str] = {}
        self._settles = settles
        self._clock = clock
        self._seen: dict[str, tuple[str, datetime]] = {}

    def heard(self, keys: Iterable[str]) -> None:
        """Something changed in a pool, as the listener names it: look soon, when it may be drift."""
        if self._policies and any(key.startswith(self._prefixes) for key in keys):
            self._changed.set()

    def run(self, stop: threading.Event) -> None:
        """Look at the start, after changes and now and then, until *stop* is set."""
        if not self._policies:
            return
        since = EVERY
        while not stop.wait(LOOK_UP.total_seconds()):
            since += LOOK_UP
            if self._is_ours() and (self._changed.is_set() or since >= EVERY):
                self._changed.clear()
                since = timedelta() if self._looked() else since

    def _looked(self) -> bool:
        try:
            for policy in self._policies:
                self.see_to(policy)
        except PoolError as error:
            logger.warning("pool %s: how SR-IOV stands could not be seen: %s", self._access.name, error)
            return False
        except Exception:  # the database may be away for a moment
            logger.exception("pool %s: how SR-IOV stands could not be seen", self._access.name)
            return False
        return True

    def see_to(self, policy: SriovPolicy) -> None:
        """Look; a run for what drifted. A stuck one goes on when somebody has mended what it was stuck at. May raise PoolError."""
        sight = sriov.see(self._access.port, policy)
        cared = care(self._store, self._access.name, policy)
        if sight.is_so:
            self._told.pop(policy.name, None)
            self._seen.pop(policy.name, None)
            if cared.stuck and cared.run is not None:
                self._retry(cared.run)
            return
        drift = _drift(sight)
        if not self._settled(policy.name, drift):
            self._changed.set()
        elif cared.kept and not sriov.refusals(sight):
            self._submit(policy.name, drift)
        else:
            self._tell(policy.name, cared.why or "; ".join(sriov.refusals(sight)))

    def _settled(self, name: str, drift: str) -> bool:
        """Whether the same is seen for long enough."""
        was, since = self._seen.get(name, ("", self._clock()))
        if was != drift:
            since = self._clock()
        self._seen[name] = (drift, since)
        return self._clock() - since >= self._settles

    def _submit(self, name: str, drift: str) -> None:
        run, new = self._engine.submit(enable.request(self._access.name, name, drift))
        if new:
            logger.info("pool %s: [sriov.%s] is not so any more (%s): run %s", self._access.name, name, drift, run.id)

    def _tell(self, name: str, why: str) -> None:
        if self._told.get(name) != why:
            self._told[name] = why
            logger.warning("pool %s: [sriov.%s] is not so, and is left: %s", self._access.name, name, why)

    def _retry(self, run_id: UUID) -> None:
        try:
            self._engine.retry(run_id, by="the upkeep of SR-IOV: it is as it is wanted now")
        except runs.Impossible as error:
            logger.debug("run %s is not taken up again: %s", run_id, error)


def _drift(sight: Sight) -> str:
    """What is not so, in words."""
    ports = [f"{target.name}: {target.state}" for target in sight.targets if target.state is not State.UP and target.host.live]
    return "; ".join([*ports, *(f"{target.name}: VLAN {tag} is missing" for target, tag in sight.missing_vlans)])
