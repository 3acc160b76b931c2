from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from orchestrator.ledger import PoolLedger
from orchestrator.listener import records
from orchestrator.listener.displaced import Displaced, StoreDesk
from orchestrator.listener.errors import Deposed
from orchestrator.listener.events import VIFEvent
from orchestrator.listener.mirror import Change, Mirror
from state import holds, leases, runs
from state.store import Store
from tests.listener import pools, watched
from tests.listener.conftest import Start, Watch
from tests.listener.watched import until
from tests.services import sqlite
from workflows import put_right
from workflows.outcome import Request

LEASE = timedelta(seconds=15)
OURS = records.Network("parking", other_config={"vfo:parking": "true"})


class Desk:
    """Keeps what it is asked for; *held* are subjects that a run has."""

    def __init__(self, *held: str) -> None:
        self.asked: list[str] = []
        self.held = held

    def ask(self, wanted: Sequence[Request], *, now: datetime) -> Collection[str]:
        self.asked += [request.subject for request in wanted if request.subject not in self.held]
        return [request.subject for request in wanted if request.subject in self.held]


def pool(*vms: records.VM, network: str = "ref:parking") -> Mirror:
    """A pool with a parking network; the first VIF of "web" is on *network*."""
    found = pools.mirror(*(vms or (pools.vm(),)), vifs=(pools.vif(network=network),))
    found.load("network", {"ref:sriov": records.Network("sriov"), "ref:parking": OURS})
    return found


def move(mirror: Mirror, network: str) -> list[Change]:
    return list(mirror.apply([VIFEvent("mod", "ref:web-0", pools.vif(network=network))]))


def test_a_parked_vm_is_asked_for_once() -> None:
    """After a load, and whatever else changes on it; again when it was away from there meanwhile."""
    desk, mirror = Desk(), pool()
    displaced = Displaced("lab", desk, lambda: pools.NOON)
    displaced.settle_all(mirror)
    displaced.settle_all(mirror)
    displaced.settle(mirror, move(mirror, "ref:parking"))
    assert desk.asked == ["vm:web"]
    displaced.settle(mirror, move(mirror, "ref:sriov"))
    displaced.settle(mirror, move(mirror, "ref:parking"))
    assert desk.asked == ["vm:web", "vm:web"]


def test_a_vm_that_a_run_has_is_looked_at_again_later() -> None:
    """What we do ourselves is no cause; what is left when the run is over is."""
    desk, mirror = Desk("vm:web"), pool()
    displaced = Displaced("lab", desk, lambda: pools.NOON)
    displaced.settle(mirror, move(mirror, "ref:parking"))
    assert desk.asked == []
    desk.held = ()
    displaced.settle(mirror, move(mirror, "ref:parking"))
    assert desk.asked == ["vm:web"]


@pytest.mark.parametrize("vm", [pools.vm(is_a_snapshot=True), pools.vm(is_a_template=True), pools.vm(is_control_domain=True)])
def test_what_never_runs_may_stay_parked(vm: records.VM) -> None:
    """The VIFs of our snapshots are parked for good."""
    desk = Desk()
    Displaced("lab", desk, lambda: pools.NOON).settle_all(pool(vm))
    assert desk.asked == []


def test_without_a_parking_network_nobody_is_displaced() -> None:
    """Another network of the same name is not ours."""
    desk, mirror = Desk(), pool()
    mirror.load("network", {"ref:parking": records.Network("parking", name_label="vfo parking")})
    Displaced("lab", desk, lambda: pools.NOON).settle_all(mirror)
    assert desk.asked == []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = sqlite.store(tmp_path / "vfo.sqlite3")
    yield store
    store.close()


def desk_of(store: Store, published: list[UUID], holder: str = "us") -> StoreDesk:
    with store.write() as session:
        lease = leases.acquire(session, "listener:lab", holder, now=pools.NOON, duration=LEASE)
    assert lease
    return StoreDesk(store, lease, LEASE, published.append)


def test_the_desk_leaves_out_what_a_run_holds(store: Store) -> None:
    """It says which, and creates and publishes the rest."""
    published: list[UUID] = []
    desk = desk_of(store, published)
    with store.write() as session:
        other, _ = runs.create(session, Request("prepare-backup", "lab", "vm:busy", "VM busy"), now=pools.NOON)
        holds.take(session, other, ["vm:busy"], now=pools.NOON)
    wanted = [put_right.request("lab", name, name) for name in ("busy", "web")]
    assert desk.ask(wanted, now=pools.NOON) == ["vm:busy"]
    with store.read() as session:
        assert [run.subject for run in runs.listed(session) if run.id in published] == ["vm:web"]


def test_a_desk_whose_lease_is_lost_writes_nothing(store: Store) -> None:
    """Another listener has taken over."""
    desk = desk_of(store, [])
    with store.write() as session:
        assert leases.acquire(session, "listener:lab", "them", now=pools.NOON + 2 * LEASE, duration=LEASE)
    with pytest.raises(Deposed):
        desk.ask([put_right.request("lab", "web", "web")], now=pools.NOON + 2 * LEASE)
    with store.read() as session:
        assert runs.listed(session) == []


@pytest.mark.parametrize("away", [False, True], ids=["while we listen", "while nobody listens"])
def test_our_rows_know_where_a_parked_vif_was(start: Start, watch: Watch, *, away: bool) -> None:
    """Somebody leaves it on our parking network without a note: a run is asked for, and the ledger says where it belongs."""
    lab = start()
    uuid, vm = next(iter(watched.vms(lab, running=False).items()))
    client = watched.client_of(lab)
    (vif,) = client.call("VM.get_VIFs", vm)
    home = client.call("network.get_uuid", client.call("VIF.get_network", vif))
    network = {"name_label": "vfo parking", "name_description": "", "MTU": 1500, "other_config": {"vfo:parking": "true"}, "tags": []}
    network = client.call("network.create", network)
    watching = watch(lab).settle()
    if away:
        watching.stop()
    client.call("VIF.move", vif, network)
    if away:
        watching = watch(lab).settle()
    until(watching.runs)
    watching.settle()
    client.close()
    (run,) = watching.runs()
    assert (run.workflow, run.subject) == ("put-right", f"vm:{uuid}")
    assert [one["network"] for one in PoolLedger(watching.store, run.pool).homes(uuid)] == [home]
