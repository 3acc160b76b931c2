"""The reconciler over a simulated pool, turned by hand: which stuck runs it takes up again."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from orchestrator import reconcile
from orchestrator.bootstrap import PoolAccess
from orchestrator.broker import Broker
from orchestrator.engine.engine import Engine
from orchestrator.ledger import PoolLedger
from orchestrator.metrics import Metrics
from orchestrator.reconciler import Reconciler
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from orchestrator.xapi.settings import PoolSettings
from state import claims, runs
from state.claims import Change
from state.run import Run, Status
from state.store import Store
from tests.services import sqlite
from workflows import reclaim
from workflows.accounts import PortAccount
from workflows.outcome import Request
from workflows.policy import ReclaimPolicy
from workflows.ports import PortLook

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Place:
    """A pool, a store, and a reconciler that looks when the test says so. Nobody works on the runs."""

    def __init__(self, pool: SimulatedPool, store: Store) -> None:
        def no_world(*_: object) -> Any:
            raise AssertionError("nobody works here")

        self.pool = pool
        self.store = store
        self.client = Client(PoolSettings("lab", pool.url, pool.user, SecretStr(pool.password)))
        self.access = PoolAccess("lab", self.client, PoolPort(self.client), PoolLedger(store, "lab"))
        engine = Engine(store, Broker(), {}, no_world, lambda _: None)
        self.reconciler = Reconciler(self.access, store, engine, Metrics().accounted, timedelta(minutes=10), lambda: True)

    def stuck(self, port: str, held: int) -> UUID:
        """A run that is stuck over so many leaked VFs of the port."""
        request = Request(reclaim.NAME, "lab", f"port:{port}", "a port", {"ports": [port]})
        with self.store.write() as session:
            made, _ = runs.create(session, request, now=NOW)
            run = claims.claim(session, made.id, now=NOW, lease=timedelta(seconds=1))
            assert run is not None
            claims.record(session, run, Change(Status.STUCK, run.phase, "prove_free", NOW, None, run.data), None, now=NOW)
        self.access.ledger.hold_leaks(port, held, made.id)
        return made.id

    def look(self) -> None:
        """Reconcile once."""
        assert self.reconciler._pause() == timedelta(minutes=10)

    def titles(self) -> list[str]:
        """What all runs are about, newest first."""
        with self.store.read() as session:
            return [run.title for run in runs.listed(session, statuses=tuple(Status))]

    def run(self, run_id: UUID) -> Run:
        """The run as its row says."""
        with self.store.read() as session:
            found = runs.get(session, run_id)
        assert found is not None
        return found


@pytest.fixture
def place(make_simulated_pool: Callable[..., SimulatedPool], tmp_path: Path) -> Iterator[Place]:
    """One host with one port of 8 VFs, nobody uses any."""
    store = sqlite.store(tmp_path / "vfo.db")
    made = Place(make_simulated_pool(hosts=1, vms=0), store)
    yield made
    made.client.close()
    store.close()


def test_a_run_that_holds_a_leak_that_is_still_there_is_left_alone(place: Place) -> None:
    """A person was told; telling again with every look would be noise."""
    (look,) = place.access.port.look_at_ports()
    place.access.ledger.learn(look)
    place.pool.control.leak("host1", "SR-IOV", 2)
    run_id = place.stuck(look.port, 2)
    place.look()
    assert place.run(run_id).status is Status.STUCK


def test_a_run_that_holds_leaks_of_a_port_that_is_no_more_is_taken_up(place: Place) -> None:
    """SR-IOV was disabled there: no look at the port will ever say that its VFs are back, since they are gone with it."""
    (look,) = place.access.port.look_at_ports()
    run_id = place.stuck(look.port, 2)
    (sriov,) = place.client.call("network_sriov.get_all")
    place.client.call("network_sriov.destroy", sriov)
    place.look()
    assert place.run(run_id).status is Status.READY


def seen(port: str, network: str, *in_flight: str) -> tuple[PortLook, PortAccount]:
    look = PortLook(port, port, "host", network, NOW, True, "sysfs", 8, (), in_flight, 8, "1", networks=(network, f"{network}-vlan"))
    return look, PortAccount(8, 0, 0)


@pytest.mark.parametrize(
    ("data", "at_rest"),
    [
        ({"ports": ["still"]}, True),
        ({"ports": ["moving"]}, False),
        ({"ports": [], "vifs": [{"network": "two"}]}, False),
        ({"ports": [], "vifs": [{"network": "two-vlan"}]}, False),
        ({"ports": [], "vifs": [{"network": "one"}]}, True),
        ({}, False),
    ],
)
def test_only_the_ports_that_a_run_is_about_must_be_at_rest(data: dict[str, Any], at_rest: bool) -> None:
    """Those it names, else those of its networks: taken up too early it would only be stuck again half an hour later."""
    assert reconcile.at_rest(data, [seen("still", "one"), seen("moving", "two", "a start")]) is at_rest


def test_a_run_without_a_cure_is_taken_up_when_one_is_allowed(place: Place) -> None:
    """Stuck because a cure was not allowed, it climbs the ladder when the configuration allows it; otherwise it is left alone."""
    here = place
    port = next(look.port for look in here.access.port.look_at_ports())
    run_id = here.stuck(port, 0)
    evidence = {"cures": [{"cure": "restart-toolstack", "came_to": "not allowed"}]}
    with here.store.write() as session:
        session.connection().execute(update(runs.RUN).where(runs.RUN.c.id == run_id).values(evidence=evidence))
    here.look()
    assert here.run(run_id).status is Status.STUCK
    here.reconciler._policy = ReclaimPolicy(allow=frozenset({"restart-toolstack"}))
    here.look()
    assert here.run(run_id).status is Status.READY


def test_halted_vms_are_followed_only_where_the_policy_says_so(place: Place) -> None:
    """One run for each that wants a VF when it starts, once."""
    here = place
    here.pool.add_vm("asleep", running=False)
    here.pool.add_vm("at work")
    here.pool.add_vm("wants none", running=False, network=None)
    here.look()
    assert here.titles() == []
    here.reconciler._policy = ReclaimPolicy(halted_longer_than=timedelta(days=30))
    here.look()
    here.look()
    assert here.titles() == ["VM asleep"]


def test_what_a_run_that_is_over_left_behind_gets_a_run(place: Place) -> None:
    """A block that names an ended run; where such a run came to nothing, no other follows by itself."""
    here = place
    here.pool.add_vm("web", running=False)
    (vm,) = [vm.uuid for vm in here.access.port.vms()]
    over = here.stuck("a port", 0)
    here.access.port.block(vm, ["start"], f"vfo: run {over} did something")
    here.look()
    assert here.titles() == ["a port"]
    with here.store.write() as session:
        session.connection().execute(update(runs.RUN).where(runs.RUN.c.id == over).values(status=Status.UNDONE))
    here.look()
    assert here.titles() == ["VM web", "a port"]
    with here.store.write() as session:
        session.connection().execute(update(runs.RUN).where(runs.RUN.c.title == "VM web").values(status=Status.REFUSED, due_at=None))
    here.look()
    assert here.titles() == ["VM web", "a port"]


def test_what_is_promised_by_no_run_any_more_is_withdrawn(place: Place) -> None:
    """By one that is not in the database at all, and by one that is over; a stuck run keeps what it promised."""
    here = place
    (look,) = here.access.port.look_at_ports()
    over, stuck = here.stuck("a port", 0), here.stuck("another", 0)
    for vm, run_id in (("a", uuid4()), ("b", over), ("c", stuck)):
        assert here.access.ledger.promise(look, vm, 2, run_id)
    with here.store.write() as session:
        session.connection().execute(update(runs.RUN).where(runs.RUN.c.id == over).values(status=Status.REFUSED))
    here.look()
    assert here.access.ledger.account(look).promised == 2
    assert dict(here.access.ledger.promised_to("c")) == {look.port: 2}
