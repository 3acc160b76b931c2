"""Finds the VMs that an `[[assign]]` rule gives a VF, by their tags, and asks for their runs: each VM once for each rule."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from orchestrator.listener import holdings, records
from orchestrator.listener.errors import Deposed
from orchestrator.listener.mirror import Change, Mirror
from state import leases, runs, several
from state.leases import Lease
from state.store import Session, Store
from workflows import assign, release, tagged
from workflows.outcome import Request
from workflows.tagged import Rule

log = logging.getLogger(__name__)

AT_ONCE = 200


class Desk(Protocol):
    """Where runs are asked for."""

    def ask(self, wanted: Sequence[Request], *, now: datetime) -> None:
        """Create the runs, but for VMs that had one before, or that a VF was taken from. Raises `Deposed`."""


class Tagged:
    """One pool's. What was asked for once in this process is not asked for again; what was asked for before it began, the desk knows."""

    def __init__(self, pool: str, rules: Iterable[Rule], desk: Desk, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._rules = tuple(rule for rule in rules if rule.pool in (None, pool))
        self._desk = desk
        self._clock = clock
        self._asked: set[str] = set()
        self._said: set[str] = set()

    def settle_all(self, mirror: Mirror) -> None:
        """Look at every VM, after a load."""
        if self._rules:
            self._settle(mirror, mirror.vms)

    def settle(self, mirror: Mirror, changes: Iterable[Change]) -> None:
        """Look at the VMs that changed; at every VM, when a network came or was renamed."""
        if not self._rules:
            return
        changes = list(changes)
        if any(change.kind == "network" and _is_another(change) for change in changes):
            self._settle(mirror, mirror.vms)
        else:
            self._settle(mirror, [change.ref for change in changes if change.kind == "vm" and change.ref in mirror.vms])

    def _settle(self, mirror: Mirror, vms: Iterable[str]) -> None:
        tags = {rule.tag for rule in self._rules}
        bearers = [(ref, vm) for ref, vm in ((ref, mirror.vms[ref]) for ref in vms) if tags.intersection(vm.tags) and holdings.is_real(vm)]
        if not bearers:
            return
        now, networks = self._clock(), [(rule, self._networks(mirror, rule)) for rule in self._rules]
        wanted = []
        for ref, vm in bearers:
            on = {mirror.networks[vif.network].uuid for vif in mirror.vifs_of(ref) if vif.network in mirror.networks}
            for rule, uuids in networks:
                if uuids is None or rule.tag not in vm.tags:
                    continue
                request = tagged.request(self._pool, rule, (vm.uuid, vm.name_label), uuids, now)
                if (uuids[1] or uuids[0]) in on:  # it has one: when it is parked for a moment, it is not given another
                    self._asked.add(request.subject)
                elif request.subject not in self._asked:
                    wanted.append(request)
        if wanted:
            self._desk.ask(wanted, now=now)
            self._asked.update(request.subject for request in wanted)

    def _networks(self, mirror: Mirror, rule: Rule) -> tuple[str, str] | None:
        """The uuids of the rule's two networks ("" for no VLAN network); None while there is none of that name, or more than one."""
        found = []
        for name in (rule.network, rule.vlan_network):
            uuids = [network.uuid for network in mirror.networks.values() if name and name in (network.uuid, network.name_label)]
            if name and len(uuids) != 1:
                self._complain(f"the rule for tag {rule.tag!r} waits: {len(uuids)} networks are named {name!r}: {', '.join(uuids) or '-'}")
                return None
            found.append(uuids[0] if name else "")
        return found[0], found[1]

    def _complain(self, problem: str) -> None:
        if problem not in self._said:
            self._said.add(problem)
            log.warning("%s", problem)


def _is_another(change: Change) -> bool:
    before, after = change.before, change.after
    return not (isinstance(before, records.Network) and isinstance(after, records.Network) and before.name_label == after.name_label)


class StoreDesk:
    """In the store, under the pool's lease; *publish* is told the id of every run that was created."""

    def __init__(self, store: Store, pool: str, lease: Lease, duration: timedelta, publish: Callable[[UUID], None]) -> None:
        self._store = store
        self._pool = pool
        self._lease = lease
        self._duration = duration
        self._publish = publish

    def ask(self, wanted: Sequence[Request], *, now: datetime) -> None:
        """Create the runs, but for VMs that had one before, or that a VF was taken from; raises `Deposed` when the lease was lost."""
        for start in range(0, len(wanted), AT_ONCE):
            some = {request.subject: request for request in wanted[start : start + AT_ONCE]}
            for run_id in self._store.do(partial(self._create, some=some, now=now)):
                self._publish(run_id)

    def _create(self, session: Session, some: Mapping[str, Request], now: datetime) -> list[UUID]:
        if not leases.renew(session, self._lease, now=now, duration=self._duration):
            raise Deposed(f"the lease {self._lease.name} was taken over by another listener")
        given = runs.had(session, self._pool, assign.NAME, some)
        taken = runs.had(session, self._pool, release.NAME, {_vm(request) for request in some.values()})
        left = [request for subject, request in some.items() if subject not in given and _vm(request) not in taken]
        made = several.create(session, left, now=now)
        return [run.id for run, is_new in made if is_new]


def _vm(request: Request) -> str:
    """What a release of the VM would be about."""
    return f"vm:{request.data['vm']}"
