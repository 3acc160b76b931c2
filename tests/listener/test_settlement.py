from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from orchestrator.listener import rules, settlement, topology
from orchestrator.listener.causes import VmDestroyed, VmReverted
from orchestrator.listener.events import VIFEvent, VMEvent
from orchestrator.listener.holdings import Holding, VIFNote
from orchestrator.listener.mirror import Mirror
from orchestrator.listener.settlement import Settlement
from tests.listener import pools


def settle(mirror: Mirror, known: Mapping[str, Holding], awaited: Collection[str] = ()) -> Settlement:
    drawn = topology.draw(mirror)
    return settlement.settle(known, mirror, drawn, settlement.concerned(known, mirror, drawn), awaited)


def test_a_vm_with_a_vif_that_takes_a_vf_becomes_known() -> None:
    """It must be in the store before it can be missed."""
    found = settle(pools.mirror(pools.vm(), vifs=(pools.vif(),)), {})
    assert [holding.vm for holding in found.put] == ["web"]


def test_what_is_known_already_is_not_written_again() -> None:
    """A settlement without a difference writes nothing."""
    found = settle(pools.mirror(pools.vm(), vifs=(pools.vif(),)), {"web": pools.known()})
    assert (found.put, found.gone, found.later) == ([], {}, set())


def test_a_known_vm_that_is_nowhere_was_destroyed() -> None:
    """However long ago: this is what finds the deletions of a week's absence."""
    known = pools.known(ports=("port-one",))
    assert settle(pools.mirror(), {"web": known}).gone == {"web": VmDestroyed(known)}


@pytest.mark.parametrize(("network", "ports"), [("sriov", ("port-one", "port-two")), ("vlan", ("port-one",)), ("lan", ())])
def test_where_a_destroyed_vm_ran_last_may_not_be_known(network: str, ports: tuple[str, ...]) -> None:
    """Then every port that could have given it VFs is concerned, also the one that the VLAN of its VIF stands on."""
    known = replace(pools.known(), vifs=(VIFNote("web-0", "0", "02:00:00:00:00:01", network),))
    assert settle(pools.mirror(), {"web": known}).gone == {"web": VmDestroyed(replace(known, ports=ports))}


def test_a_vm_that_became_a_template_is_forgotten_and_no_cause() -> None:
    """It is still there, and holds nothing."""
    template = pools.mirror(pools.vm(is_a_template=True), vifs=(pools.vif(),))
    assert settle(template, {"web": pools.known()}).gone == {"web": None}


def test_a_vm_of_which_nothing_was_known_is_no_cause() -> None:
    """A VM without VFs that is destroyed has nothing to give back."""
    mirror = pools.mirror(pools.vm("plain"))
    mirror.apply([VMEvent("del", "ref:plain")])
    found = settlement.settle({}, mirror, topology.draw(mirror), {"plain"})
    assert found.destroyed == []


def test_a_vm_that_merely_lost_its_vif_is_updated_by_the_next_answer() -> None:
    """A destroy takes the VIFs before the VM: until the next answer nobody knows which of the two it was."""
    mirror = pools.mirror(pools.vm(), vifs=(pools.vif(),))
    mirror.apply([VIFEvent("del", "ref:web-0")])
    known = {"web": pools.known(ports=("port-one",))}
    first = settle(mirror, known)
    assert (first.put, first.gone, first.later) == ([], {}, {"web"})
    assert settle(mirror, known, awaited=first.later).put == [pools.known(vifs=(), ports=("port-one",))]


def test_a_destroy_that_two_answers_cut_in_half_keeps_what_the_vm_had() -> None:
    """The cause says which VIFs the VM had, although they went an answer earlier."""
    mirror = pools.mirror(pools.vm(), vifs=(pools.vif(),))
    known = {"web": pools.known(ports=("port-one",))}
    mirror.apply([VIFEvent("del", "ref:web-0")])
    first = settle(mirror, known)
    mirror.apply([VMEvent("del", "ref:web")])
    assert settle(mirror, known, awaited=first.later).destroyed == [VmDestroyed(known["web"])]


def test_a_vm_restored_under_another_reference_is_no_cause() -> None:
    """A coordinator whose database was restored knows the VM by another reference: it is noted, and nothing was destroyed."""
    mirror = pools.mirror()
    mirror.load("vm", {"ref:restored": pools.vm()})
    mirror.load("vif", {"ref:v": pools.vif(VM="ref:restored")})
    found = settle(mirror, {"web": pools.known()})
    assert ([holding.ref for holding in found.put], found.gone) == (["ref:restored"], {})


def test_many_deletions_at_once_are_doubtful() -> None:
    """More than twenty and more than a quarter of what is known: that may be a mistake of the pool's, and is asked again."""
    gone: dict[str, VmDestroyed | VmReverted | None] = {f"vm-{n}": VmDestroyed(pools.known()) for n in range(30)}
    assert Settlement(gone=gone).is_doubtful(known=100)
    assert not Settlement(gone=gone).is_doubtful(known=120)
    assert not Settlement(gone=dict(list(gone.items())[:20])).is_doubtful(known=20)
    assert not Settlement(gone=dict.fromkeys(gone)).is_doubtful(known=30)


def test_a_destroyed_vm_asks_for_a_reclaim_of_what_it_had() -> None:
    """The run's data is plain JSON with all that is known of what is gone."""
    request = rules.request("lab", VmDestroyed(pools.known(ports=("port-one",))), pools.NOON)
    assert (request.workflow, request.pool, request.subject, request.title) == ("reclaim-vfs", "lab", "vm:web", "VM web")
    assert request.data == {
        "vm": "web",
        "vm_name": "web",
        "vifs": [{"uuid": "web-0", "device": "0", "MAC": "02:00:00:00:00:01", "network": "sriov"}],
        "ports": ["port-one"],
        "seen_at": "2026-11-22T12:00:00+00:00",
    }
