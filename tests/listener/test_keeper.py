from datetime import datetime

import pytest

from orchestrator.listener import records
from orchestrator.listener.causes import Cause
from orchestrator.listener.errors import Doubt
from orchestrator.listener.events import NetworkSriovEvent, VIFEvent, VMEvent
from orchestrator.listener.holdings import Holding
from orchestrator.listener.keeper import Keeper
from orchestrator.listener.meters import Meters
from orchestrator.listener.mirror import Mirror
from orchestrator.listener.settlement import Settlement
from tests.listener import pools


class Notes:
    """A notebook in memory, which also keeps every cause it was told of and how often it was written."""

    def __init__(self, *known: Holding) -> None:
        self.known = {holding.vm: holding for holding in known}
        self.causes: list[Cause] = []
        self.writes = 0

    def read(self) -> dict[str, Holding]:
        return dict(self.known)

    def write(self, found: Settlement, *, now: datetime) -> None:
        self.writes += 1
        self.known.update((holding.vm, holding) for holding in found.put)
        for uuid in found.gone:
            del self.known[uuid]
        self.causes += [*found.destroyed, *found.reverted.values()]


def nobody_asks() -> set[str]:
    raise AssertionError("the pool was asked again without a doubt")


def keeper_of(notes: Notes) -> Keeper:
    keeper = Keeper(notes, lambda: pools.NOON, Meters())
    keeper.open()
    return keeper


def with_vms(count: int) -> Mirror:
    """A pool of so many VMs with a VIF each on the SR-IOV network."""
    names = [f"vm-{n}" for n in range(count)]
    return pools.mirror(*map(pools.vm, names), vifs=tuple(pools.vif(f"{name}-0", VM=f"ref:{name}") for name in names))


def test_a_deletion_while_nobody_looked_is_found_by_the_first_load() -> None:
    """What the store knows and the pool has no more was destroyed meanwhile."""
    notes = Notes(pools.known("gone"), pools.known("web"))
    keeper_of(notes).settle_all(pools.mirror(pools.vm("web"), vifs=(pools.vif(),)), nobody_asks, sure=True)
    assert [cause.was.vm for cause in notes.causes] == ["gone"]
    assert set(notes.known) == {"web"}


def test_a_deletion_is_told_once() -> None:
    """Settled is settled: the next load finds nothing."""
    notes = Notes(pools.known("gone"))
    keeper = keeper_of(notes)
    for _ in range(2):
        keeper.settle_all(pools.mirror(), nobody_asks, sure=True)
    assert len(notes.causes) == 1


def test_changes_that_concern_no_vfs_write_nothing() -> None:
    """Most of what happens in a pool does not touch the database."""
    notes, mirror = Notes(), pools.mirror(pools.vm("plain"))
    keeper = keeper_of(notes)
    keeper.settle_all(mirror, nobody_asks, sure=True)
    running = pools.vm("plain", power_state="Running", resident_on="ref:one")
    keeper.settle(mirror, mirror.apply([VMEvent("mod", "ref:plain", running)]), nobody_asks)
    assert notes.writes == 0


def test_a_vif_that_comes_later_makes_its_vm_known() -> None:
    """A VIF is made after its VM: its event alone says whose it is."""
    notes, mirror = Notes(), pools.mirror(pools.vm())
    keeper = keeper_of(notes)
    keeper.settle_all(mirror, nobody_asks, sure=True)
    keeper.settle(mirror, mirror.apply([VIFEvent("add", "ref:web-0", pools.vif())]), nobody_asks)
    assert set(notes.known) == {"web"}


def test_a_vif_that_went_is_settled_by_the_next_answer_even_if_that_says_nothing() -> None:
    """Its VM was not destroyed after all, so the row is brought up to date."""
    notes, mirror = Notes(pools.known(ports=("port-one",))), pools.mirror(pools.vm(), vifs=(pools.vif(),))
    keeper = keeper_of(notes)
    keeper.settle_all(mirror, nobody_asks, sure=True)
    keeper.settle(mirror, mirror.apply([VIFEvent("del", "ref:web-0")]), nobody_asks)
    assert notes.known["web"].vifs
    keeper.settle(mirror, [], nobody_asks)
    assert notes.known["web"].vifs == ()
    assert notes.causes == []


def test_sr_iov_enabled_later_makes_the_vms_of_its_network_known() -> None:
    """The VIF was there before its network led to VFs."""
    notes, mirror = Notes(), pools.mirror(pools.vm(), vifs=(pools.vif(),))
    mirror.load("network_sriov", {})
    keeper = keeper_of(notes)
    keeper.settle_all(mirror, nobody_asks, sure=True)
    assert notes.known == {}
    sriov = records.NetworkSriov("port-one", "ref:physical", "ref:logical-one")
    keeper.settle(mirror, mirror.apply([NetworkSriovEvent("add", "ref:port-one", sriov)]), nobody_asks)
    assert set(notes.known) == {"web"}


def test_an_empty_answer_makes_no_causes() -> None:
    """A pool that seems to have lost everything is asked again, and when it still has nothing at all it is not believed."""
    notes = Notes(*(pools.known(f"vm-{n}") for n in range(100)))
    with pytest.raises(Doubt):
        keeper_of(notes).settle_all(Mirror(), set, sure=True)
    assert (notes.writes, notes.causes) == (0, [])


def test_a_half_loaded_pool_makes_no_causes() -> None:
    """When the second look has VMs that the first missed, nothing is written and everything is to be loaded anew."""
    everything = {f"vm-{n}" for n in range(100)}
    notes = Notes(*map(pools.known, everything))
    with pytest.raises(Doubt, match="60 of 100 known VMs seemed to be gone; asked again, the pool has 60 of them"):
        keeper_of(notes).settle_all(with_vms(40), lambda: everything, sure=True)
    assert (notes.writes, notes.causes) == (0, [])


def test_a_mass_deletion_that_the_second_look_confirms_is_believed() -> None:
    """Somebody did delete most of the pool."""
    notes = Notes(*(pools.known(f"vm-{n}", vifs=(f"vm-{n}-0",)) for n in range(100)))
    keeper_of(notes).settle_all(with_vms(40), lambda: {f"vm-{n}" for n in range(40)}, sure=True)
    assert len(notes.causes) == 60
    assert len(notes.known) == 40


def test_a_load_that_could_not_be_checked_needs_a_second_look_for_any_deletion() -> None:
    """While event.from is deaf there are no counts to hold a load against."""
    notes = Notes(pools.known("gone"))
    with pytest.raises(Doubt):
        keeper_of(notes).settle_all(pools.mirror(), lambda: {"gone"}, sure=False)
    keeper_of(notes).settle_all(pools.mirror(), lambda: {"other"}, sure=False)
    assert [cause.was.vm for cause in notes.causes] == ["gone"]
