"""A crash at every place of every shipped workflow, over the real engine, store and ledger; a new workflow gets its scene here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from orchestrator.ledger import PoolLedger
from plugins.values import Happening, VFFreed, VFLeaked
from state import inventory
from state.inventory import KnownVM
from state.run import Run, Status
from state.store import Store
from tests.engine import crashes
from tests.engine.machine import Machine
from workflows.outcome import Request
from workflows.policy import Policy, ReclaimPolicy
from workflows.ports import Pool, PortLook, User
from workflows.reclaim import RECLAIM
from workflows.world import World

PLACES = crashes.of(RECLAIM)
PROVEN_AT = 3  # the steps up to the proof: where nothing is lost no cure follows


@dataclass
class StillPool:
    """A pool of one port with 8 VFs, at rest, of which so many are free and one is used."""

    clock: Callable[[], datetime]
    remaining: int = 7
    name: str = "pool"
    told: list[Happening] = field(default_factory=list)

    def look_at_ports(self) -> tuple[PortLook, ...]:
        user = User("other", "db", "vif-9", "0")
        now = self.clock().astimezone(UTC)
        return (PortLook("port-1", "host-a/eth0", "host-a", "net", now, True, "sysfs", self.remaining, (user,), (), 8, "e1"),)

    def vm_exists(self, uuid: str) -> bool:
        return uuid == "other"


def _scene(store: Store, remaining: int) -> tuple[Machine, StillPool]:
    """An engine whose world is the pool at rest and a real ledger that knows the VM that is gone."""
    now: Callable[[], datetime] = lambda: machine.now  # noqa: E731 - the machine is made below, with a world that needs it
    pool = StillPool(now, remaining)
    ledger = PoolLedger(store, "pool", now)
    policy = Policy(reclaim=ReclaimPolicy(grace=timedelta(seconds=30), looks=3, allow=frozenset({"forget"})))

    def worlds(run: Run, at: datetime) -> World:
        return World(run.id, run.title, at, cast("Pool", pool), ledger, policy, pool.told.append)

    machine = Machine(store, worlds)
    vifs: list[dict[str, Any]] = [{"uuid": "vif-1", "device": "0", "MAC": "aa", "network": "net"}]
    with store.write() as session:
        inventory.put(session, [KnownVM(pool="pool", vm="gone", ref="r", name="web", vifs=vifs, ports=["port-1"], updated_at=machine.now)])
    return machine, pool


def _submit(machine: Machine, crash: crashes.Crash) -> Run:
    data = {"vm": "gone", "vm_name": "web", "vifs": [], "ports": ["port-1"], "seen_at": machine.now.isoformat()}
    machine.workflows[RECLAIM.name] = crash.into(RECLAIM)
    return crashes.survive(machine, machine.engine.submit(Request(RECLAIM.name, "pool", "vm:gone", "VM web", data))[0].id)


@pytest.mark.parametrize("crash", [place for place in PLACES if place.step in {step.name for step in RECLAIM.steps[:PROVEN_AT]}], ids=str)
def test_a_crash_anywhere_still_proves_the_vf_free(store: Store, crash: crashes.Crash) -> None:
    """The run is done, each step recorded once, nothing is held as leaked."""
    machine, pool = _scene(store, remaining=7)
    deadly = replace(crash)
    run = _submit(machine, deadly)
    assert deadly.deaths == 1
    assert run.status is Status.DONE, run.reason
    story = [(step, outcome) for step, outcome in machine.story(run.id) if outcome in {"done", "finish"}]
    assert story == [("settle", "done"), ("forget_our_traces", "done"), ("prove_free", "finish")]
    assert {type(told) for told in pool.told} == {VFFreed}
    assert PoolLedger(store, "pool").holders("port-1") == ()


@pytest.mark.parametrize("crash", PLACES, ids=str)
def test_a_crash_anywhere_still_finds_the_leak(store: Store, crash: crashes.Crash) -> None:
    """The run is stuck with the evidence of its looks, and holds the one leaked VF once; a retry looks anew."""
    machine, pool = _scene(store, remaining=6)
    deadly = replace(crash)
    run = _submit(machine, deadly)
    assert deadly.deaths == 1
    assert run.status is Status.STUCK
    assert (run.step, run.evidence is not None) == ("prove_free", True)
    assert PoolLedger(store, "pool").holders("port-1") == (run.id,)
    assert {type(told) for told in pool.told} == {VFLeaked}
