from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.ledger import PoolLedger
from state import inventory, promises
from state.inventory import KnownVM
from state.store import Store
from tests.engine.machine import START
from workflows.accounts import Ledger, PortAccount
from workflows.ports import PortLook, User

ONE, TWO = uuid4(), uuid4()
USER = User(vm="vm", vm_name="web", vif="vif", device="0")
LOOK = PortLook(
    port="s1", name="host-a/eth0", host="h", network="n", at=START, attached=True, mode="modprobe", remaining=5, users=(USER,),
    in_flight=(), records=None, epoch="e1",
)  # fmt: skip


@pytest.fixture
def ledger(store: Store) -> PoolLedger:
    """The ledger of pool p, as the steps' port has it."""
    made = PoolLedger(store, "p", lambda: START)
    _: Ledger = made
    return made


def test_the_total_is_the_most_ever_accounted_for(ledger: PoolLedger) -> None:
    """Where XenAPI does not tell how many VFs there are, those that were once free or used together are."""
    assert ledger.learn(LOOK).total == 6
    assert ledger.learn(replace(LOOK, remaining=7)).total == 8
    assert ledger.learn(replace(LOOK, remaining=2)).total == 8


def test_in_mode_sysfs_the_records_are_the_total(ledger: PoolLedger) -> None:
    """Up and down: whatever was accounted for before."""
    assert ledger.learn(replace(LOOK, mode="sysfs", records=8)).total == 8
    assert ledger.learn(replace(LOOK, mode="sysfs", records=4)).total == 4


def test_the_total_is_never_above_the_records(ledger: PoolLedger) -> None:
    """What was counted twice in a moment of motion is not believed."""
    assert ledger.learn(replace(LOOK, remaining=9)).total == 10
    assert ledger.learn(replace(LOOK, records=8)).total == 8


@pytest.mark.parametrize("change", [{"in_flight": ("a VM is starting",)}, {"attached": False}])
def test_a_look_that_cannot_be_trusted_teaches_nothing(ledger: PoolLedger, change: dict[str, Any]) -> None:
    """Neither a total nor a new epoch."""
    ledger.learn(LOOK)
    ledger.hold_leaks("s1", 1, ONE)
    assert ledger.learn(replace(LOOK, remaining=50, **change)).total == 6
    assert ledger.learn(replace(LOOK, epoch="e2", **change)).total == 0
    assert ledger.learn(LOOK) == PortAccount(total=6, leaked=1, promised=0)


def test_a_new_epoch_begins_anew(ledger: PoolLedger) -> None:
    """How many VFs there are is learned again; what a run holds as leaked it holds until it has looked again itself."""
    ledger.learn(replace(LOOK, remaining=7))
    ledger.hold_leaks("s1", 2, ONE)
    assert ledger.learn(replace(LOOK, epoch="e2", remaining=3)) == PortAccount(total=4, leaked=2, promised=0)


def test_an_account_can_be_asked_for_without_learning(ledger: PoolLedger) -> None:
    """It is what learning would say, and the next one does not know of it."""
    ledger.learn(LOOK)
    assert ledger.account(replace(LOOK, remaining=9)).total == 10
    assert ledger.account(LOOK).total == 6


def test_holders_are_named_oldest_first(ledger: PoolLedger, store: Store) -> None:
    """Of one port; who has let go is not among them."""
    ledger.hold_leaks("s1", 1, TWO)
    PoolLedger(store, "p", lambda: START + timedelta(seconds=1)).hold_leaks("s1", 2, ONE)
    ledger.hold_leaks("s2", 1, uuid4())
    assert ledger.holders("s1") == (TWO, ONE)
    ledger.hold_leaks("s1", 0, TWO)
    assert ledger.holders("s1") == (ONE,)


def test_two_runs_never_hold_the_same_leaked_vf(ledger: PoolLedger) -> None:
    """Of three leaked VFs the second run gets what the first does not hold; what is let go is free for others."""
    ledger.learn(LOOK)
    assert ledger.hold_leaks("s1", 2, ONE) == 2
    assert ledger.hold_leaks("s1", 3, TWO) == 1
    assert ledger.hold_leaks("s1", 3, ONE) == 2
    assert ledger.learn(LOOK).leaked == 3
    assert ledger.hold_leaks("s1", 0, ONE) == 0
    assert ledger.hold_leaks("s1", 3, TWO) == 3


def test_letting_go_of_nothing_writes_nothing(ledger: PoolLedger, store: Store) -> None:
    """A run that looks every two seconds does not wait for the disk each time."""
    ledger.learn(LOOK)
    before = _changes(store)
    assert ledger.hold_leaks("s1", 0, ONE) == 0
    assert ledger.learn(LOOK) == PortAccount(6, 0, 0)
    assert ledger.forget_vm("unheard of") == ()
    assert _changes(store) == before


def _changes(store: Store) -> object:
    with store.read() as session:
        return session.connection().exec_driver_sql("PRAGMA data_version").scalar()


