from datetime import timedelta

from state import claims, history, runs
from state.run import Phase, Status
from state.store import Store
from tests.state import moments
from tests.state.moments import LEASE, START, later


def test_a_run_is_taken_once(store: Store) -> None:
    """While its lease lasts nobody else gets it."""
    run = moments.create(store)
    assert moments.claim(store, run) is not None
    assert moments.claim(store, run, later(9)) is None


def test_a_run_whose_worker_died_is_taken_again_when_the_lease_ends(store: Store) -> None:
    """The new claim is another one, and the takings without a record are counted."""
    run = moments.claimed(store)
    again = moments.claim(store, run, START + LEASE)
    assert again is not None
    assert (again.claim, again.takes) == (run.claim + 1, 2)


def test_a_run_that_is_over_or_not_due_is_not_taken(store: Store) -> None:
    """A message that comes too late or too early changes nothing."""
    over, early = moments.claimed(store), moments.claimed(store, "vm:2")
    moments.record(store, over, moments.ended())
    moments.record(store, early, moments.parked(until=later(60)))
    assert moments.claim(store, over, later(1000)) is None
    assert moments.claim(store, early, later(59)) is None
    assert moments.claim(store, early, later(60)) is not None


def test_only_the_newest_claim_records(store: Store) -> None:
    """Who lost the claim writes neither the row nor an entry."""
    old = moments.claimed(store)
    new = moments.claim(store, old, START + LEASE)
    assert new is not None
    with store.write() as session:
        assert not claims.record(session, old, moments.ended(), history.Entry("first", "done"), now=later(11))
        assert history.of(session, old.id) == []
    assert moments.record(store, new, moments.ended())


def test_a_late_record_counts_as_long_as_nobody_took_the_run(store: Store) -> None:
    """A lease that ran out alone takes nothing away: the work was done."""
    run = moments.claimed(store)
    assert moments.record(store, run, moments.parked(), later(1000))


def test_nothing_is_recorded_twice_under_one_claim_once_the_run_is_parked(store: Store) -> None:
    """A parked run is nobody's: its former holder must take it again."""
    run = moments.claimed(store)
    assert moments.record(store, run, moments.parked())
    assert not moments.record(store, run, moments.ended())


def test_a_record_writes_the_row_and_its_entry_and_updates_the_run_in_hand(store: Store) -> None:
    """After it, the run in memory says what the row says; the takings begin anew."""
    run = moments.claimed(store)
    with store.write() as session:
        claims.record(session, run, moments.parked("key"), history.Entry("first", "wait", "waits", {"seen": [1]}), now=later(2))
    assert run.model_dump() == moments.read(store, run).model_dump()
    assert (run.takes, run.data) == (0, {"note": 2})
    with store.read() as session:
        [entry] = history.of(session, run.id)
    assert (entry.step, entry.outcome, entry.message, entry.data, entry.at) == ("first", "wait", "waits", {"seen": [1]}, later(2))


def test_an_end_is_never_due(store: Store) -> None:
    """An ended run has no moment at which somebody may take it, and says when it ended."""
    run = moments.claimed(store)
    moments.record(store, run, moments.ended(), later(3))
    assert (run.due_at, run.finished_at) == (None, later(3))


def test_a_lease_is_extended_only_for_who_holds_it(store: Store) -> None:
    """A lost claim, a parked run and an ended one keep what they are due."""
    held, lost, parked = (moments.claimed(store, f"vm:{number}") for number in range(3))
    moments.record(store, parked, moments.parked())
    assert moments.claim(store, lost, START + LEASE) is not None
    with store.write() as session:
        kept = claims.extend(session, [(run.id, run.claim) for run in (held, lost, parked)], until=later(100))
    assert kept == {held.id}
    assert moments.read(store, held).due_at == later(100)
    assert moments.read(store, parked).due_at == later(60)


def test_what_is_due_comes_longest_due_first(store: Store) -> None:
    """Starts, ends of waits and ends of leases are one queue, in which the first two are told from the rest."""
    waiting, dead, fresh = moments.claimed(store, "vm:1"), moments.claimed(store, "vm:2"), moments.create(store, "vm:3", later(12))
    moments.record(store, waiting, moments.parked(until=later(5)))
    moments.create(store, "vm:4", later(100))
    with store.read() as session:
        found = claims.due(session, now=later(20), limit=9)
        assert [run.id for run in found] == [waiting.id, dead.id, fresh.id]
        assert [run.at for run in found] == [later(5), START + LEASE, later(12)]
        assert [(run.waited, run.fresh) for run in found] == [(True, False), (False, False), (False, True)]
        assert claims.due(session, now=later(20), limit=1) == found[:1]
        assert claims.next_due(session) == later(5)


def test_a_wake_reaches_those_who_wait_for_the_key(store: Store) -> None:
    """They are due at once; those who wait for something else, or for the time alone, go on waiting. A thousand keys are one call."""
    mine, other, timed = (moments.claimed(store, f"vm:{number}") for number in range(3))
    for run, key in ((mine, "vm:p:1"), (other, "vm:p:2"), (timed, None)):
        moments.record(store, run, moments.parked(key))
    keys = [f"task:p:{number}" for number in range(1200)] + ["vm:p:1", "vm:p:1"]
    with store.write() as session:
        assert claims.waiting(session, keys) == [mine.id]
        assert claims.wake(session, keys, now=later(1)) == [mine.id]
        assert claims.wake(session, keys, now=later(1)) == []
    assert (moments.read(store, mine).due_at, moments.read(store, mine).waits_on) == (later(1), None)
    assert moments.read(store, timed).due_at == later(60)


def test_hurrying_leaves_runs_at_work_alone(store: Store) -> None:
    """Their lease is what keeps others from them."""
    run = moments.claimed(store)
    with store.write() as session:
        claims.hurry(session, [run.id], now=later(1))
    assert moments.read(store, run).due_at == START + LEASE


def test_the_step_begins_when_it_is_first_taken(store: Store) -> None:
    """A second taking does not set the step's clock back: its time includes the waiting and the dying."""
    run = moments.create(store)
    first = moments.claim(store, run, later(1))
    second = moments.claim(store, run, later(1) + LEASE)
    assert first is not None
    assert second is not None
    assert first.step_began_at == second.step_began_at == later(1)


def test_history_can_be_followed_from_where_a_reader_stopped(store: Store) -> None:
    """Entries of all runs have one growing number."""
    one, two = moments.claimed(store), moments.claimed(store, "vm:2")
    with store.write() as session:
        for number, run in enumerate((one, two, one)):
            history.add(session, run.id, history.Entry("first", "wait", str(number)), now=START + timedelta(seconds=number))
        first, *rest = history.after(session, 0)
        assert [entry.message for entry in history.after(session, first.seq or 0)] == [entry.message for entry in rest] == ["1", "2"]
        assert [entry.message for entry in history.of(session, one.id)] == ["0", "2"]


def test_a_lost_record_creates_no_end(store: Store) -> None:
    """A run that was taken by another and finished there stays as it was finished."""
    old = moments.claimed(store)
    new = moments.claim(store, old, START + LEASE)
    assert new is not None
    moments.record(store, new, moments.ended(Status.DONE))
    assert not moments.record(store, old, moments.ended(Status.STUCK))
    assert moments.read(store, old).status is Status.DONE
    assert moments.read(store, old).phase is Phase.FORWARD
    with store.read() as session:
        assert runs.counts(session)[Status.STUCK] == 0
