from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from plugins.values import VFFreed, VFLeaked
from tests.workflows.fakes import NOON, Clock, FakeLedger, FakePool, Journey, look
from workflows import proof, reclaim
from workflows.outcome import Done, Finish, Stuck
from workflows.policy import Policy, ReclaimPolicy

OTHER_RUN = UUID(int=7)


def journey(*looks: Any) -> Journey:
    clock = Clock()
    return Journey(FakePool([(one,) if not isinstance(one, tuple) else one for one in looks], clock), FakeLedger(), clock)


def deleted(**more: Any) -> dict[str, Any]:
    return {"vm": "vm-1", "vm_name": "web-1", "ports": ["port-1"], "seen_at": NOON.isoformat(), **more}


def test_a_deleted_vms_vf_is_proven_free_after_the_grace_period() -> None:
    """With nothing missing the run waits for the grace period, looks, tells the observers, and ends there: no cure is looked at."""
    trip = journey(look())
    ended = trip.run(reclaim.RECLAIM, deleted())
    assert [name for name, _ in ended] == ["settle", "forget_our_traces", "prove_free"]
    assert trip.clock.now - NOON == timedelta(seconds=30)
    assert ended[2][1] == Finish("proven: host1/port-1: 8 VFs = 8 free + 0 in use")
    assert [type(happening) for happening in trip.told] == [VFFreed]


def test_numbers_in_motion_are_waited_for() -> None:
    """While a start is in flight no look counts, so nothing is called leaked."""
    trip = journey(
        look(remaining=7, in_flight=("VM db-1 starts",)), look(remaining=7, in_flight=("VM db-1 starts",)), look(remaining=7, users=1)
    )
    ended = trip.run(reclaim.RECLAIM, deleted())
    assert isinstance(ended[-1][1], Finish)
    assert not [happening for happening in trip.told if isinstance(happening, VFLeaked)]


def test_motion_without_end_needs_a_person() -> None:
    """After the policy's patience the run is stuck and says what never came to rest."""
    trip = journey(look(remaining=7, in_flight=("VM db-1 starts",)))
    name, outcome = trip.run(reclaim.RECLAIM, deleted())[-1]
    assert name == "settle"
    assert isinstance(outcome, Stuck)
    assert "VM db-1 starts" in outcome.reason
    assert trip.clock.now - NOON >= timedelta(minutes=30)


def test_a_leak_is_called_one_only_when_all_looks_agree_over_the_grace_period() -> None:
    """Three looks, spread over another grace period, show the missing VF; it is held, and without a cure the run ends with the evidence."""
    trip = journey(look(remaining=7))
    trip.policy = Policy(ReclaimPolicy(timedelta(seconds=30), 3, allow=frozenset()))
    name, outcome = trip.run(reclaim.RECLAIM, deleted())[-1]
    assert name == "tell_somebody"
    assert isinstance(outcome, Stuck)
    assert outcome.retry_at == "prove_free"
    assert trip.clock.now - NOON >= timedelta(seconds=60)
    assert [figures["missing"] for figures in outcome.evidence["looks"]["port-1"]] == [1, 1, 1]
    assert outcome.evidence["held"] == {"host1/port-1": 1}
    assert trip.ledger.holders("port-1") == (trip.run_id,)
    assert [type(happening) for happening in trip.told] == [VFLeaked]


def test_a_vf_that_comes_back_late_is_no_leak() -> None:
    """A look that adds up ends the doubt, however many before did not."""
    trip = journey(look(remaining=7), look(remaining=7), look(remaining=7), look(remaining=8))
    assert isinstance(trip.run(reclaim.RECLAIM, deleted())[-1][1], Finish)


def test_what_another_run_holds_as_leaked_is_not_counted_twice() -> None:
    """Of two runs after one leak, one holds it; the other's VF is free by the arithmetic."""
    trip = journey(look(remaining=7))
    trip.ledger.hold_leaks("port-1", 1, OTHER_RUN)
    assert trip.run(reclaim.RECLAIM, deleted())[-1][1] == Finish(
        "proven: host1/port-1: 8 VFs = 7 free + 0 in use + 1 leaked (held by another run)"
    )
    assert trip.ledger.holders("port-1") == (OTHER_RUN,)


def test_only_looks_of_one_epoch_are_counted_together() -> None:
    """VFs that were made anew between two looks begin the count of looks anew."""
    trip = journey(look(remaining=7), look(remaining=7), look(remaining=7, epoch="2"))
    trip.policy = Policy(ReclaimPolicy(timedelta(seconds=30), 3, allow=frozenset()))
    outcome = trip.run(reclaim.RECLAIM, deleted())[-1][1]
    assert isinstance(outcome, Stuck)
    assert {figures["epoch"] for figures in outcome.evidence["looks"]["port-1"]} == {"2"}


def test_a_vm_that_is_there_again_is_left_alone() -> None:
    """Restored with its uuid, the VM keeps what is known of it."""
    trip = journey(look())
    trip.pool.there.add("vm-1")
    trip.ledger.known["vm-1"] = ("2 VIFs",)
    assert isinstance(trip.run(reclaim.RECLAIM, deleted())[-1][1], Finish)
    assert trip.ledger.known


def test_a_port_that_lost_sriov_has_nothing_to_free() -> None:
    """When none of the ports is there any more the run is done and says so."""
    trip = journey((look("port-2"),))
    assert trip.run(reclaim.RECLAIM, deleted())[2][1] == Finish("proven: " + proof.NOTHING_THERE)


def test_a_port_that_is_unplugged_has_nothing_to_free() -> None:
    """Without its logical PIF the port has no VFs at all, so none of the VM's can be lost there."""
    trip = journey(replace(look(remaining=0, in_flight=("its logical PIF is not attached",)), attached=False))
    assert trip.run(reclaim.RECLAIM, deleted())[2][1] == Finish("proven: " + proof.NOTHING_THERE)


def test_without_a_known_port_every_port_of_the_networks_is_proven() -> None:
    """A VM whose last port is not known is accounted for on all ports of its VIFs' networks."""
    trip = journey((look("port-1"), look("port-2")))
    trip.run(reclaim.RECLAIM, deleted(ports=[], vifs=[{"network": "net-1"}]))
    assert [happening.port for happening in trip.told if isinstance(happening, VFFreed)] == ["host1/port-1", "host1/port-2"]


@pytest.mark.parametrize("step", range(3))
def test_every_step_may_run_twice(step: int) -> None:
    """A crash after a step's act and before its record makes it run again: the end is the same."""
    trip = journey(look())
    data = deleted()
    for index, row in enumerate(reclaim.RECLAIM.steps[:3]):
        trip.clock.now = NOON + timedelta(minutes=1)
        outcome = row.action(trip.world(), data)
        if index == step:
            outcome = row.action(trip.world(), data)
        assert isinstance(outcome, Done | Finish)


def test_a_clock_that_is_set_back_does_not_stretch_the_grace_period() -> None:
    """Noted in the future, the deletion counts from now: the run waits for one grace period, not for the hours of the setback."""
    trip = journey(look())
    trip.run(reclaim.RECLAIM, deleted(seen_at=(NOON + timedelta(hours=5)).isoformat()))
    assert trip.clock.now - NOON <= timedelta(seconds=30)