def test_a_vm_that_is_gone_is_forgotten_in_words(ledger: PoolLedger, store: Store) -> None:
    """Its VIFs are named once; the second time there is nothing left to forget."""
    vifs = [{"uuid": "v1", "device": "1", "MAC": "aa:bb", "network": "n"}]
    with store.write() as session:
        inventory.put(session, [KnownVM(pool="p", vm="vm", ref="r", name="web", vifs=vifs, ports=[], updated_at=START)])
    assert ledger.forget_vm("vm") == ("VIF 1 (aa:bb) of VM web",)
    assert ledger.forget_vm("vm") == ()


def test_the_last_vf_is_promised_once(ledger: PoolLedger) -> None:
    """Two that want it: one gets it, the other one is told that there is none, and what is free is not all there for the taking."""
    look = replace(LOOK, remaining=1)
    assert ledger.promise(look, "a", 1, ONE)
    assert not ledger.promise(look, "b", 1, TWO)
    assert ledger.promised_to("a") == {"s1": 1}
    assert ledger.account(look).promised == 1
    ledger.keep("a", ONE)
    ledger.keep("a", ONE)
    assert (ledger.promised_to("a"), ledger.account(look).promised) == ({}, 0)
    assert ledger.promise(look, "b", 1, TWO)


def test_a_vm_is_promised_the_vf_that_it_holds(ledger: PoolLedger) -> None:
    """Before it is taken off: no other VF need be free for it, none is counted twice, and when it is off it is nobody else's."""
    full = replace(LOOK, remaining=0)
    assert ledger.promise(full, "vm", 1, ONE)
    assert ledger.account(full).promised == 0
    off = replace(LOOK, remaining=1, users=())
    assert ledger.account(off).promised == 1
    assert not ledger.promise(off, "b", 1, TWO)


def test_a_run_s_promise_is_replaced(ledger: PoolLedger) -> None:
    """The same run and VM on the same port: promises do not add up, and one that cannot be raised stays as it was."""
    look = replace(LOOK, remaining=2)
    assert ledger.promise(look, "a", 2, ONE)
    assert ledger.promise(look, "a", 1, ONE)
    assert ledger.promise(look, "b", 1, TWO)
    assert not ledger.promise(look, "a", 2, ONE)
    assert (ledger.promised_to("a"), ledger.account(look).promised) == ({"s1": 1}, 2)


def test_of_several_runs_that_promise_one_vm_the_highest_counts(ledger: PoolLedger) -> None:
    """Each promises all that the VM will take; what the one promised is no less there for the other."""
    look = replace(LOOK, remaining=2)
    assert ledger.promise(look, "a", 2, ONE)
    assert ledger.promise(look, "a", 1, TWO)
    assert (ledger.promised_to("a"), ledger.promised_to("a", TWO), ledger.account(look).promised) == ({"s1": 2}, {"s1": 1}, 2)


def test_a_run_s_end_leaves_what_another_promised(ledger: PoolLedger) -> None:
    """Of two runs that wait for one VM the first that ends does not give the other's VF away; of a VM that is gone all go."""
    look = replace(LOOK, remaining=1)
    assert ledger.promise(look, "a", 1, ONE)
    assert ledger.promise(look, "a", 1, TWO)
    ledger.keep("a", ONE)
    assert not ledger.promise(look, "b", 1, ONE)
    assert ledger.promise(look, "a", 1, ONE)
    ledger.keep("a")
    assert ledger.promised_to("a") == {}


def test_a_vm_that_starts_is_counted_once(ledger: PoolLedger) -> None:
    """Its VFs are reserved and not free any more, so its promise keeps no others from being taken."""
    assert ledger.promise(replace(LOOK, remaining=2), "a", 1, ONE)
    look = replace(LOOK, remaining=1, starting=(User("a", "web", "vif", "0"),))
    assert ledger.account(look).promised == 0
    assert ledger.promise(look, "b", 1, TWO)
    assert not ledger.promise(look, "c", 1, TWO)


def test_what_is_promised_to_a_vm_that_is_gone_is_forgotten(ledger: PoolLedger) -> None:
    """Also to one that was known for nothing else, and in words."""
    assert ledger.promise(LOOK, "vm", 2, ONE)
    assert ledger.forget_vm("vm") == ("the promise of 2 VFs to VM vm",)
    assert ledger.promised_to("vm") == {}


def test_pools_do_not_see_each_other_s_ports(store: Store, ledger: PoolLedger) -> None:
    """The same port uuid in another pool is another port."""
    ledger.learn(LOOK)
    ledger.hold_leaks("s1", 1, ONE)
    other = PoolLedger(store, "q")
    assert other.hold_leaks("s1", 1, TWO) == 1
    assert other.learn(replace(LOOK, remaining=1)) == PortAccount(total=2, leaked=1, promised=0)


def test_a_promise_that_was_made_anew_is_not_withdrawn(store: Store) -> None:
    """Between the look at who is over and the withdrawal somebody has taken the run up again."""
    assert PoolLedger(store, "p", lambda: START).promise(LOOK, "vm", 1, ONE)
    with store.read() as session:
        (seen,) = promises.of_pool(session, "p")
    assert PoolLedger(store, "p", lambda: START + timedelta(seconds=1)).promise(LOOK, "vm", 1, ONE)
    with store.write() as session:
        (now,) = promises.of_pool(session, "p")
        assert not promises.withdraw(session, seen)
        assert promises.withdraw(session, now)
