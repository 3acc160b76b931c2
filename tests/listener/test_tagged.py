"""VMs with a rule's tag get a VF, once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from orchestrator.listener import records
from orchestrator.listener.errors import Deposed
from orchestrator.listener.mirror import Change, Mirror
from orchestrator.listener.tagged import StoreDesk, Tagged
from state import leases, runs
from state.run import Status
from state.store import Store
from tests.services import sqlite
from workflows import release
from workflows.outcome import Request
from workflows.tagged import Rule

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=15)
RULE = Rule("fast", "SR-IOV", "", None, "next-halt", force=False, grace=timedelta(seconds=15))


@dataclass
class FakeDesk:
    """Keeps what it is asked."""

    asked: list[Request] = field(default_factory=list)

    def ask(self, wanted: Sequence[Request], *, now: datetime) -> None:
        self.asked += wanted


def mirror(*vms: records.VM, networks: tuple[str, ...] = ("SR-IOV",), vifs: dict[str, records.VIF] | None = None) -> Mirror:
    """A pool of these VMs ("ref-UUID" is a VM's reference) and networks."""
    made = Mirror()
    made.load("network", {f"net-{n}": records.Network(uuid=f"uuid-{n}", name_label=name) for n, name in enumerate(networks)})
    made.load("vif", vifs or {})
    made.load("vm", {f"ref-{vm.uuid}": vm for vm in vms})
    return made


def vm(uuid: str, *tags: str, **fields: Any) -> records.VM:
    return records.VM(uuid=uuid, name_label=uuid.upper(), tags=list(tags), **fields)


def asked(seen: Mirror, *rules: Rule) -> list[Request]:
    """What is asked for after a load."""
    desk = FakeDesk()
    Tagged("lab", rules or (RULE,), desk, lambda: NOON).settle_all(seen)
    return desk.asked


def test_a_vm_with_the_tag_gets_a_vf() -> None:
    """On the rule's network, when the rule says, and not before whoever makes it is done."""
    (request,) = asked(mirror(vm("a", "fast", "other"), vm("b", "slow"), vm("c")))
    assert (request.workflow, request.subject, request.title) == ("assign-vf", "vm:a/network:uuid-0", "VM A")
    assert (request.data["network"], request.data["when"], request.data["rule"]) == ("uuid-0", "next-halt", "fast")
    assert request.data["not_before"] == (NOON + timedelta(seconds=15)).isoformat()


@pytest.mark.parametrize("field_name", ["is_a_template", "is_a_snapshot", "is_control_domain"])
def test_what_never_runs_gets_none(field_name: str) -> None:
    """Templates bear tags for the VMs that are made of them."""
    assert asked(mirror(vm("a", "fast", **{field_name: True}))) == []


def test_a_vm_that_is_on_the_network_gets_no_other() -> None:
    """Also when its VIF is away for a moment, as in a backup."""
    desk = FakeDesk()
    tagged = Tagged("lab", (RULE,), desk, lambda: NOON)
    vif = records.VIF(uuid="v", VM="ref-a", network="net-0")
    tagged.settle_all(mirror(vm("a", "fast"), vifs={"vif-1": vif}))
    tagged.settle_all(mirror(vm("a", "fast")))
    assert desk.asked == []


def test_a_vm_that_gets_the_tag_later_is_seen() -> None:
    """An event of the VM is enough."""
    desk = FakeDesk()
    tagged = Tagged("lab", (RULE,), desk, lambda: NOON)
    seen = mirror(vm("a"))
    tagged.settle_all(seen)
    for _ in range(2):
        tagged.settle(seen, seen.load("vm", {"ref-a": vm("a", "fast")}) or [Change("vm", "ref-a", vm("a", "fast"), vm("a", "fast"))])
    assert [request.data["vm"] for request in desk.asked] == ["a"]


def test_a_rule_waits_for_one_network_of_its_name(caplog: pytest.LogCaptureFixture) -> None:
    """A name that fits nothing, or two, is no network: that is said once, and the rule is followed when it is mended."""
    desk = FakeDesk()
    tagged = Tagged("lab", (RULE,), desk, lambda: NOON)
    seen = mirror(vm("a", "fast"), networks=("SR-IOV", "SR-IOV"))
    for _ in range(2):
        tagged.settle_all(seen)
    assert desk.asked == []
    assert caplog.text.count("2 networks are named 'SR-IOV'") == 1
    tagged.settle(seen, seen.load("network", {"net-2": records.Network(uuid="uuid-2", name_label="SR-IOV")}))
    assert [request.data["network"] for request in desk.asked] == ["uuid-2"]


def test_a_rule_of_another_pool_is_not_followed() -> None:
    """Names of networks are a pool's own."""
    other = Rule("fast", "SR-IOV", "", "attic", "now", force=False, grace=timedelta())
    assert asked(mirror(vm("a", "fast")), other) == []


def test_the_vlan_network_is_where_the_vif_goes() -> None:
    """The SR-IOV network is what it must stand on."""
    rule = Rule("fast", "SR-IOV", "vlan 7", "lab", "now", force=True, grace=timedelta())
    (request,) = asked(mirror(vm("a", "fast"), networks=("SR-IOV", "vlan 7")), rule)
    assert (request.data["network"], request.data["below"], request.data["force"]) == ("uuid-1", "uuid-0", True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = sqlite.store(tmp_path / "vfo.db")
    yield opened
    opened.close()


def desk(store: Store, published: list[UUID]) -> StoreDesk:
    with store.write() as session:
        lease = leases.acquire(session, "listener:lab", "me", now=NOON, duration=LEASE)
    assert lease is not None
    return StoreDesk(store, "lab", lease, LEASE, published.append)


def test_a_vm_is_given_one_once_whatever_became_of_it(store: Store) -> None:
    """A new process asks again; the rows know that there was a run."""
    wanted, published = asked(mirror(vm("a", "fast"))), list[UUID]()
    at = desk(store, published)
    for _ in range(2):
        at.ask(wanted, now=NOON)
    with store.read() as session:
        assert [run.id for run in runs.listed(session, statuses=list(Status))] == published
    assert len(published) == 1


def test_what_was_taken_from_a_vm_is_not_given_back_by_a_rule(store: Store) -> None:
    """`vfo release` of a VM with the tag lasts."""
    wanted, published = asked(mirror(vm("a", "fast"), vm("b", "fast"))), list[UUID]()
    with store.write() as session:
        runs.create(session, Request(release.NAME, "lab", "vm:a", "VM A", {}), now=NOON)
    desk(store, published).ask(wanted, now=NOON)
    with store.read() as session:
        assert [run.data["vm"] for run in runs.listed(session) if run.workflow == "assign-vf"] == ["b"]


def test_who_has_lost_the_lease_asks_for_nothing(store: Store) -> None:
    """Another process listens, and asks."""
    at = desk(store, [])
    with store.write() as session:
        leases.acquire(session, "listener:lab", "another", now=NOON + 2 * LEASE, duration=LEASE)
    with pytest.raises(Deposed):
        at.ask(asked(mirror(vm("a", "fast"))), now=NOON + 2 * LEASE)
