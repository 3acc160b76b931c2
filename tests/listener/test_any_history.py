from collections import Counter

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from orchestrator.listener import holdings, records
from orchestrator.listener.keeper import Keeper
from orchestrator.listener.meters import Meters
from orchestrator.listener.objects import ObjectFeed
from orchestrator.listener.settings import ListenerSettings
from orchestrator.listener.stream import Turn
from tests.listener import pools
from tests.listener.model import ModelPool
from tests.listener.test_keeper import Notes

TAKES_VFS = {"ref:sriov", "ref:vlan"}


class History(RuleBasedStateMachine):
    """Anything that may happen to VMs, answers at any moment, and a listener that dies and comes back."""

    @initialize()
    def begin(self) -> None:
        """A listener that has loaded a pool without VMs."""
        self.pool = ModelPool(pools.mirror())
        self.notes = Notes()
        self.must: set[str] = set()
        self.may: set[str] = set()
        self.made = 0
        self.listener_restarts()

    @rule(network=st.sampled_from(["ref:sriov", "ref:vlan", "ref:lan"]), vifs=st.integers(0, 2), running=st.booleans())
    def vm_is_made(self, network: str, vifs: int, *, running: bool) -> None:
        """With VIFs, and perhaps started at once."""
        self.made += 1
        name = f"vm-{self.made}"
        where = {"power_state": "Running", "resident_on": "ref:one"} if running else {}
        self.pool.put("vm", f"ref:{name}", pools.vm(name, **where))
        for number in range(vifs):
            uuid = f"{name}-{number}"
            self.pool.put("vif", f"ref:{uuid}", pools.vif(uuid, VM=f"ref:{name}", network=network, currently_attached=running))

    @precondition(lambda self: self.pool.all("vm"))
    @rule(data=st.data())
    def vm_is_destroyed(self, data: st.DataObject) -> None:
        """Its VIFs first; an answer may come from between."""
        ref = data.draw(st.sampled_from(sorted(self.pool.all("vm"))))
        vm, vifs = self.pool.all("vm")[ref], {vif: record for vif, record in self.pool.all("vif").items() if ref == record.VM}
        if vm.uuid in self.notes.known:
            self.may.add(vm.uuid)
            if holdings.is_real(vm) and any(record.network in TAKES_VFS for record in vifs.values()):
                self.must.add(vm.uuid)
        for vif in vifs:
            self.pool.remove("vif", vif)
        if data.draw(st.booleans()):
            self.answer_comes()
        self.pool.remove("vm", ref)

    @precondition(lambda self: self.pool.all("vif"))
    @rule(data=st.data(), network=st.sampled_from(["ref:sriov", "ref:lan", None]))
    def vif_is_moved_or_destroyed(self, data: st.DataObject, network: str | None) -> None:
        """To and from the SR-IOV network."""
        ref = data.draw(st.sampled_from(sorted(self.pool.all("vif"))))
        if network is None:
            self.pool.remove("vif", ref)
        else:
            self.pool.put("vif", ref, msgspec.structs.replace(self.pool.all("vif")[ref], network=network))

    @precondition(lambda self: self.pool.all("vm"))
    @rule(data=st.data())
    def vm_becomes_a_template(self, data: st.DataObject) -> None:
        """And holds nothing any more."""
        ref = data.draw(st.sampled_from(sorted(self.pool.all("vm"))))
        self.pool.put("vm", ref, msgspec.structs.replace(self.pool.all("vm")[ref], is_a_template=True))

    @rule()
    def answer_comes(self) -> None:
        """The listener hears of everything since the last one, but for forgotten deletions."""
        assert self.feed.advance(Turn())

    @rule()
    def listener_restarts(self) -> None:
        """Another process: all that it knows is in the store."""
        keeper = Keeper(self.notes, lambda: pools.NOON, Meters())
        self.feed = ObjectFeed(self.pool, keeper, lambda _keys: None, ListenerSettings(), Meters())  # type: ignore[arg-type]
        self.feed.load(Turn())

    def teardown(self) -> None:
        """Every VM that was known with its VIFs when it was destroyed is one cause; what is known is what is there.

        One that was known and had lost its VIFs, or was made a template, may be one: the answers decide what came first.
        """
        self.answer_comes()
        self.answer_comes()
        causes = Counter(cause.was.vm for cause in self.notes.causes)
        assert self.must <= set(causes) <= self.may
        assert set(causes.values()) <= {1}
        real = {ref: vm for ref, vm in self.pool.all("vm").items() if holdings.is_real(vm)}
        takers = {vif.VM for vif in self.pool.all("vif").values() if vif.network in TAKES_VFS}
        assert set(self.notes.known) <= {vm.uuid for vm in real.values()}
        assert set(self.notes.known) >= {vm.uuid for ref, vm in real.items() if ref in takers}
        assert self.feed.mirror.counts() == {kind: len(self.pool.all(kind)) for kind in records.KINDS}


def test_no_history_loses_a_deletion_or_invents_one() -> None:
    """Whatever happens between whichever answers, and however often the listener dies."""
    run_state_machine_as_test(History, settings=settings(max_examples=150, stateful_step_count=30, deadline=None))
