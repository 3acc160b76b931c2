import logging
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from orchestrator import fence
from orchestrator.config.load import load
from orchestrator.fence import Claim, Grip, Grips, Lost
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from state.clock import elapsed

LEASE = 30.0


class Rows:
    """What confirms a claim, or does not."""

    def __init__(self, *, held: bool = True) -> None:
        self.held = held
        self.asked: list[Claim] = []

    def confirm(self, claim: Claim) -> bool:
        self.asked.append(claim)
        return self.held


def grip(rows: Rows, left: float) -> Grip:
    """A grip that lasts so many more seconds, unless the rows extend it."""
    return Grip(UUID(int=1), LEASE, elapsed() + left, lambda: rows.confirm((UUID(int=1), 1)))


def test_who_has_most_of_its_lease_left_asks_nobody() -> None:
    """A process that lives pays nothing for its fence."""
    rows = Rows(held=False)
    grip(rows, LEASE).assert_held()
    assert rows.asked == []


@pytest.mark.parametrize("left", [LEASE / 4, 0.0, -3600.0])
def test_who_was_paused_asks_the_rows_before_it_goes_on(left: float) -> None:
    """Where nobody took the run it goes on, and asks no second time; where somebody did, or nobody answers, it does nothing more."""
    rows = Rows()
    mine = grip(rows, left)
    mine.assert_held()
    mine.assert_held()
    assert len(rows.asked) == 1
    with pytest.raises(Lost, match="may be at work elsewhere"):
        grip(Rows(held=False), left).assert_held()


def test_an_answer_that_came_late_counts_from_its_question() -> None:
    """Paused over the question itself: what the rows said of the time before is no longer true."""
    now = elapsed()
    rows = Rows()
    mine = Grip(UUID(int=1), LEASE, now - LEASE, lambda: rows.confirm((UUID(int=1), 1)))
    mine.kept(now - LEASE)
    mine.assert_held()
    assert len(rows.asked) == 1
    slow = Grip(UUID(int=1), 0.0, now, lambda: True)
    with pytest.raises(Lost):
        slow.assert_held()


def test_a_beat_extends_what_it_kept_and_ends_what_it_lost() -> None:
    """Of two runs of a process; a claim that came after the beat was begun is none of its business."""
    rows, kept, lost = Rows(held=False), (uuid4(), 1), (uuid4(), 1)
    grips = Grips(LEASE, rows.confirm)
    with grips.holding(kept, lambda: 0.0):
        grips.beaten(elapsed(), [kept, lost], {kept[0]})
        fence.assert_held()
        with grips.holding(lost, lambda: LEASE):
            fence.assert_held()
            grips.beaten(elapsed(), [kept, lost], {kept[0]})
            with pytest.raises(Lost):
                fence.assert_held()
        fence.assert_held()
    assert rows.asked == [lost]


def test_who_works_on_no_run_is_not_fenced() -> None:
    """A command, a listener: and a worker between two runs."""
    with Grips(LEASE, Rows(held=False).confirm).holding((uuid4(), 1), lambda: -1.0), pytest.raises(Lost):
        fence.assert_held()
    assert fence.grip() is None
    fence.assert_held()


def test_what_went_out_all_the_same_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Paused between the question and the sending: what was sent, for which run, and what to do."""
    with caplog.at_level(logging.ERROR):
        grip(Rows(), LEASE).sent("VM.start")
        assert caplog.messages == []
        grip(Rows(), -2.0).sent("VM.start")
    (said,) = caplog.messages
    assert "VM.start went out 2." in said
    assert "vfo recover" in said


def test_nothing_is_sent_for_a_run_that_may_be_elsewhere(
    make_simulated_pool: Callable[..., SimulatedPool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The pool hears no word of it; for another run the same client goes on."""
    pool = make_simulated_pool(hosts=1, vms=0)
    vm = pool.add_vm("one", running=False)
    config = tmp_path_factory.mktemp("vfo") / "vfo.toml"
    config.write_text(f'[pools.lab]\nurl = "{pool.url}"\nusername = "{pool.user}"\npassword = "{pool.password}"\n')
    client = Client(load(config).pools["lab"])
    try:
        with Grips(LEASE, Rows(held=False).confirm).holding((uuid4(), 1), lambda: 0.0):
            for method in ("VM.add_tags", "Async.VM.start"):
                with pytest.raises(Lost):
                    client.call(method, vm, "x")
        assert pool.control.effects() == {}
        with Grips(LEASE, Rows().confirm).holding((uuid4(), 1), lambda: 0.0):
            client.call("VM.add_tags", vm, "x")
        assert [sum(things.values()) for things in pool.control.effects().values()] == [1]
    finally:
        client.close()


def test_what_a_paused_worker_writes_is_refused() -> None:
    """The thread that carries it out may be another's: what counts is who asked for it."""
    rows = Rows(held=False)
    with Grips(LEASE, rows.confirm).holding((uuid4(), 1), lambda: 0.0):
        late = fence.fenced(list[int])
    with pytest.raises(Lost):
        late((1,))
    assert fence.fenced(list[int])((1,)) == [1]
