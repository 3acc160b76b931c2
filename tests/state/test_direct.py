"""Creating, taking and recording a run by one statement each: as in a transaction."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from sqlalchemy import func, make_url, select, text

from orchestrator.engine.shared_wakes import SharedWakes
from state import claims, direct, history, holds, runs
from state.claims import Change
from state.history import Entry
from state.run import Phase, Run, Status
from state.single import Single
from state.store import Away, Store
from tests.services.postgres import OwnPostgres
from tests.state import moments
from tests.state.directly import ENTRY, ODD, entries, next_step, record, take, taken
from tests.state.moments import LEASE, START, later

T = TypeVar("T")
THREADS = 8


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    """A store whose writers run beside each other."""
    opened = Store(postgres_url, patience=timedelta(seconds=20))
    yield opened
    opened.close()


def row(run: Run, *but: str) -> dict[str, Any]:
    return {name: getattr(run, name) for name in Run.model_fields if name not in ("id", "subject", "title", *but)}


def at_once(work: Callable[[int], T]) -> list[T]:
    """What each of eight threads comes to, all beginning together."""
    begin = threading.Barrier(THREADS)

    def one(number: int) -> T:
        begin.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(one, range(THREADS)))


@pytest.mark.parametrize("change", [next_step(), moments.ended(), moments.ended(Status.STUCK, Phase.UNDO)], ids=str)
def test_what_is_in_the_rows_is_what_a_transaction_writes(store: Store, change: Change) -> None:
    """Each column of the run in hand and in the database, and the entry, at each of the three points of its way."""
    change, entry = replace(change, reason="a\0b", calls=ODD), Entry("first", "x", "c\0d", ODD, ODD)
    one, other = direct.create(store, moments.wanted("vm:1"), now=START)[0], moments.create(store, "vm:2")
    assert row(one) == row(other)
    assert row(moments.read(store, one)) == row(moments.read(store, other))
    here, there = take(store, one, later(1)), moments.claim(store, other, later(1))
    assert here is not None
    assert there is not None
    assert row(here.run) == row(there)
    assert row(moments.read(store, one)) == row(moments.read(store, other))
    assert record(store, here.run, change, later(2), entry)
    assert store.do(lambda session: claims.record(session, there, change, entry, now=later(2)))
    assert row(here.run) == row(there)
    assert row(moments.read(store, one)) == row(moments.read(store, other))
    assert entries(store, one) == entries(store, other) == [(later(2), "first", "x", "c\ufffdd", ODD)]
    with store.read() as session:
        assert [[each["calls"] for each in history.calls(session, run.id)] for run in (one, other)] == [[ODD], [ODD]]


def test_a_run_is_taken_once_and_when_it_is_due(store: Store) -> None:
    """While its lease lasts nobody else gets it; when that has ended the next claim counts, with what the run has for itself."""
    run, _ = direct.create(store, moments.wanted(), now=later(1))
    assert take(store, run) is None
    first = take(store, run, later(1))
    assert first is not None
    assert (first.run.claim, first.things) == (1, frozenset())
    store.do(lambda session: holds.take(session, first.run, ["vm:1", "port:2"], now=START))
    assert take(store, run, later(10)) is None
    second = take(store, run, later(11))
    assert second is not None
    assert (second.run.claim, second.run.takes, sorted(second.things)) == (2, 2, ["port:2", "vm:1"])


def test_of_many_that_take_one_gets_it(store: Store) -> None:
    """By a statement or in a transaction."""
    for number in range(15):
        run = moments.create(store, f"vm:{number}")

        def one(number: int, run: Run = run) -> object:
            if number % 2:
                return take(store, run)
            return store.do(lambda session: claims.claim(session, run.id, now=START, lease=LEASE))

        assert len([found for found in at_once(one) if found is not None]) == 1


def test_of_many_that_create_one_does(store: Store) -> None:
    """All are given the same run."""
    for number in range(15):
        made = at_once(lambda _, number=number: direct.create(store, moments.wanted(f"vm:{number}"), now=START))  # type: ignore[misc]
        assert len({run.id for run, _ in made}) == 1
        assert [new for _, new in made].count(True) == 1


def test_a_run_of_a_chosen_id_is_created_once(store: Store) -> None:
    """Ended or not, and whatever it is about."""
    chosen = replace(moments.wanted(), id=uuid4())
    run, new = direct.create(store, chosen, now=START)
    assert (run.id, new) == (chosen.id, True)
    found = take(store, run)
    assert found is not None
    assert record(store, found.run, moments.ended())
    again, new = direct.create(store, chosen, now=later(1))
    assert (again.id, again.status, new) == (chosen.id, Status.DONE, False)


def test_only_the_newest_claim_records(store: Store) -> None:
    """Who lost it writes neither the row nor an entry, and learns it; also when both are at it together."""
    for number in range(15):
        old = taken(store, f"vm:{number}")
        new = take(store, old, START + LEASE)
        assert new is not None
        hands = {0: old, 1: new.run}
        recorded = at_once(lambda one, hands=hands: one in hands and record(store, hands[one], moments.ended()))  # type: ignore[misc]
        assert recorded[:2] == [False, True]
        assert len(entries(store, old)) == 1


def test_a_parked_run_is_nobodys(store: Store) -> None:
    """Its former holder must take it again."""
    run = taken(store)
    assert moments.record(store, run, moments.parked())
    assert not record(store, run, moments.ended())
    assert entries(store, run) == []


def test_a_record_shows_what_people_said_meanwhile(store: Store) -> None:
    """That the run was cancelled, and who approved of it."""
    run = taken(store)
    store.do(lambda session: runs.approve(session, run.id, now=later(1), by="ann"))
    assert record(store, run, next_step(), later(2))
    assert (run.approved_by, run.cancel_requested) == ("ann", False)
    store.do(lambda session: runs.cancel(session, run.id, now=later(3), by="bob"))
    assert record(store, run, next_step(), later(4))
    assert (run.approved_by, run.cancel_requested) == ("ann", True)


def test_a_snapshot_tells_the_wakes_before_from_those_after(store: Store) -> None:
    """That of a taking and that of a record: what was noted later counts, what was noted earlier does not."""
    wakes = SharedWakes(store)

    def came(mark: Any) -> list[bool]:
        return [store.do(lambda session, key=key: wakes.came(session, mark, key)) for key in ("one", "two", "three")]  # type: ignore[misc]

    run, _ = direct.create(store, moments.wanted(), now=START)
    wakes.note(["one"])
    begun = wakes.before()
    found = take(store, run)
    assert found is not None
    wakes.note(["two"])
    assert came(begun(found.snapshot)) == [False, True, False]
    snapshot = direct.record(store, found.run, next_step(), ENTRY, now=START)
    wakes.note(["three"])
    assert came(begun(snapshot or "")) == [False, False, True]


def test_a_statement_that_cannot_be_is_an_error(store: Store) -> None:
    """It is not tried for a minute; and the connections are as good as before."""
    run = taken(store)
    with pytest.raises(Exception, match="history") as raised:
        record(store, run, moments.ended(), entry=replace(ENTRY, outcome=None))  # type: ignore[arg-type]
    assert not isinstance(raised.value, Away)
    assert moments.read(store, run).status is Status.RUNNING
    assert record(store, run, moments.ended())


def test_statements_are_read_committed_whatever_the_servers_default_is(own_postgres: OwnPostgres) -> None:
    """As the transactions are that begin in so many words: a run that two take is one's, and no error."""
    with own_postgres.database() as url:
        with own_postgres.admin() as connection:
            connection.execute(f"ALTER DATABASE \"{make_url(url).database}\" SET default_transaction_isolation = 'serializable'")
        store = Store(url)
        shown = store.once(Single(select(func.current_setting("transaction_isolation").label("level"))), {}, again=lambda _: None)
        store.close()
    assert shown == {"level": "read committed"}


def test_threads_use_no_more_connections_than_they_are(store: Store, postgres_url: str) -> None:
    """Statements take theirs from where transactions do, and give them back."""
    ids = [direct.create(store, moments.wanted(f"vm:{number}"), now=START)[0].id for number in range(80)]

    def work(number: int) -> None:
        for run_id in ids[number::THREADS]:
            found = direct.take(store, run_id, clock=lambda: START, lease=LEASE)
            assert found is not None
            assert record(store, found.run, moments.ended())
            moments.read(store, found.run)

    at_once(work)
    with store.read() as session:
        assert len(history.after(session, 0)) == len(ids)
    counting = text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name")
    name = make_url(postgres_url).database
    assert store.do(lambda session: session.connection().execute(counting, {"name": name}).scalar_one()) <= THREADS + 1
